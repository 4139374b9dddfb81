"""Events of users, as they are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.encoders.histories.history import Log


@dataclass(frozen=True, slots=True)
class History:
    """Events that say something before any answer.

    Attributes:
        items: Positions, (n,).
        liking: In [-1, 1], (n,).
        timestamps: Seconds since the epoch, NaN where unknown, (n,).
        kinds: Positions in :data:`palate.encoders.histories.history.KINDS`, (n,).
    """

    items: NDArray[np.intp]
    liking: Array
    timestamps: Array
    kinds: NDArray[np.int64]

    def __add__(self, later: History) -> History:
        return History(
            np.concatenate([self.items, later.items]),
            np.concatenate([self.liking, later.liking]),
            np.concatenate([self.timestamps, later.timestamps]),
            np.concatenate([self.kinds, later.kinds]),
        )

    @property
    def log(self) -> Log:
        """The same as the log of one user."""
        return Log(np.zeros(len(self.items), np.int64), self.items, self.liking, self.timestamps, self.kinds)


@dataclass(frozen=True, slots=True)
class Events:
    """Histories of the users of the data, rows of sparse matrices in order of the events."""

    liking: sparse.csr_matrix
    timestamps: sparse.csr_matrix
    kinds: sparse.csr_matrix

    @property
    def log(self) -> Log:
        """All of them."""
        users = np.repeat(np.arange(self.liking.shape[0]), np.diff(self.liking.indptr))
        items = self.liking.indices.astype(np.int64)
        return Log(users, items, self.liking.data, self.timestamps.data, self.kinds.data.astype(np.int64))

    def of(self, row: int) -> History:
        entries = slice(self.liking.indptr[row], self.liking.indptr[row + 1])
        return History(
            self.liking.indices[entries].astype(np.intp),
            self.liking.data[entries],
            self.timestamps.data[entries],
            self.kinds.data[entries].astype(np.int64),
        )
