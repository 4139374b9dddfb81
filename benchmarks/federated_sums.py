"""What a secure sum costs a device and the server, and what a thousand devices of which many drop out come to.

mask     processor ms of one mask of 37,060 words, key agreement included
device   processor ms and bytes of one device for 3,706 items and 8 dimensions, by size of the group and bytes of a word
round    1,000 devices in groups of 64, of which 30 % vanish after the shares: seconds of the server, what was lost
lost     the chance that a group has too few left to open
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks._data import main
from palate.federated.accounting import Budget
from palate.federated.ledger import Ledger
from palate.federated.secure_sum.device_side import SumDevice
from palate.federated.secure_sum.keys import DeviceKey
from palate.federated.secure_sum.masks import add_pair_mask
from palate.federated.secure_sum.primitives import KEY_BYTES, ExchangeKey
from palate.federated.secure_sum.server_side import Opened, SumServer
from palate.federated.secure_sum.terms import KINDS, Terms, threshold_of
from palate.random import derive_rng

LENGTH = 3_706 * 9 + 1  # a gradient in level and factors, and the mass
MASK_LENGTH = 37_060
GROUPS, WIDTHS = (50, 64, 100), (8, 4)
DEVICES, GONE, DEFAULT = 1_000, 0.3, 64
KEPT = 20  # vectors that the devices take turns with


class Round:
    """One sum, and what each step of it took."""

    def __init__(self, n: int, group: int, width: int, rng: np.random.Generator) -> None:
        self.terms = Terms(
            sum_id=secrets.token_hex(16),
            about="benchmark",
            length=LENGTH,
            minimum=20,
            deadlines=(1.0, 2.0, 3.0, 4.0),
            width=width,
            group_size=group,
        )
        words = rng.integers(-(1 << 23), 1 << 23, size=(KEPT, LENGTH)).view(np.uint64)
        self.vectors = [words[at % KEPT] for at in range(n)]
        self.server = SumServer(self.terms, os.urandom(32))
        self.device_ms: dict[str, list[float]] = defaultdict(list)
        self.server_seconds: dict[str, float] = defaultdict(float)
        self.up: dict[str, int] = {}
        self.down: dict[str, int] = {}
        self.names: list[str] = []

    def run(self, gone: set[int]) -> Opened:
        """All phases; ``gone`` vanish after they have dealt their shares."""
        devices: list[SumDevice] = []
        for kind, end in zip(KINDS, self.terms.deadlines, strict=True):
            for at, vector in enumerate(self.vectors):
                if at in gone and kind in ("upload", "unmask"):
                    continue
                start = time.process_time()
                told = b"" if kind == "keys" else self.server.message_for(self.names[at])
                asked = time.process_time()
                if kind == "keys":
                    key = DeviceKey.generate()
                    devices.append(SumDevice(key, self.terms, vector))
                    self.names.append(key.id)
                message = devices[at].answer(told) if told else devices[at].join()
                answered = time.process_time()
                self.server.receive(message, end - 0.5)
                self.server_seconds[kind] += time.process_time() - answered + asked - start
                self.device_ms[kind].append(1e3 * (answered - asked))
                self.up[kind], self.down[kind] = len(message), len(told)
            start = time.process_time()
            self.server.advance(end)
            self.server_seconds[kind] += time.process_time() - start
        with tempfile.TemporaryDirectory() as folder:
            with Ledger.create(Path(folder) / "ledger.jsonl", line="benchmark", budget=Budget(3.0, 1e-5)) as ledger:
                spent = ledger.spend(0.01, self.terms.sum_id, line="benchmark")
            start = time.process_time()
            opened = self.server.open(spent)
            self.server_seconds["open"] = time.process_time() - start
        return opened

    def plain(self, gone: set[int]) -> NDArray[np.uint64]:
        total = np.zeros(LENGTH, dtype=np.uint64)
        for at, vector in enumerate(self.vectors):
            if at not in gone:
                total += vector
        return total


def run(seeds: int) -> dict[str, Any]:
    return {
        "mask": [_mask(width) for width in WIDTHS],
        "device": [_device(group, width, seeds) for group in GROUPS for width in WIDTHS],
        "round": [_round(seed) for seed in range(seeds)],
        "lost": [
            {"group": group, "gone": gone, "chance": float(binom.cdf(threshold_of(group) - 1, group, 1.0 - gone))}
            for gone in (0.3, 0.4)
            for group in GROUPS
        ],
    }


def _mask(width: int) -> dict[str, Any]:
    one, other = ExchangeKey(os.urandom(KEY_BYTES)), ExchangeKey(os.urandom(KEY_BYTES))
    total, spent = np.zeros(MASK_LENGTH, dtype=f"<u{width}"), []
    for _ in range(200):
        start = time.process_time()
        add_pair_mask(total, one, other.public, ("a", "b"), b"benchmark")
        spent.append(1e3 * (time.process_time() - start))
    return {"width": width, "ms": float(np.median(spent))}


def _device(group: int, width: int, seeds: int) -> dict[str, Any]:
    rounds = [Round(group, group, width, derive_rng(seed, "federated-sums", str(group))) for seed in range(seeds)]
    for one in rounds:
        one.run(set())
    spent = {kind: [ms for one in rounds for ms in one.device_ms[kind]] for kind in KINDS}
    every = np.sum([spent[kind] for kind in KINDS], axis=0)
    return {
        "group": group,
        "width": width,
        "ms": {kind: float(np.median(spent[kind])) for kind in KINDS},
        "ms_all": {"median": float(np.median(every)), "p95": float(np.quantile(every, 0.95))},
        "bytes_up": rounds[0].up,
        "bytes_down": rounds[0].down,
    }


def _round(seed: int) -> dict[str, Any]:
    rng = derive_rng(seed, "federated-sums", "round")
    one = Round(DEVICES, DEFAULT, 8, rng)
    gone = set(rng.permutation(DEVICES)[: int(GONE * DEVICES)].tolist())
    opened = one.run(gone)
    lost = DEVICES - len(gone) - opened.devices
    return {
        "seed": seed,
        "devices": DEVICES,
        "gone": len(gone),
        "groups": len(opened.groups),
        "summed": opened.devices,
        "lost": lost,
        "equal": bool(not lost and np.array_equal(opened.total, one.plain(gone))),
        "server_seconds": dict(one.server_seconds),
        "device_ms": {kind: float(np.median(ms)) for kind, ms in one.device_ms.items()},
    }


if __name__ == "__main__":
    main("federated_sums", run, seeds=3)
