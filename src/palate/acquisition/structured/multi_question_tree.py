"""A decision tree of several questions a node."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population
from palate.acquisition.structured.crowd import Positions
from palate.acquisition.structured.functional_mf import Tastes, alternate
from palate.acquisition.structured.tree import Node, Split, arrive, most_rated, scores
from palate.acquisition.users import for_each
from palate.posteriors.statistics import unpack
from palate.posteriors.taste import Belief

QUESTIONS = 3  # a node


def multi_question_tree(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """As :func:`functional_mf`, but a node asks up to three questions and splits by a weighted sum of the answers.

    At a node, y_u is where user u lies along the direction in which its users' tastes differ most. A sparse regression
    of y on the opinions (1 love, -1 hate, 0 unknown) gives the questions and their weights; here by orthogonal matching
    pursuit, the greedy form of the source's bound on their number. Of all cuts of the weighted sum the one with the
    largest fall of the squared error parts lovers from haters; who knows none of the items goes to the third child. The
    score is ``(xᵢᵀ y)² / (xᵢᵀ xᵢ + 1)``, opinions xᵢ of item i, with the node's questions first, in order. Grown once,
    O(ratings K²) a level; asking is O(depth).

    Sun, Li, Lee, Zhou, Lebanon, Zha, *Learning multiple-question decision trees for cold-start recommendation*,
    WSDM 2013.
    """
    root = candidates.population.once("multi-question tree", build)
    mean = candidates.population.mean
    return for_each(belief, candidates, lambda _, one: scores(arrive(root, one.given, mean), one))


def build(population: Population) -> Node:
    """The tree of a population."""
    return alternate(population, _Several)


class _Several(Tastes):
    """Tastes, split by several questions."""

    def split(self, users: Positions, fitted: Array) -> Split:
        rated = self._signs[users]
        columns = most_rated(rated)
        opinions = rated[:, columns].tocsc()
        along = self._along(users, fitted)
        gains = explained(opinions, along)
        chosen, weights = matching_pursuit(opinions, along, QUESTIONS)
        if len(chosen) == 0:
            return Split(columns[:0], weights, 0.0, columns, np.zeros(len(columns)))
        cut = self._best_cut(users, fitted, opinions[:, chosen].toarray(), weights)
        return Split(columns[chosen], weights, cut, columns, gains)

    def _along(self, users: Positions, fitted: Array) -> Array:
        """Where each user lies along the direction in which they differ most, (n,)."""
        moments, errors = self._errors(users, fitted)
        dim = len(fitted)
        own = np.linalg.solve(unpack(moments) + self.ridge * np.eye(dim), errors[..., None])[..., 0]
        axis = np.linalg.eigh(own.T @ own)[1][:, -1]
        return np.asarray(own @ (axis * np.sign(axis[np.abs(axis).argmax()])))

    def _best_cut(self, users: Positions, fitted: Array, answers: Array, weights: Array) -> float:
        """Of the weighted sums there are, the one from which on users are best called lovers."""
        moments, errors = self._errors(users, fitted)
        of_users = np.concatenate([moments, errors], 1)
        known = (answers != 0).any(1)
        sums = answers @ weights
        cuts = np.unique(sums[known])
        lovers = (sums[known] >= cuts[:, None]).astype(np.float64) @ of_users[known]
        gains = self.fall(lovers) + self.fall(of_users[known].sum(0) - lovers)
        return float(cuts[gains.argmax()])


def explained(opinions: sparse.csc_matrix, along: Array) -> Array:
    """What a ridge regression on each column alone explains of the squares of ``along``, (m,)."""
    squares = np.diff(opinions.indptr)  # opinions are 1 or -1
    return np.asarray((opinions.T @ along) ** 2 / (squares + 1.0))


def matching_pursuit(opinions: sparse.csc_matrix, along: Array, most: int) -> tuple[Positions, Array]:
    """Up to so many columns that explain most of ``along``, most telling first, and their weights in a regression."""
    chosen: list[int] = []
    weights, left = np.zeros(0), along
    while len(chosen) < min(most, opinions.shape[1]):
        gains = explained(opinions, left)
        gains[chosen] = 0.0
        if not gains.max(initial=0.0) > 1e-12 * max(1.0, float(along @ along)):
            break
        chosen.append(int(gains.argmax()))
        columns = opinions[:, chosen].toarray()
        weights = np.linalg.solve(columns.T @ columns + np.eye(len(chosen)), columns.T @ along)
        left = along - columns @ weights
    return np.array(chosen, dtype=np.intp), weights
