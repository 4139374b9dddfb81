"""How popular items are, altogether and lately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.encoders.histories.history import Log
from palate.ranking.histories import Histories

HALF_LIVES = (0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 90.0, 365.0)  # days in which meeting an item comes to count half
DAY = 86_400.0
EVER_SHARE = 0.05  # share of popularity altogether in that of late
LEAST = 1e-3  # people that lately met what nobody met


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One logarithm of popularity an item, (I,): whoever asks."""

    values: NDArray[np.float32]

    def evidence(self, histories: Histories) -> NDArray[np.float32]:
        return np.broadcast_to(self.values, (len(histories), len(self.values)))


def popularity(log: Log, n_items: int) -> Array:
    """``log(n + 1)``, n the rows of an item, (I,)."""
    return np.asarray(np.log(np.bincount(log.items, minlength=n_items) + 1.0))


def lately(log: Log, n_items: int, half_life: float) -> Array:
    """The same of rows that count half after so many days, and a little of popularity altogether, (I,).

    A row without a time is as old as can be.
    """
    age = (np.nanmax(log.timestamps) - log.timestamps) / DAY
    weights = np.nan_to_num(np.exp2(-age / half_life))
    share = EVER_SHARE * weights.sum() / len(log)
    counts = np.bincount(log.items, minlength=n_items)
    return np.asarray(np.log(np.bincount(log.items, weights, n_items) + share * counts + LEAST))
