"""Bootstrapping by a decision tree."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population
from palate.acquisition.structured.crowd import Positions, opinions, sample
from palate.acquisition.structured.tree import RATINGS, Node, Split, arrive, grow, most_rated, scores
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief

SMOOTHING = 10.0  # ratings at the parent's mean that every item of a node holds in advance
_CELLS = 2_000_000  # of a table of questions by items held at once


def decision_tree(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Fall of the population's squared error when the user's node is split by the item, squared ratings.

    A node's users divide into those who love an item (rated at or above the mean of all ratings), hate it, or do not
    know it. The gain is ``Σ_g Σ_j [Σ_u (r_uj - μ_j)² - Σ_u (r_uj - μ_gj)²]`` over the three groups g, all items j
    and the group's ratings of it, where a group's mean is smoothed to its parent's: ``μ_gj = (Σ r_uj + λ μ_j) / (n_gj
    + λ)``. The node's question is the item of the largest gain; the others come after by gain, so that there is a next
    question where a node is a leaf or its own cannot be put. Grown once, O(Σ_u n_u²) a level, on at most a million
    ratings; asking is O(depth).

    Golbandi, Koren, Lempel, *Adaptive bootstrapping of recommender systems using decision trees*, WSDM 2011.
    """
    root = candidates.population.once("decision tree", build)
    mean = candidates.population.mean
    return for_each(belief, candidates, lambda _, one: scores(arrive(root, one.given, mean), one))


def build(population: Population) -> Node:
    """The tree of a population."""
    answers = sample(population.answers, RATINGS)
    signs = opinions(answers, population.mean)
    return grow(_ItemMeans(answers, signs), signs, np.full(population.n_items, population.mean))


class _ItemMeans:
    """A node predicts each item's mean among its users."""

    def __init__(self, answers: sparse.csr_matrix, signs: sparse.csr_matrix) -> None:
        self._answers, self._signs = answers, signs

    def fit(self, users: Positions, above: Array) -> Array:
        """Means of the items, (I,), smoothed to the parent's."""
        rated = self._answers[users]
        counts = np.bincount(rated.indices, minlength=len(above))
        sums = np.bincount(rated.indices, rated.data, minlength=len(above))
        return np.asarray((sums + SMOOTHING * above) / (counts + SMOOTHING))

    def split(self, users: Positions, fitted: Array) -> Split:
        rated = self._answers[users]
        columns = most_rated(rated)
        deviations = rated.copy()
        deviations.data = rated.data - fitted[rated.indices]
        signs, gains = self._signs[users], np.zeros(len(columns))
        size = max(1, _CELLS // max(1, rated.shape[1]))
        for start in range(0, len(columns), size):
            gains[start : start + size] = split_gains(deviations, signs[:, columns[start : start + size]])
        if len(columns) == 0:
            return Split(columns, np.zeros(0), 0.0, columns, gains)
        return Split.single(columns, gains)


def split_gains(deviations: sparse.csr_matrix, signs: sparse.csr_matrix) -> Array:
    """Fall of the squared error by the groups that each question makes, (m,).

    Args:
        deviations: Ratings of a node's n users less the node's means, (n, I).
        signs: Their opinions of the questions, (n, m).
    """
    seen = deviations.copy()
    seen.data = np.ones_like(seen.data)
    rest, others = np.asarray(deviations.sum(0)), np.asarray(seen.sum(0))  # of those who do not know it, by subtraction
    gains = np.zeros(signs.shape[1])
    by_question = signs.T.tocsr()
    for sign in (1.0, -1.0):
        members = by_question.copy()
        members.data = (by_question.data == sign).astype(np.float64)
        members.eliminate_zeros()
        sums, counts = (members @ deviations).toarray(), (members @ seen).toarray()
        gains += smoothed_fall(sums, counts).sum(1)
        rest, others = rest - sums, others - counts
    return np.asarray(gains + smoothed_fall(rest, others).sum(1))


def smoothed_fall(sums: Array, counts: Array) -> Array:
    """Fall of the squared error of n deviations with sum d when their smoothed mean is taken out, ``d / (n + λ)``."""
    return np.asarray(sums**2 * (counts + 2.0 * SMOOTHING) / (counts + SMOOTHING) ** 2)
