"""A secure sum in one process: devices and a server that hand each other bytes, with whoever vanishes at each step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.errors import UploadError
from palate.federated.accounting import Budget
from palate.federated.ledger import Ledger, Spent
from palate.federated.secure_sum.device_side import SumDevice
from palate.federated.secure_sum.keys import DeviceKey
from palate.federated.secure_sum.server_side import SumServer
from palate.federated.secure_sum.terms import KINDS, Terms

DEADLINES = (10.0, 20.0, 30.0, 40.0)
SUM_ID = "0123456789abcdef" * 2


def terms_of(length: int = 8, minimum: int = 3, **others: Any) -> Terms:
    return Terms(
        **{"sum_id": SUM_ID, "about": "round 1", "length": length, "minimum": minimum, "deadlines": DEADLINES} | others
    )


def seeded(seed: object) -> Callable[[int], bytes]:
    """Bytes that a test can have again."""
    blocks = count()

    def entropy(size: int) -> bytes:
        return hashlib.shake_256(f"{seed} {next(blocks)}".encode()).digest(size)

    return entropy


def vectors_of(n: int, length: int, seed: int = 0) -> NDArray[np.uint64]:
    """Of numbers up to ±8 in units of 2⁻²⁰, as devices have them."""
    drawn = np.random.default_rng(seed).integers(-(1 << 23), 1 << 23, size=(n, length))
    return drawn.view(np.uint64)


def devices_of(terms: Terms, vectors: NDArray[np.uint64], least: int = 2) -> dict[str, SumDevice]:
    """A device a vector, in the order of the vectors."""
    found = {}
    for at, vector in enumerate(vectors):
        key = DeviceKey.generate(seeded(f"key {at}"))
        found[key.id] = SumDevice(key, terms, vector, least=least, entropy=seeded(f"device {at}"))
    return found


def server_of(terms: Terms) -> SumServer:
    return SumServer(terms, bytes(32))


def run(
    server: SumServer,
    devices: dict[str, SumDevice],
    gone: dict[str, Collection[str]] | None = None,
    until: str = "unmask",
) -> None:
    """All phases up to one; ``gone``: who vanishes before sending in a phase."""
    away: set[str] = set()
    for kind in KINDS[: KINDS.index(until) + 1]:
        away |= set((gone or {}).get(kind, ()))
        now = server.terms.deadlines[KINDS.index(kind)] - 1.0
        for name, device in devices.items():
            if name not in away:
                send(server, name, device, kind, now)
        server.advance(now + 1.0)


def send(server: SumServer, name: str, device: SumDevice, kind: str, now: float) -> None:
    """One message, if the sum goes on with this device."""
    if kind == "keys":
        server.receive(device.join(), now)
        return
    with suppress(Closed):
        server.receive(device.answer(told(server, name)), now)


class Closed(Exception):
    """The sum goes on without this device, or not at all."""


def told(server: SumServer, name: str) -> bytes:
    try:
        return server.message_for(name)
    except UploadError as error:
        raise Closed if error.code == "closed" else error from None


def spent_in(folder: Path, what: str = SUM_ID) -> Spent:
    """What a new ledger gives for one sum."""
    with Ledger.create(
        folder / f"{len(list(folder.iterdir()))}.jsonl", line="films", budget=Budget(3.0, 1e-5)
    ) as ledger:
        return ledger.spend(0.01, what, line="films")


def plain(vectors: NDArray[np.uint64], which: Iterable[int]) -> NDArray[np.uint64]:
    """The sum that the masked one has to be, to the bit."""
    return vectors[list(which)].sum(axis=0, dtype=np.uint64)
