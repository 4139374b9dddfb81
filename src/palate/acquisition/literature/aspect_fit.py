"""Latent aspects: every user mixes a few, and each aspect has its own distribution of ratings for every item.

``P(r | u, i) = Σ_z θ_uz P(r | i, z)``, fitted by expectation maximisation. Hofmann, *Latent semantic models for
collaborative filtering*, ACM Transactions on Information Systems 22(1), 2004.

Shapes: ``K`` aspects, ``R`` rating levels, ``N`` ratings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.special import digamma, xlogy

from palate.acquisition.literature.crowd import clusters, codes, sample, tastes
from palate.arrays import TINY, Array, Positions
from palate.posteriors.population import Given, Population

ASPECTS = 10
RATINGS = 300_000  # the fit uses at most about so many
_ROUNDS = 40  # of expectation maximisation
_FOLDS = 20  # of it for one user
_OF_USER = 1.0  # answers that a user's prior counts for in the fit
_OF_ITEM = 2.0  # ratings that an item's own shares count for in each aspect
_START = 0.7  # weight of a user's cluster at the start


@dataclass(frozen=True, slots=True)
class Aspects:
    """What is fitted.

    Attributes:
        table: P(level | item, aspect), (I, R, K); never 0.
        prior: Mean of the users' mixtures, (K,).
        strength: Answers that the prior is worth: the Dirichlet of the users' mixtures has ``strength * prior``.
    """

    table: Array
    prior: Array
    strength: float


def fit_aspects(population: Population) -> Aspects:
    """Aspects of the population; of nobody, all aspects are alike."""
    answers = sample(population.answers, RATINGS)
    own = start_mixtures(clusters(tastes(population, answers), ASPECTS), ASPECTS)
    levels = codes(population.level_values, answers.data)
    n_levels = len(population.level_values)
    cells = answers.indices * n_levels + levels
    rows = np.repeat(np.arange(answers.shape[0]), np.diff(answers.indptr))
    of_cells = sparse.csr_matrix(
        (np.ones(len(cells)), (cells, np.arange(len(cells)))), shape=(population.n_items * n_levels, len(cells))
    )
    of_users = sparse.csr_matrix((np.ones(len(rows)), np.arange(len(rows)), answers.indptr), (len(own), len(rows)))
    shares = smoothed_shares(population, levels)
    table = _normalised(of_cells @ own[rows], shares)
    for _ in range(_ROUNDS):
        responsible = own[rows] * table.reshape(-1, ASPECTS)[cells]
        responsible /= responsible.sum(1, keepdims=True)
        own = mixtures(of_users @ responsible)
        table = _normalised(of_cells @ responsible, shares)
    return Aspects(table, *concentration(own))


def start_mixtures(labels: Positions, k: int) -> Array:
    """Mixtures that lean to each one's cluster, (n, k)."""
    own = np.full((len(labels), k), (1.0 - _START) / k)
    own[np.arange(len(labels)), labels] += _START
    return own


def mixtures(counts: Array) -> Array:
    """Mixtures from expected counts, (n, k), with the population's as their prior."""
    prior = counts.sum(0) + 1.0
    counts = counts + _OF_USER * prior / prior.sum()
    return np.asarray(counts / counts.sum(1, keepdims=True))


def concentration(own: Array) -> tuple[Array, float]:
    """Mean and strength of the Dirichlet with the first two moments of some mixtures, (n, K), strength in [1, 100]."""
    if len(own) == 0:
        return np.full(own.shape[1], 1.0 / own.shape[1]), 1.0
    mean = own.mean(0)
    spread = float(own.var(0).sum())
    strength = float((mean * (1.0 - mean)).sum()) / max(spread, TINY) - 1.0
    return mean, float(np.clip(strength, 1.0, 100.0))


def smoothed_shares(population: Population, levels: Positions) -> Array:
    """Share of each level among an item's ratings, (I, R), with all ratings' shares as one more rating a level."""
    n_levels = len(population.level_values)
    overall = (np.bincount(levels, minlength=n_levels) + 1.0) / (len(levels) + n_levels)
    counts = np.zeros((population.n_items, n_levels))
    of_all = codes(population.level_values, population.answers.data)
    np.add.at(counts, (population.answers.indices, of_all), 1.0)
    return np.asarray((counts + n_levels * overall) / (counts.sum(1, keepdims=True) + n_levels))


def _normalised(counts: Array, shares: Array) -> Array:
    """P(level | item, aspect) from expected counts (I R, K), smoothed by the item's own shares, (I, R, K)."""
    counts = counts.reshape(*shares.shape, -1) + _OF_ITEM * shares[..., None]
    return np.asarray(counts / counts.sum(1, keepdims=True))


def _of_answers(aspects: Aspects, given: Given, level_values: Array) -> Array:
    """P(what was answered | aspect), (T, K), for one user."""
    columns, values = given.rated()
    return aspects.table[columns, codes(level_values, values)]


def point(aspects: Aspects, given: Given, level_values: Array) -> tuple[Array, float]:
    """A user's most probable mixture, (K,), and how many answers it rests on, the prior's one among them."""
    likelihood = _of_answers(aspects, given, level_values)
    own, weight = aspects.prior, len(likelihood) + _OF_USER
    for _ in range(_FOLDS if len(likelihood) else 0):
        responsible = own * likelihood
        responsible /= responsible.sum(1, keepdims=True)
        own = (responsible.sum(0) + _OF_USER * aspects.prior) / weight
    return own, weight


def posterior(aspects: Aspects, given: Given, level_values: Array) -> Array:
    """Parameters of the Dirichlet believed of a user's mixture, (K,), by variational Bayes."""
    likelihood = _of_answers(aspects, given, level_values)
    start = aspects.strength * aspects.prior
    counts = start + len(likelihood) * aspects.prior
    for _ in range(_FOLDS if len(likelihood) else 0):
        responsible = np.exp(digamma(counts)) * likelihood + TINY
        counts = start + (responsible / responsible.sum(1, keepdims=True)).sum(0)
    return np.asarray(counts)


def entropy_fall(table: Array, own: Array, weight: float) -> Array:
    """Expected fall of the entropy of a mixture (K,) by an answer to each item, (m, R, K) to (m,), nats.

    An answer r moves θ to ``(weight θ + γ_r) / (weight + 1)``, ``γ_rz = θ_z P(r | i, z) / P(r | i)``. Its mean over r
    is θ, so by concavity the fall is never below 0.
    """
    joint = table * own
    chance = joint.sum(2)
    moved = (weight * own + joint / chance[..., None]) / (weight + 1.0)
    after = -xlogy(moved, moved).sum(2)
    return np.asarray(np.maximum(-xlogy(own, own).sum() - (chance * after).sum(1), 0.0))
