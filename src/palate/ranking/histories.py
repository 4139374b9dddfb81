"""What people met, as the experts of a list read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array, Mask

EVEN = 0.1  # what every item has of a score, as a share of its mean


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """What n people met, oldest first, each item once.

    Attributes:
        items: Positions, one person after the other, (N,).
        start: Where each person's begin, and the end, (n + 1,).
        n_items: I.
        values: What they said of each, (N,); None where only meeting counts.
        friends: Whom of the people that are counted each of them follows, (n, U); None where that is not known.
    """

    items: NDArray[np.intp]
    start: NDArray[np.intp]
    n_items: int
    values: Array | None = None
    friends: sparse.csr_array | None = None

    @classmethod
    def of(cls, items: Sequence[NDArray[np.intp]], n_items: int) -> Histories:
        """Of one array of positions a person."""
        ends = np.cumsum([0, *map(len, items)])
        return cls(np.concatenate([*items, np.zeros(0, dtype=np.intp)]).astype(np.intp), ends, n_items)

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def sizes(self) -> NDArray[np.intp]:
        """How many items each person met, (n,)."""
        return np.diff(self.start)

    def of_person(self, row: int) -> NDArray[np.intp]:
        """Positions of what one of them met, oldest first, (m,)."""
        return self.items[self.start[row] : self.start[row + 1]]

    def take(self, some: slice) -> Histories:
        """Those of some people in a row."""
        first, last, _ = some.indices(len(self))
        part = slice(self.start[first], self.start[last])
        values = None if self.values is None else self.values[part]
        friends = None if self.friends is None else self.friends[first:last]
        start = self.start[first : last + 1] - self.start[first]
        return Histories(self.items[part], start, self.n_items, values, friends)

    def blocks(self, cells: int) -> Iterator[tuple[slice, Histories]]:
        """All of them, so many at a time that people times items stay within ``cells``."""
        step = max(1, cells // max(self.n_items, 1))
        for first in range(0, len(self), step):
            some = slice(first, first + step)
            yield some, self.take(some)

    def matrix(self, decay: float = 1.0) -> sparse.csr_array:
        """1 for what was met, (n, I); times ``decay`` for every item met since."""
        newer = np.repeat(self.start[1:], self.sizes) - 1 - np.arange(len(self.items))
        weights = np.power(decay, newer, dtype=np.float32)
        return sparse.csr_array((weights, self.items, self.start), shape=(len(self), self.n_items))


class Expert(Protocol):
    """What says which items somebody meets next."""

    def evidence(self, histories: Histories) -> NDArray[np.float32]:
        """Logarithms of chances, up to a constant, (n, I); the same for all items where nothing is known."""


@runtime_checkable
class ByItem(Expert, Protocol):
    """One that says what each item met adds to its score of another."""

    def shares(self, items: NDArray[np.intp], item: int) -> Array:
        """(n,), of items met, oldest first."""


def evidence(scores: Array | NDArray[np.float32]) -> NDArray[np.float32]:
    """``log(1 + s⁺ / (0.1 · mean s⁺))``, (n, I): how much more than the others each item is spoken for.

    Where nothing is, zeros. So scores of any unit become logarithms, and an item without a score is not impossible.
    """
    scores = np.maximum(scores, 0.0, dtype=np.float32)
    even = EVEN * scores.mean(-1, keepdims=True)
    found: NDArray[np.float32] = np.log1p(np.divide(scores, even, out=np.zeros_like(scores), where=even > 0))
    return found


def list_ndcg(scores: NDArray[np.floating], liked: Mask, counts: NDArray[np.integer], k: int = 10) -> Array:
    """NDCG@k of the list of each row, (n,).

    Args:
        scores: (n, I); -inf of what may not be shown.
        liked: What is liked, (n, I).
        counts: How much each row likes in all, (n,), at least 1.
    """
    k = min(k, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    found = np.take_along_axis(liked, np.take_along_axis(top, order, 1), 1) @ discount
    return np.asarray(found / discount.cumsum()[np.minimum(counts, k) - 1])
