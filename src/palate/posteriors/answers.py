"""Answers of many users, as the batch fit reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import DataError


class ByItem(NamedTuple):
    """The same answers sorted by item.

    Attributes:
        columns: The items with an answer, (J,).
        start: Where the answers of each begin, (J + 1,).
        users: Of each answer, (N,).
        order: Where each is among those sorted by user, (N,).
    """

    columns: NDArray[np.intp]
    start: NDArray[np.integer[Any]]
    users: NDArray[np.int32]
    order: NDArray[np.int32]


@dataclass(slots=True)
class Answers:
    """Answers sorted by user, as rows of a sparse matrix.

    Attributes:
        values: (U, I) CSR, an entry an answer.
        weights: Of each entry, as so much of an answer, in the order of ``values.data``; None for all one.
    """

    values: sparse.csr_matrix
    weights: Array | None = None

    @classmethod
    def build(
        cls,
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        values: Array,
        shape: tuple[int, int],
        weights: Array | None = None,
    ) -> Answers:
        """From codes, each (N,), without duplicates."""
        if len(values) == 0:
            raise DataError("there is no answer to fit: 0 rows with a value. Give at least one rated interaction.")
        order = np.argsort(users, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=shape[0]))])
        matrix = sparse.csr_matrix((values[order].astype(np.float64), items[order], start), shape=shape)
        return cls(matrix, None if weights is None else weights[order])

    def chunks(self, size: int) -> Iterator[tuple[slice, Answers]]:
        """Runs of users of at most ``size`` rows."""
        start = self.values.indptr
        for first in range(0, self.values.shape[0], size):
            rows = slice(first, min(first + size, self.values.shape[0]))
            entries = slice(start[rows.start], start[rows.stop])
            yield rows, Answers(self.values[rows], None if self.weights is None else self.weights[entries])

    @property
    def rows(self) -> NDArray[np.intp]:
        """User of each entry, (N,)."""
        return np.repeat(np.arange(self.values.shape[0]), np.diff(self.values.indptr))

    def by_item(self) -> ByItem:
        places = self.matrix(np.arange(self.values.nnz, dtype=np.int32)).tocsc()
        columns = np.flatnonzero(np.diff(places.indptr))
        return ByItem(columns, np.append(places.indptr[columns], places.nnz), places.indices, places.data)

    def of_users(self, rows: slice) -> Answers:
        """Those of some users."""
        entries = np.isin(self.rows, np.arange(self.values.shape[0])[rows])
        return Answers(self.values[rows], None if self.weights is None else self.weights[entries])

    def of_items(self, items: NDArray[np.intp]) -> Answers:
        """Those to some items; no other may have an answer."""
        return self if len(items) == self.values.shape[1] else Answers(self.values[:, items], self.weights)

    def matrix(self, data: NDArray[Any]) -> sparse.csr_matrix:
        """The same entries with other numbers on them."""
        return sparse.csr_matrix((data, self.values.indices, self.values.indptr), shape=self.values.shape)
