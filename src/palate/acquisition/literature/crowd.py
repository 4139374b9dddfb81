"""What strategies of the crowd share: tables about the items, rating levels, parts of a large crowd, clusters."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from palate.acquisition.candidates import Candidates
from palate.arrays import Array, Mask, Positions
from palate.posteriors.population import Population


def rating_users(population: Population) -> Positions:
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
    items, of = taste.items, answers.indices
    expected = taste.likelihood.expected(predicted, lambda: items.answer_noise[of], items.noise[of])
    return mean_over_ratings(population, (answers.data - expected) ** 2)


def in_order(order: Positions, candidates: Candidates) -> Array:
    """Minus the place of each candidate in a list of all items of the population, (I,): the first has 0."""
    places = np.empty(len(order))
    places[order] = np.arange(len(order))
    return -places[candidates.columns]


def by_popularity(population: Population) -> Positions:
    """All items, the most rated first."""
    return np.argsort(-population.counts, kind="stable")


_ROUNDS = 10  # of 2-means in one bisection


def codes(level_values: Array, values: Array) -> Positions:
    """Which rating level each value is, 0 to R - 1; the level above where it lies between two."""
    return np.minimum(np.searchsorted(level_values, values), len(level_values) - 1)


def sample(answers: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """Every n-th user, so that at most about so many ratings are left; empty rows stay out."""
    rated = answers[np.flatnonzero(np.diff(answers.indptr))]
    return rated[:: max(1, -(-rated.nnz // most))]


def opinions(answers: sparse.csr_matrix, mean: float) -> sparse.csr_matrix:
    """1 where a rating is at or above the mean of all (loves it), -1 where it is below (hates it); same entries."""
    signs = np.where(answers.data >= mean, 1.0, -1.0)
    return sparse.csr_matrix((signs, answers.indices, answers.indptr), shape=answers.shape)


def tastes(population: Population, answers: sparse.csr_matrix) -> Array:
    """Mean tastes of some users of the population, (n, D)."""
    return population.taste.believe(answers).mean


def k_means(points: Array, first: Array, k: int, *, rounds: int) -> tuple[Array, Positions]:
    """Lloyd's k-means without draws: centres (G, D) and the cluster of each point, (n,).

    It starts from ``first``, (D,), and then each time the point farthest from all centres so far. Fewer than k where
    points coincide.

    References:
        Gonzalez, Clustering to minimize the maximum intercluster distance, 1985 (the start).
    """
    centres = first[None].copy()
    while len(centres) < k and len(points):
        gaps = cdist(points, centres).min(1)
        if gaps.max() == 0:
            break
        centres = np.concatenate([centres, points[[gaps.argmax()]]])
    for _ in range(rounds):
        labels = cdist(points, centres).argmin(1)
        for label in np.unique(labels):
            centres[label] = points[labels == label].mean(0)
    return centres, cdist(points, centres).argmin(1)


def clusters(points: Array, k: int) -> Positions:
    """Cluster of each point, (n,), by bisecting k-means: the widest cluster is halved until there are k.

    Halves start on both sides of the cluster's longest axis, so nothing is drawn. Fewer than k where points coincide.

    References:
        Steinbach, Karypis, Kumar, A comparison of document clustering techniques, KDD Workshop on Text Mining, 2000.
    """
    labels = np.zeros(len(points), dtype=np.intp)
    for new in range(1, k if len(points) else 0):
        count = np.bincount(labels)
        sums = np.stack([np.bincount(labels, column) for column in points.T], 1)
        spread = ((points - (sums / count[:, None])[labels]) ** 2).sum(1)
        members = np.flatnonzero(labels == np.bincount(labels, spread).argmax())
        side = _halves(points[members])
        if not side.any():
            break
        labels[members[side]] = new
    return labels


def _halves(points: Array) -> Mask:
    """Which points are in the second half; none where they coincide."""
    centred = points - points.mean(0)
    if len(points) < 2 or np.abs(centred).max() < 1e-12:
        return np.zeros(len(points), dtype=bool)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    axis = axis * np.sign(axis[np.abs(axis).argmax()])  # an eigenvector has no sign of its own
    side = centred @ axis > 0
    for _ in range(_ROUNDS):
        first, second = centred[~side].mean(0), centred[side].mean(0)
        moved = centred @ (second - first) > (second @ second - first @ first) / 2
        if (moved == side).all() or not 0 < moved.sum() < len(moved):
            break
        side = moved
    return np.asarray(side)
