"""The scale of the answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.errors import AnswerError


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of ratings.

    Attributes:
        levels: The ratings there are, ascending, where they are at most 20; otherwise lowest and highest.
        like: Rating from which an item counts as liked: the mean of the fitted ratings, rounded up to a level.
        is_given: Whether its ends were given; otherwise they are the lowest and the highest rating of the data.
    """

    levels: tuple[float, ...]
    like: float
    is_given: bool = False

    @property
    def low(self) -> float:
        return self.levels[0]

    @property
    def high(self) -> float:
        return self.levels[-1]

    @property
    def step(self) -> float:
        """Smallest distance of two levels; 0 where the scale is continuous, or has only its ends."""
        return float(np.diff(self.levels).min()) if len(self.levels) > 2 else 0.0

    @property
    def cut(self) -> float:
        """Expected rating from which "will like" is predicted: half-way between ``like`` and the level below it."""
        below = [level for level in self.levels if level < self.like]
        return (below[-1] + self.like) / 2 if below and self.like in self.levels else self.like

    @classmethod
    def of_events(cls) -> Scale:
        """Of events: against (-1) to for (1), liked if it is for."""
        return cls((-1.0, 1.0), 0.0, True)

    @classmethod
    def of(cls, values: Array, ends: tuple[float, float] | None = None) -> Scale:
        """The scale of these ratings, (N,), which lie within its ends where these are given.

        Ends that nobody gave as a rating are levels too.
        """
        levels = np.unique(values)
        given, (low, high) = ends is not None, ends or (float(levels[0]), float(levels[-1]))
        return replace(
            cls.of_levels(levels[:0] if len(levels) > 20 else levels, float(values.mean()), (low, high)), is_given=given
        )

    @classmethod
    def of_levels(cls, levels: Array, mean: float, ends: tuple[float, float]) -> Scale:
        """The scale of ratings of a mean, between its ends, that has these levels; none where it is continuous."""
        low, high = ends
        if not len(levels):
            return cls((low, high), mean)
        levels = np.union1d(levels, [low, high])
        above = levels[levels >= mean - 1e-9 * (high - low)]  # of a mean on a level, rounding
        return cls(tuple(map(float, levels)), float(above[0] if len(above) else high))

    def edges(self, n: int) -> Array:
        """Upper ends of ``n`` bins of ratings, (n,): the levels, or bins of equal width where those are not ``n``."""
        few = n == len(self.levels)
        return np.array(self.levels) if few else np.linspace(self.low, self.high, n + 1)[1:]

    def check(self, value: float) -> float:
        """The value, if it lies on the scale.

        Raises:
            AnswerError: If not.
        """
        if not self.low <= value <= self.high:
            raise AnswerError(
                f"the rating {value:g} is off the scale. Give a number from {self.low:g} to {self.high:g}."
            )
        return value


def level_shares(values: sparse.csr_matrix, scale: Scale) -> Array:
    """Share of each rating level among an item's ratings, (I, R); ten equal bins where the scale is continuous."""
    edges = scale.edges(len(scale.levels) if len(np.unique(values.data)) <= len(scale.levels) else 10)
    codes = np.minimum(np.searchsorted(edges, values.data), len(edges) - 1)
    table = np.zeros((values.shape[1], len(edges)))
    np.add.at(table, (values.indices, codes), 1.0)
    return np.asarray(table / np.maximum(table.sum(1, keepdims=True), 1.0))
