"""Which devices share masks, and what binds a message to them.

Within a group all pairs share masks. A graph of logarithmic degree (Bell et al., *Secure single-server aggregation with
(poly)logarithmic overhead*, CCS 2020) needs fewer, yet where a third of the devices drop out and each device's secrets
must survive among its neighbours, those are some 50 to 100: a group of that size. So groups are the graph, and they
also give what a robust step needs: sums of disjoint sets of devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256


def groups_of(devices: Iterable[str], size: int, seed: bytes) -> list[tuple[str, ...]]:
    """The devices in random groups of ``size`` to ``2 size - 1``, of nearly equal sizes; all in one if they are fewer.

    Args:
        seed: Drawn where no device sees it; the same seed and devices give the same groups.

    Returns:
        The groups, each in the order of its names.
    """
    drawn = sorted(devices, key=lambda device: sha256(seed + device.encode()).digest())
    n = max(1, len(drawn) // size)
    return [tuple(sorted(drawn[start::n])) for start in range(n)]


def group_context(context: bytes, members: Sequence[bytes]) -> bytes:
    """The digest of a sum and a group.

    Every mask and seal is made with it, so between devices that were told different groups nothing cancels or opens.

    Args:
        context: Of the sum.
        members: What each device joined with, in the order of their names.
    """
    return sha256(context + b"".join(sha256(one).digest() for one in members)).digest()
