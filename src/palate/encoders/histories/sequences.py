"""A log as sequences, one a user, cut into windows and padded for a Transformer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.encoders.histories.history import Log

GAPS = 32  # buckets of the time since the event before: 0 where it is not known, then doubling from a second
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """The events of each user from the oldest to the newest.

    Attributes:
        items, kinds, gaps: Positions and buckets, (N,).
        liking: In [-1, 1], (N,).
        start: Where each user's events begin, (U + 1,).
    """

    items: Positions
    kinds: Positions
    gaps: Positions
    liking: NDArray[np.float32]
    start: Positions

    @classmethod
    def of(cls, log: Log, n_users: int) -> Sequences:
        order = np.lexsort((-log.ranks(n_users), log.users))
        counts = np.bincount(log.users, minlength=n_users)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        gaps = _gaps(log.timestamps[order], start[:-1][counts > 0])
        return cls(log.items[order], log.kinds[order], gaps, log.liking[order].astype(np.float32), start)

    def newest(self, length: int) -> Positions:
        """For each user the window of the last ``length`` events, (U, 2): first and one past the last."""
        return np.stack([np.maximum(self.start[:-1], self.start[1:] - length), self.start[1:]], 1)

    def windows(self, users: Positions, length: int, rng: np.random.Generator) -> Positions:
        """All events of some users in windows of at most ``length``, (W, 2); long ones are cut at a random place."""
        parts = []
        for first, last in zip(self.start[users], self.start[users + 1], strict=True):
            cut = 0 if last - first <= length else int(rng.integers(length))
            edges = np.unique(np.r_[first, np.arange(first + cut, last, length), last])
            parts.append(np.stack([edges[:-1], edges[1:]], 1))
        return np.concatenate(parts) if parts else np.zeros((0, 2), dtype=np.int64)

    def padded(self, windows: Positions) -> Batch:
        """The events of some windows, filled up on the right."""
        sizes = windows[:, 1] - windows[:, 0]
        steps = np.arange(sizes.max(initial=0))
        mask = steps < sizes[:, None]
        rows = np.where(mask, windows[:, :1] + steps, 0)
        items, kinds, gaps = (np.where(mask, part[rows], 0) for part in (self.items, self.kinds, self.gaps))
        return Batch(items, kinds, gaps, np.where(mask, self.liking[rows], np.float32(0)), mask)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Windows side by side, each (B, T)."""

    items: Positions
    kinds: Positions
    gaps: Positions
    liking: NDArray[np.float32]
    mask: NDArray[np.bool_]


def _gaps(times: NDArray[np.float64], first: Positions) -> Positions:
    """Bucket of the seconds since the event before, 0 for each user's first."""
    seconds = np.diff(times, prepend=np.nan)
    seconds[first] = np.nan
    buckets = 1 + np.floor(np.log2(1.0 + np.maximum(np.nan_to_num(seconds), 0.0)))
    return np.where(np.isnan(seconds), 0, np.minimum(buckets, GAPS - 1)).astype(np.int64)
