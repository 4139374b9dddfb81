"""Trees of questions: what is asked next hangs on the answers so far."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import opinions, sample
from palate.acquisition.literature.regression_tree import (
    RATINGS,
    Node,
    Split,
    arrive,
    grow,
    members_of,
    most_rated,
    scores,
)
from palate.acquisition.per_user import each_user
from palate.arrays import Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.population import Population
from palate.posteriors.statistics import pack, unpack

SMOOTHING = 10.0  # ratings at the parent's mean that every item of a node holds in advance
_CELLS = 2_000_000  # of a table of questions by items held at once
ROUNDS = 2  # trees grown, with the factors fitted to the nodes' tastes in between
QUESTIONS = 3  # a node, at most


@each_user
def decision_tree(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what best splits users like this one, down a decision tree.

    The fall of the population's squared error when the user's node is split by the item, in squared ratings, (I,) or
    (n, I). A node's users divide into those who love an item (rated at or above the mean of all ratings), hate it, or
    do not know it. The gain is ``Σ_g Σ_j [Σ_u (r_uj - μ_j)² - Σ_u (r_uj - μ_gj)²]`` over the three groups g, all items
    j and the group's ratings of it, where a group's mean is smoothed to its parent's: ``μ_gj = (Σ r_uj + λ μ_j) / (n_gj
    + λ)``. The node's question is the item of the largest gain; the others come after by gain, so that there is a next
    question where a node is a leaf or its own cannot be put. Grown once, O(Σ_u n_u²) a level, on at most a million
    ratings; asking is O(depth).

    References:
        Golbandi, Koren, Lempel, Adaptive bootstrapping of recommender systems using decision trees, WSDM 2011.
    """
    return _at_node(candidates.population.once("decision tree", build_decision_tree), candidates)


def _at_node(root: Node, candidates: Candidates) -> Array:
    """Scores at the node where the user stands."""
    return scores(arrive(root, candidates.given, candidates.population.mean), candidates)


def build_decision_tree(population: Population) -> Node:
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
    for members in members_of(signs):
        sums, counts = (members @ deviations).toarray(), (members @ seen).toarray()
        gains += smoothed_fall(sums, counts).sum(1)
        rest, others = rest - sums, others - counts
    return np.asarray(gains + smoothed_fall(rest, others).sum(1))


def smoothed_fall(sums: Array, counts: Array) -> Array:
    """Fall of the squared error of n deviations with sum d when their smoothed mean is taken out, ``d / (n + λ)``."""
    return np.asarray(sums**2 * (counts + 2.0 * SMOOTHING) / (counts + SMOOTHING) ** 2)


@each_user
def functional_mf(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what best splits users like this one, down a tree of tastes.

    The fall of the population's squared error when the user's node is split by the item, in squared ratings, (I,) or
    (n, I). As :func:`decision_tree`, but a node holds one taste x (K,) for its users, close to its parent's:
    ``min_x Σ_u Σ_j (r_uj - m_j - w_j · x)² + λ ‖x - x_parent‖²``, m the items' means and λ the variance about them. By
    the closed form, the fall by a split is ``Σ_g e_gᵀ (A_g + λI)⁻¹ e_g``, ``A_g = Σ w wᵀ`` and ``e_g = Σ w
    (r - m - w · x)`` over the group's ratings. Tree and factors w are fitted in turn, from the model's factors on.
    Grown once, O(ratings K² + m K³) a level of m considered items; asking is O(depth).

    References:
        Zhou, Yang, Zha, Functional matrix factorizations for cold-start recommendation, SIGIR 2011.
    """
    return _at_node(candidates.population.once("functional mf", build_functional_mf), candidates)


def build_functional_mf(population: Population) -> Node:
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
        return Split.single(columns, self.gains(users, fitted, self._signs[users][:, columns]))

    def gains(self, users: Positions, fitted: Array, signs: sparse.csr_matrix) -> Array:
        """Fall of the squared error by the groups that each of m questions makes, signs (n, m) to (m,)."""
        moments, errors = self._errors(users, fitted)
        rest = np.concatenate([moments, errors], 1)
        total, gains = rest.sum(0), np.zeros(signs.shape[1])
        for members in members_of(signs):
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


@each_user
def multi_question_tree(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what best splits users like this one, several questions a node.

    As :func:`functional_mf`, but a node asks up to three questions and splits by a weighted sum of the answers. At a
    node, y_u is where user u lies along the direction in which its users' tastes differ most. A sparse regression of y
    on the opinions (1 love, -1 hate, 0 unknown) gives the questions and their weights; here by orthogonal matching
    pursuit, the greedy form of the source's bound on their number. Of all cuts of the weighted sum the one with the
    largest fall of the squared error parts lovers from haters; who knows none of the items goes to the third child. The
    score is ``(xᵢᵀ y)² / (xᵢᵀ xᵢ + 1)``, opinions xᵢ of item i, with the node's questions first, in order. Grown once,
    O(ratings K²) a level; asking is O(depth).

    References:
        Sun, Li, Lee, Zhou, Lebanon, Zha, Learning multiple-question decision trees for cold-start recommendation, WSDM
        2013.
    """
    return _at_node(candidates.population.once("multi-question tree", build_multi_question_tree), candidates)


def build_multi_question_tree(population: Population) -> Node:
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
