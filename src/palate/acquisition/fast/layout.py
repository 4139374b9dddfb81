"""How a catalogue lies in memory for the kernels, is shared among threads and is searched for its best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.machine import on_threads

Single = NDArray[np.float32]
PARTS = 16  # of a pass, shared among threads; fixed, so that sums do not depend on their number
CHUNK = 8192  # items copied or scored again at once
_ROUNDING = 1e-4  # error of a pass, relative to its largest score


def blocked(factors: Array) -> Single:
    """Factors (I, D) as (n, D', BLOCK), padded with zeros, a chunk at a time."""
    from palate.acquisition.fast.kernels import BLOCK, ROWS

    items, dim = factors.shape
    blocks = np.zeros((max(1, round_up(items, BLOCK) // BLOCK), round_up(max(1, dim), ROWS), BLOCK), np.float32)
    for start in range(0, items, CHUNK):
        some = factors[start : start + CHUNK].astype(np.float32)
        whole = len(some) // BLOCK * BLOCK
        first = start // BLOCK
        blocks[first : first + whole // BLOCK, :dim] = some[:whole].reshape(-1, BLOCK, dim).transpose(0, 2, 1)
        if whole < len(some):
            blocks[first + whole // BLOCK, :dim, : len(some) - whole] = some[whole:].T
    return blocks


def within_rounding(scores: Single, tops: Single, k: int) -> Positions:
    """Positions of all that may be among the k best: only blocks whose maximum reaches that far are looked at."""
    from palate.acquisition.fast.kernels import BLOCK

    margin = _ROUNDING * max(float(tops.max()), 0.0) if np.isfinite(tops.max()) else 0.0
    blocks = np.flatnonzero(tops >= _kth(tops, k) - margin)
    places = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    places = places[places < len(scores)]
    some = scores[places]
    return np.asarray(places[(some >= _kth(some, k) - margin) & (some > -np.inf)])


def _kth(values: Single, k: int) -> float:
    """The k-th largest; -inf where there are fewer."""
    return float(np.partition(values, -k)[-k]) if k <= len(values) else -np.inf


def round_up(number: int, step: int) -> int:
    """The next multiple of ``step``."""
    return -(-number // step) * step


def in_parts(blocks: int, work: Callable[[int, int, int], None]) -> None:
    """Calls ``work(part, first, last)`` for each part of the blocks, on as many threads as there are cores."""
    bounds = np.linspace(0, blocks, PARTS + 1).astype(int).tolist()
    on_threads(work, range(PARTS), bounds[:-1], bounds[1:])
