"""Expected entropy of a user's class in a flexible mixture model."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population
from palate.acquisition.structured.aspects import (
    RATINGS,
    Aspects,
    concentration,
    entropy_fall,
    mixtures,
    point,
    start_mixtures,
)
from palate.acquisition.structured.crowd import Positions, clusters, codes, sample, tastes
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief

CLASSES = 6  # of users, and as many of items
_ROUNDS = 40  # of expectation maximisation


def flexible_mixture(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Expected fall of the entropy of the user's mixture of classes by the answer, nats.

    As :func:`aspect_model`, where users and items have classes of their own: ``P(r | u, i) = Σ_y Σ_x θ_uy φ_ix
    P(r | x, y)``. Seldom rated items borrow from their class, and one that nobody rated is a mixture of all. Cost
    O(R K) per candidate; the classes are fitted once, O(ratings K²) a round.

    Si, Jin, *Flexible mixture model for collaborative filtering*, ICML 2003; the choice after Jin, Si, UAI 2004.
    """
    aspects = candidates.population.once("flexible mixture", fit_mixture)

    def score(one: Candidates) -> Array:
        own, weight = point(aspects, one.given, one.population.level_values)
        return entropy_fall(aspects.table[one.columns], own, weight)

    return for_each(belief, candidates, lambda _, one: score(one))


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
