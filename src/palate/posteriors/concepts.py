"""Concepts as directions of taste: "do you like comedies?" is a noisy look along one of them.

By how much a user's mean rating in a category lies above their mean over all they rated is, over the fitted users,

    y_uc = level_c + d_c · z_u + ε,        ε ~ N(0, noise_c),

a ridge regression on their tastes that shrinks to what the items of the category say: the mean of their levels and
factors, weighted by their ratings, less that over all items. The mean ratings are of one half of what a user rated and
the tastes of the other: tastes made of the same ratings would agree with their noise, and it would look smaller than it
is. Yes is ``y > 0``, so the update is a probit one. A concept in free words has the direction that the content prior
gives its encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.posteriors.prior import Prior
from palate.posteriors.taste import Taste

RATED = 2  # ratings in a category from which a user has a view of it; view_chance counts on it
MOST_USERS = 20_000  # to learn from; more say no more of a direction
MOST_CONCEPTS = 500  # the most rated categories
_STRENGTH = 10.0  # users whose weight the items' own word has
_LEAST_NOISE = 1e-9  # as a share of the noise of an answer
_LEAST_SHARE = 0.1  # of the variance around the regression is noise, however unsure the tastes are


@dataclass(frozen=True, slots=True)
class Concept:
    """One direction: P(yes) = Φ((level + direction · z) / √noise).

    Attributes:
        direction: (D,).
    """

    direction: Array
    level: float
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class Concepts:
    """C categories as directions.

    Attributes:
        names: Of the categories, (C).
        inside: Which item is in which, (I, C).
        directions: (C, D).
        level, noise: (C,) each.
        centre: Mean level and factors of the items, weighted by their ratings, (D + 1,).
        doubt: Noise of a concept of which nothing was learnt.
    """

    names: tuple[str, ...]
    inside: sparse.csc_matrix
    directions: Array
    level: Array
    noise: Array
    centre: Array
    doubt: float

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def learn(cls, taste: Taste, answers: sparse.csr_matrix, members: Mapping[str, NDArray[np.intp]]) -> Concepts:
        """From the ratings of the fitted users, (U, I) CSR, and the positions of the items of each category."""
        answers = answers[:: max(1, -(-answers.shape[0] // MOST_USERS))]
        counts = np.bincount(answers.indices, minlength=answers.shape[1]).astype(np.float64)
        names = sorted(members, key=lambda name: -counts[members[name]].sum())[:MOST_CONCEPTS]
        inside = _membership([members[name] for name in names], answers.shape[1])
        said = np.concatenate([taste.items.level[:, None], taste.items.factors], 1)
        centre = np.average(said, axis=0, weights=counts + 1e-6)
        base = _weighted_means(inside, said, counts + 1e-6) - centre
        views, others = _halves(answers)
        belief = taste.believe(others)
        above, has_view = _views(views, inside)
        fits = [
            _regress(belief, np.flatnonzero(viewers), above[viewers, place], base[place])
            for place, viewers in enumerate(has_view.T)
        ]
        doubt = _doubt(fits, has_view, float(taste.items.answer_noise.mean()))
        weights = np.array([found for found, _ in fits]).reshape(len(names), taste.items.dim + 1)
        noise = np.array([doubt if np.isnan(left) else left for _, left in fits])
        return cls(tuple(names), inside, weights[:, 1:], weights[:, 0], noise, centre, doubt)

    def of(self, name: str) -> Concept:
        """The direction of a category, by its name.

        Raises:
            ValueError: If it has none.
        """
        place = self.names.index(name)
        return Concept(self.directions[place], float(self.level[place]), float(self.noise[place]))

    def named(self, concepts: Mapping[str, Concept]) -> Concepts:
        """These and no others, as (:meth:`of`, :meth:`said`) gave them. Of other words everybody has a view."""
        everything = sparse.csc_matrix(np.ones((self.inside.shape[0], 1)))
        columns = [self.inside[:, [self.names.index(n)]] if n in self.names else everything for n in concepts]
        found = list(concepts.values())
        return Concepts(
            tuple(concepts),
            sparse.csc_matrix(sparse.hstack(columns)) if columns else self.inside[:, :0],
            np.array([concept.direction for concept in found]).reshape(len(found), len(self.centre) - 1),
            np.array([concept.level for concept in found]),
            np.array([concept.noise for concept in found]),
            self.centre,
            self.doubt,
        )

    def said(self, prior: Prior, encoding: Array) -> Concept:
        """What the encoding of some words, (E,), means: the items its content promises, less the mean item.

        Its noise is that of a category of which nothing was learnt, and what the content prior itself does not know.
        """
        promised = prior.predict(encoding[None])[0] - self.centre
        unsure = prior.covariances(encoding[None])[0] - prior.covariance
        return Concept(promised[1:], float(promised[0]), self.doubt + float(np.trace(unsure)))


def _membership(rows: list[NDArray[np.intp]], n_items: int) -> sparse.csc_matrix:
    """Which item is in which category, (I, C)."""
    start = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.intp)
    items = np.concatenate(rows) if rows else np.zeros(0, dtype=np.intp)
    return sparse.csc_matrix((np.ones(len(items)), items, start), shape=(n_items, len(rows)))


def _weighted_means(inside: sparse.csc_matrix, said: Array, weights: Array) -> Array:
    """Mean over the items of each category, (C, D + 1)."""
    total = inside.T @ weights
    return np.asarray((inside.T @ (said * weights[:, None])) / np.maximum(total, np.finfo(np.float64).tiny)[:, None])


def _views(answers: sparse.csr_matrix, inside: sparse.csc_matrix) -> tuple[Array, NDArray[np.bool_]]:
    """By how much each user likes each category better than what they rated, and who has a view of it, (U, C)."""
    rated = sparse.csr_matrix((np.ones(answers.nnz), answers.indices, answers.indptr), shape=answers.shape)
    here = (rated @ inside).toarray()
    totals = np.asarray(answers.sum(1)).ravel() / np.maximum(np.diff(answers.indptr), 1)
    above = (answers @ inside).toarray() / np.maximum(here, 1.0) - totals[:, None]
    return above, here >= RATED


def _halves(answers: sparse.csr_matrix) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Every other answer of each user, and the rest."""
    place = np.arange(answers.nnz) - np.repeat(answers.indptr[:-1], np.diff(answers.indptr))
    return _part(answers, place % 2 == 0), _part(answers, place % 2 == 1)


def _part(answers: sparse.csr_matrix, stays: NDArray[np.bool_]) -> sparse.csr_matrix:
    start = np.concatenate([[0], np.cumsum(stays)])[answers.indptr]
    return sparse.csr_matrix((answers.data[stays], answers.indices[stays], start), shape=answers.shape)


def _regress(belief: Belief, viewers: NDArray[np.intp], above: Array, base: Array) -> tuple[Array, float]:
    """Level and direction of one category, (D + 1,), and the variance that the tastes leave; NaN without a view."""
    tastes = np.insert(belief.mean[viewers], 0, 1.0, axis=1)
    gram = tastes.T @ tastes + _STRENGTH * np.eye(tastes.shape[1])
    weights = base + np.linalg.solve(gram, tastes.T @ (above - tastes @ base))
    if not len(viewers):
        return weights, np.nan
    left = float(((above - tastes @ weights) ** 2).mean())
    unsure = float(np.einsum("d,nde,e->n", weights[1:], belief.covariance[viewers], weights[1:]).mean())
    return weights, max(left - unsure, _LEAST_SHARE * left)


def _doubt(fits: list[tuple[Array, float]], has_view: NDArray[np.bool_], answer_noise: float) -> float:
    """Mean noise, a view a vote; without any view, that of the mean of two answers."""
    left, votes = np.array([noise for _, noise in fits]), has_view.sum(0)
    seen = votes > 0
    mean = float(np.average(left[seen], weights=votes[seen])) if seen.any() else answer_noise / RATED
    return max(mean, _LEAST_NOISE * answer_noise)
