"""Aspect models: users as mixtures of a few aspects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.special import digamma, xlogy

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import clusters, codes, sample, tastes
from palate.acquisition.per_user import each_user
from palate.arrays import TINY, Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.population import Given, Population

ASPECTS = 10
CLASSES = 6  # of users, and as many of items, in the flexible mixture
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
    of_cells, of_users = _sums(cells, population.n_items * n_levels), _sums(rows, len(own))
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


@each_user
def aspect_model(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what tells most about the user's aspects, by a point estimate.

    The expected fall of the mixture's entropy by the answer, in nats, (I,) or (n, I):
    ``H(θ) - Σ_r P(r | i, θ) H(θ')``, ``P(r | i, θ) = Σ_z θ_z P(r | i, z)``; the most probable mixture θ, from T
    answers, counts as the true one, and ``θ' = ((T + 1) θ + γ) / (T + 2)`` with γ the aspects responsible for r. H(θ)
    is the same for all items, so this orders them as the expected entropy does. An item that nobody rated has 0. Cost
    O(R K) per candidate; the aspects are fitted once.

    References:
        Boutilier, Zemel, Marlin, Active collaborative filtering, UAI 2003, on the aspect model of Hofmann, Latent
        semantic models for collaborative filtering, ACM TOIS 22(1), 2004; the update of θ: Jin, Si, A Bayesian approach
        toward active learning for collaborative filtering, UAI 2004.
    """
    return _fall_of_point(candidates.population.once("aspects", fit_aspects), candidates)


def _fall_of_point(aspects: Aspects, candidates: Candidates) -> Array:
    own, weight = point(aspects, candidates.given, candidates.population.level_values)
    return entropy_fall(aspects.table[candidates.columns], own, weight)


@each_user
def bayesian_aspect(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what tells most about the user's aspects, averaged over what is believed of them.

    The expected fall of the cross-entropy between the true and the believed mixture, in nats, (I,) or (n, I). The
    mixture θ has a Dirichlet posterior of parameters α, sum A, mean m. Averaged over it, ``Σ_r E[P(r | i, θ) Σ_z θ_z
    log (m'_rz / m_z)]``, m'_r the mean once the answer is r. The source draws models from the posterior; the average
    has a closed form: by the Dirichlet's second moments ``E[θ_z P(r | i, θ)] = P(r | i, m) m'_rz`` with ``m'_r = (A m +
    γ_r) / (A + 1)``, so this is ``Σ_r P(r | i, m) KL(m'_r ‖ m)``, which equals the expected fall of the entropy of the
    mean. A hesitant posterior (small A) thus moves, a firm one stays. Cost O(R K) per candidate; the aspects are fitted
    once.

    References:
        Jin, Si, A Bayesian approach toward active learning for collaborative filtering, UAI 2004.
    """
    aspects = candidates.population.once("aspects", fit_aspects)
    counts = posterior(aspects, candidates.given, candidates.population.level_values)
    total = float(counts.sum())
    return entropy_fall(aspects.table[candidates.columns], counts / total, total)


def personalised(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what an answer would tell of the user's aspects, if there is one.

    P(the user can rate the item) times :func:`bayesian_aspect`, in nats, (I,) or (n, I). Cost O(R K) per candidate.

    References:
        Harpale, Yang, Personalized active learning for collaborative filtering, SIGIR 2008.
    """
    return candidates.known * bayesian_aspect(belief, candidates, rng=rng)


@each_user
def flexible_mixture(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what tells most about the user's class, in a flexible mixture.

    The expected fall of the entropy of the user's mixture of classes by the answer, in nats, (I,) or (n, I). As
    :func:`aspect_model`, where users and items have classes of their own: ``P(r | u, i) = Σ_y Σ_x θ_uy φ_ix P(r | x,
    y)``. Seldom rated items borrow from their class, and one that nobody rated is a mixture of all. Cost O(R K) per
    candidate; the classes are fitted once, O(ratings K²) a round.

    References:
        Si, Jin, Flexible mixture model for collaborative filtering, ICML 2003; the choice after Jin, Si, A Bayesian
        approach toward active learning for collaborative filtering, UAI 2004.
    """
    return _fall_of_point(candidates.population.once("flexible mixture", fit_mixture), candidates)


def fit_mixture(population: Population) -> Aspects:
    """User classes as aspects, with the item classes summed out."""
    answers = sample(population.answers, RATINGS)
    levels, n_levels = codes(population.level_values, answers.data), len(population.level_values)
    items = population.taste.items
    of_items = start_mixtures(clusters(np.column_stack([items.level, items.factors]), CLASSES), CLASSES)
    of_users = start_mixtures(clusters(tastes(population, answers), CLASSES), CLASSES)
    rows = np.repeat(np.arange(answers.shape[0]), np.diff(answers.indptr))
    to_users, to_items = _sums(rows, answers.shape[0]), _sums(answers.indices, population.n_items)
    to_levels = _sums(levels, n_levels)
    chances = np.ones((n_levels, CLASSES, CLASSES))  # P(level | item class, user class); the classes lean at the start
    for _ in range(_ROUNDS):
        joint = of_items[answers.indices][:, :, None] * of_users[rows][:, None, :] * chances[levels]
        joint /= joint.sum((1, 2), keepdims=True)
        of_users, of_items = mixtures(to_users @ joint.sum(1)), mixtures(to_items @ joint.sum(2))
        chances = _chances((to_levels @ joint.reshape(-1, CLASSES**2)).reshape(chances.shape))
    return Aspects(np.einsum("ix,rxy->iry", of_items, chances), *concentration(of_users))


def _sums(groups: Positions, n: int) -> sparse.csr_matrix:
    """What adds up entries by their group, (n, N)."""
    return sparse.csr_matrix((np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(n, len(groups)))


def _chances(counts: Array) -> Array:
    """P(level | classes) from expected counts (R, K, K); every level has one rating by the shares of all."""
    overall = counts.sum((1, 2)) + 1.0
    counts = counts + len(counts) * (overall / overall.sum())[:, None, None]
    return np.asarray(counts / counts.sum(0))
