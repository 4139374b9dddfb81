"""What strategies may know of the people the model was fitted on: who rated what, and what is believed of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.posteriors.taste import Taste

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Population:
    """The U fitted users and the I items they rated.

    Attributes:
        answers: Their ratings, (U, I) CSR; an explicit 0 is a rating.
        level_values: The rating that each column of :attr:`Candidates.levels` stands for, ascending, (R,).
        taste: Beliefs about the items, which make one of the users from their ratings.
        content: Encodings of the items, (I, E); None without an encoder.
        fitted: The same as the fit left it, where items have learnt since. What is made of its people is made of that:
            it does not hang on when it is first needed.
        user_noise: ν, by which the noise of each user's answers is multiplied, (U,) or one for all.
        weights: Of each answer, by its age; None: all count alike.
    """

    answers: sparse.csr_matrix
    level_values: Array
    taste: Taste
    content: NDArray[np.float32] | None = None
    fitted: Population | None = None
    user_noise: Array | float = 1.0
    weights: Array | None = None
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)  # a cache: building gives the same

    @property
    def n_users(self) -> int:
        return int(self.answers.shape[0])

    @property
    def n_items(self) -> int:
        return int(self.answers.shape[1])

    @cached_property
    def by_item(self) -> sparse.csr_matrix:
        """The same ratings, a row an item, (I, U) CSR."""
        return self.answers.T.tocsr() if self.fitted is None else self.fitted.by_item

    @cached_property
    def tastes(self) -> Array:
        """Mean taste of each user, (U, D)."""
        return self.beliefs.mean

    @cached_property
    def beliefs(self) -> Belief:
        """About each user."""
        if self.fitted is not None:
            return self.fitted.beliefs
        return self.taste.believe(self.answers, of_users=self.user_noise, weights=self.weights)

    @cached_property
    def counts(self) -> Array:
        """Ratings of each item, (I,)."""
        return np.bincount(self.answers.indices, minlength=self.n_items).astype(np.float64)

    @cached_property
    def means(self) -> Array:
        """Mean rating of each item, (I,); that of all ratings where there is none."""
        totals = np.bincount(self.answers.indices, weights=self.answers.data, minlength=self.n_items)
        return np.where(self.counts > 0, totals / np.maximum(self.counts, 1.0), self.mean)

    @cached_property
    def mean(self) -> float:
        """Mean of all ratings; the middle level where there is none."""
        return float(self.answers.data.mean()) if self.answers.nnz else float(np.median(self.level_values))

    def once(self, key: Hashable, build: Callable[[Population], T]) -> T:
        """What ``build`` makes of this population, made at the first call and kept: trees, clusters, similarities."""
        return self.here(key, build) if self.fitted is None else self.fitted.here(key, build)

    def here(self, key: Hashable, build: Callable[[Population], T]) -> T:
        """The same of the items as they are now, for what is made of them alone."""
        if key not in self._kept:
            self._kept[key] = build(self)
        return cast(T, self._kept[key])


@dataclass(frozen=True, slots=True)
class Given:
    """What a user has been asked so far, in order, or what n users have.

    Attributes:
        columns: Positions of the items in the population, (T,) or (n, T); -1 where a shorter row is padded.
        values: The ratings, NaN where there was no answer, (T,) or (n, T).
    """

    columns: NDArray[np.intp]
    values: Array

    @classmethod
    def nothing(cls, *users: int) -> Given:
        """Of one user, or of n."""
        return cls(np.zeros((*users, 0), dtype=np.intp), np.zeros((*users, 0)))

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Where there is a rating, (T,) or (n, T)."""
        return (self.columns >= 0) & ~np.isnan(self.values)

    def of(self, user: int) -> Given:
        """One of n users; padding is left out."""
        real = self.columns[user] >= 0
        return Given(self.columns[user][real], self.values[user][real])

    def rated(self) -> tuple[NDArray[np.intp], Array]:
        """Of one user: the rated columns and their ratings."""
        return self.columns[self.answered], self.values[self.answered]

    def added(self, columns: NDArray[np.intp], values: Array) -> Given:
        """With one more question to each of n users, (n,) each."""
        return Given(
            np.concatenate([self.columns, columns[:, None]], 1), np.concatenate([self.values, values[:, None]], 1)
        )
