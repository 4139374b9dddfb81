"""What is met together: shrunk cosines between items.

    s_i = Σ_j∈h d^age(j) n_ij / (√(n_i n_j) + shrinkage)

``n_ij`` people met both. With d = 1 the order is that of item-kNN: Sarwar, Karypis, Konstan, Riedl, *Item-based
collaborative filtering recommendation algorithms*, WWW 2001; shrinkage: Bell, Koren, *Improved neighborhood-based
collaborative filtering*, KDD Cup 2007.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.encoders.histories.history import Log
from palate.ranking.histories import Histories, evidence

DECAY = 0.8  # of what was met, for every item met since
_CELLS = 2**24  # of items times items held densely at once
_DENSE = 6_000  # items up to which products are made with a dense matrix: faster, 4 bytes a pair
_PAIRS = 100_000_000  # kept at most: 8 bytes each
_LEAST = 50  # neighbours of an item kept at least


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """How many people met both of two items.

    Attributes:
        together: From item met to item scored, (I, I), of each item scored its nearest alone; 0 of an item with itself.
        count: People who met an item, (I,).
    """

    together: sparse.csr_array
    count: Array

    @classmethod
    def of(cls, log: Log, n_users: int, n_items: int, neighbours: int | None = None) -> Pairs:
        """Of a log.

        Args:
            neighbours: Of an item, by cosine with shrinkage 10; None: as many as fit in 0.8 GB, at least 50.
        """
        met = sparse.csr_array((np.ones(len(log), np.float32), (log.users, log.items)), shape=(n_users, n_items))
        met.sum_duplicates()
        met.data[:] = 1.0
        columns = sparse.csr_array(met.T)
        count = np.diff(columns.indptr).astype(np.float64)
        most = max(_LEAST, _PAIRS // max(n_items, 1)) if neighbours is None else neighbours
        parts = [_nearest(columns, met, rows, count, most) for rows in _blocks(n_items)]
        return cls(sparse.csr_array(sparse.vstack(parts, format="csr").T), count)

    def cosine(self, shrinkage: float) -> sparse.csr_array:
        """Likeness from item met to item scored, (I, I)."""
        norm = np.sqrt(self.count)
        seen = np.repeat(np.arange(len(norm)), np.diff(self.together.indptr))
        unit = norm[seen] * norm[self.together.indices] + shrinkage
        parts = ((self.together.data / unit).astype(np.float32), self.together.indices, self.together.indptr)
        return sparse.csr_array(parts, shape=self.together.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """What others met who met the same.

    Attributes:
        likeness: From item met to item scored, (I, I).
        decay: Of what was met, for every item met since.
    """

    likeness: sparse.csr_array
    decay: float = 1.0
    _dense: NDArray[np.float32] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        small = self.likeness.shape[0] <= _DENSE
        object.__setattr__(self, "_dense", self.likeness.toarray() if small else None)

    def evidence(self, histories: Histories) -> NDArray[np.float32]:
        return evidence(self.scores(histories))

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """s, (n, I)."""
        rows = histories.matrix(self.decay)
        return np.asarray(rows @ self._dense if self._dense is not None else (rows @ self.likeness).toarray())

    def shares(self, items: NDArray[np.intp], item: int) -> Array:
        """What each of the items met, oldest first, adds to the score of an item, (n,)."""
        return self.shares_of(items, np.array([item]))[:, 0]

    def shares_of(self, items: NDArray[np.intp], shown: NDArray[np.intp]) -> Array:
        """The same for several items shown, (n, k)."""
        decay = self.decay ** np.arange(len(items), dtype=np.float64)[::-1]
        return np.asarray(decay[:, None] * self.likeness[items][:, shown].toarray())


def _nearest(
    columns: sparse.csr_array, met: sparse.csr_array, rows: NDArray[np.intp], count: Array, most: int
) -> sparse.csr_array:
    """How often some items were met together with any, (b, I), of each its nearest."""
    together = (columns[rows] @ met).toarray()
    together[np.arange(len(rows)), rows] = 0.0
    if most < together.shape[1]:
        cosine = together / (np.sqrt(count[rows, None] * count) + 10.0).astype(np.float32)
        least = np.partition(cosine, together.shape[1] - most, axis=1)[:, together.shape[1] - most, None]
        together[cosine < least] = 0.0
    return sparse.csr_array(together)


def _blocks(n: int) -> Iterator[NDArray[np.intp]]:
    step = max(1, _CELLS // max(n, 1))
    for first in range(0, n, step):
        yield np.arange(first, min(first + step, n))
