"""Functional matrix factorisation: a decision tree whose nodes are tastes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population
from palate.acquisition.structured.crowd import Positions, opinions, sample
from palate.acquisition.structured.tree import RATINGS, Node, Split, arrive, grow, most_rated, scores
from palate.acquisition.users import for_each
from palate.posteriors.statistics import pack, unpack
from palate.posteriors.taste import Belief

ROUNDS = 2  # trees grown, with the factors fitted to the nodes' tastes in between


def functional_mf(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Fall of the population's squared error when the user's node is split by the item, squared ratings.

    As :func:`decision_tree`, but a node holds one taste x (K,) for its users, close to its parent's:
    ``min_x Σ_u Σ_j (r_uj - m_j - w_j · x)² + λ ‖x - x_parent‖²``, m the items' means and λ the variance about them. By
    the closed form, the fall by a split is ``Σ_g e_gᵀ (A_g + λI)⁻¹ e_g``, ``A_g = Σ w wᵀ`` and ``e_g = Σ w
    (r - m - w · x)`` over the group's ratings. Tree and factors w are fitted in turn, from the model's factors on.
    Grown once, O(ratings K² + m K³) a level of m considered items; asking is O(depth).

    Zhou, Yang, Zha, *Functional matrix factorizations for cold-start recommendation*, SIGIR 2011.
    """
    root = candidates.population.once("functional mf", build)
    mean = candidates.population.mean
    return for_each(belief, candidates, lambda _, one: scores(arrive(root, one.given, mean), one))


def build(population: Population) -> Node:
    """The tree of a population."""
    return alternate(population, Tastes)


def alternate(population: Population, kind: type[Tastes]) -> Node:
    """Tree and factors, fitted in turn."""
    answers = sample(population.answers, RATINGS)
    signs = opinions(answers, population.mean)
    residuals = answers.copy()
    residuals.data = answers.data - population.means[answers.indices]
    factors = population.taste.items.factors
    for turn in range(ROUNDS):
        grower = kind(residuals, signs, factors)
        root = grow(grower, signs, np.zeros(factors.shape[1]))
        if turn < ROUNDS - 1:
            factors = fit_factors(residuals, grower.tastes, grower.ridge)
    return root


def fit_factors(residuals: sparse.csr_matrix, tastes: Array, ridge: float) -> Array:
    """Factors of the items by ridge regression on the users' tastes, (I, K)."""
    by_item = residuals.T.tocsr()
    seen = sparse.csr_matrix((np.ones(by_item.nnz), by_item.indices, by_item.indptr), shape=by_item.shape)
    moments = unpack(seen @ pack(tastes[:, :, None] * tastes[:, None, :]))
    return np.asarray(_solve(moments + ridge * np.eye(tastes.shape[1]), by_item @ tastes))


class Tastes:
    """A node predicts ratings by one taste.

    Attributes:
        ridge: λ.
        tastes: Of each user's deepest node so far, (U, K).
    """

    def __init__(self, residuals: sparse.csr_matrix, signs: sparse.csr_matrix, factors: Array) -> None:
        seen = sparse.csr_matrix((np.ones(residuals.nnz), residuals.indices, residuals.indptr), shape=residuals.shape)
        self._signs = signs
        self._moments = seen @ pack(factors[:, :, None] * factors[:, None, :])  # (U, K (K + 1) / 2)
        self._pulls = np.asarray(residuals @ factors)  # (U, K)
        variance = float((residuals.data**2).mean()) if residuals.nnz else 0.0
        self.ridge = variance if variance > 0.0 else 1.0
        self.tastes = np.zeros_like(self._pulls)

    def fit(self, users: Positions, above: Array) -> Array:
        """The taste of some users, (K,)."""
        moment, pull = unpack(self._moments[users].sum(0)), self._pulls[users].sum(0)
        taste = above + _solve(moment + self.ridge * np.eye(len(above)), pull - moment @ above)
        self.tastes[users] = taste
        return np.asarray(taste)

    def split(self, users: Positions, fitted: Array) -> Split:
        columns = most_rated(self._signs[users])
        if len(columns) == 0:
            return Split(columns, np.zeros(0), 0.0, columns, np.zeros(0))
        return Split.single(columns, self.gains(users, fitted, self._signs[users][:, columns]))

    def gains(self, users: Positions, fitted: Array, signs: sparse.csr_matrix) -> Array:
        """Fall of the squared error by the groups that each of m questions makes, signs (n, m) to (m,)."""
        moments, errors = self._errors(users, fitted)
        by_question = signs.T.tocsr()
        rest = np.concatenate([moments, errors], 1)
        total, gains = rest.sum(0), np.zeros(signs.shape[1])
        for sign in (1.0, -1.0):
            members = by_question.copy()
            members.data = (by_question.data == sign).astype(np.float64)
            part = members @ rest
            gains += self.fall(part)
            total = total - part
        return np.asarray(gains + self.fall(total))

    def _errors(self, users: Positions, fitted: Array) -> tuple[Array, Array]:
        """Packed moments (n, P) of some users, and what pulls each away from the node's taste, (n, K)."""
        moments = self._moments[users]
        return moments, self._pulls[users] - unpack(moments) @ fitted

    def fall(self, parts: Array) -> Array:
        """``eᵀ (A + λI)⁻¹ e`` of groups, their packed moments and their pulls side by side, (m, P + K) to (m,)."""
        dim = self.tastes.shape[1]
        moments, errors = unpack(parts[:, :-dim]), parts[:, -dim:]
        return np.asarray((errors * _solve(moments + self.ridge * np.eye(dim), errors)).sum(1))


def _solve(matrices: Array, vectors: Array) -> Array:
    return np.asarray(np.linalg.solve(matrices, vectors[..., None])[..., 0])
