"""Tables about the items, made from the population's ratings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.population import Population


def rating_users(population: Population) -> NDArray[np.intp]:
    """The user behind each rating of ``population.answers``, (N,)."""
    return population.once("users", lambda own: np.repeat(np.arange(own.n_users), np.diff(own.answers.indptr)))


def over_raters(population: Population, of_user: NDArray[np.number]) -> Array:
    """Sum of a number (U,) over the users who rated each item, (I,), without a table of items by items."""
    weights = of_user[rating_users(population)]
    return np.bincount(population.answers.indices, weights=weights, minlength=population.n_items).astype(np.float64)


def mean_over_ratings(population: Population, of_rating: Array) -> Array:
    """Mean of a number (N,) over the ratings of each item, (I,); 0 where there is none."""
    totals = np.bincount(population.answers.indices, weights=of_rating, minlength=population.n_items)
    return totals / np.maximum(population.counts, 1.0)


def rating_variances(population: Population) -> Array:
    """``s_i² = Σ_u (r_ui − r̄_i)² / n_i``, (I,); 0 for an item with fewer than two ratings."""
    residuals = population.answers.data - population.means[population.answers.indices]
    return mean_over_ratings(population, residuals**2)


def squared_errors(population: Population) -> Array:
    """Mean squared error of the fitted model on the ratings of each item, (I,): on what it was fitted to."""
    answers, taste = population.answers, population.taste
    users, predicted = rating_users(population), taste.items.level[answers.indices]
    for of_users, of_items in zip(population.tastes.T, taste.items.factors.T, strict=True):  # never (N, D) at once
        predicted += of_users[users] * of_items[answers.indices]
    expected = taste.likelihood.expected(predicted, lambda: taste.items.answer_noise[answers.indices])
    return mean_over_ratings(population, (answers.data - expected) ** 2)


def in_order(order: NDArray[np.intp], candidates: Candidates) -> Array:
    """Minus the place of each candidate in a list of all items of the population, (I,): the first has 0."""
    places = np.empty(len(order))
    places[order] = np.arange(len(order))
    return -places[candidates.columns]


def by_popularity(population: Population) -> NDArray[np.intp]:
    """All items, the most rated first."""
    return np.argsort(-population.counts, kind="stable")
