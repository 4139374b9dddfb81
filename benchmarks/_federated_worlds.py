"""Worlds for the federated fit: the items of MovieLens-100K with their real text, and as many generated users as asked.

Level and factors of the items are drawn from Palate's posterior given the real ratings, tastes from N(0, I). Who rates
what is tilted by taste. Ratings obey the model, so these worlds tell mechanisms apart, not Palate from other models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from benchmarks._data import load
from palate import Learner
from palate.evaluation.federated import Parts, split
from palate.random import derive_rng

Array = np.ndarray
DIM = 8
TILT = 1.0  # a user rates item i with odds proportional to popularity · exp(TILT · z · w_i)
TYPICAL, SPREAD, FEWEST, MOST = 43.0, 0.6, 15, 300  # ratings a user: log-normal, clipped; 52 on average
_ROWS = 2_000  # users drawn at once


@dataclass(frozen=True)
class Base:
    """What all worlds share.

    Attributes:
        text: Vectors of the items' text, (I, E); NaN for an item without.
        means: Posterior means of level and factors, (I, A), in stars.
        roots: Cholesky roots of their covariances, (I, A, A).
        noise: Variance of a rating given taste and item, in stars².
        popularity: Number of real ratings, (I,).
    """

    text: Array
    means: Array
    roots: Array
    noise: float
    popularity: Array


@dataclass(frozen=True)
class World:
    """Ratings of generated users, in two parts, and the level and factors of the items that they came from, (I, A)."""

    parts: Parts
    factors: Array


def movielens() -> Base:
    """From a fit of all ratings of MovieLens-100K with Palate's default encoder."""
    model = Learner.fit(load("movielens-100k"), likelihood="gaussian", dim=DIM, seed=0).model
    items = model.taste.items
    text = model.catalogue.columns("text")
    assert text is not None
    means = np.column_stack([items.level, items.factors])
    roots = np.linalg.cholesky(items.spread.covariances(items.dim + 1))
    counts = np.bincount(model.answers.indices, minlength=len(means)).astype(float)
    noise = float(np.median(items.noise))
    return Base(np.asarray(text, dtype=float), means, roots, noise, counts)


def world(base: Base, users: int, seed: int) -> World:
    """One draw of factors, tastes, who rates what, and ratings."""
    rng = derive_rng(seed, "federated world")
    n_items, size = base.means.shape
    factors = base.means + np.einsum("iab,ib->ia", base.roots, rng.normal(size=(n_items, size)))
    parts = [_ratings(base, factors, min(_ROWS, users - first), rng) for first in range(0, users, _ROWS)]
    return World(Parts(*split(sparse.vstack(parts, format="csr"), rng), base.text), factors)


def _ratings(base: Base, factors: Array, n: int, rng: np.random.Generator) -> sparse.csr_matrix:
    """Of n users, in stars, (n, I)."""
    tastes = rng.normal(size=(n, factors.shape[1] - 1))
    liked = tastes @ factors[:, 1:].T
    keys = (
        np.log(base.popularity) + TILT * liked + rng.gumbel(size=liked.shape)
    )  # the largest are a draw without return
    counts = np.clip(np.exp(rng.normal(np.log(TYPICAL), SPREAD, n)).astype(int), FEWEST, MOST)
    top = np.argpartition(-keys, MOST, axis=1)[:, :MOST]
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(keys, top, 1), 1), 1)
    rows, places = np.nonzero(np.arange(MOST) < counts[:, None])
    columns = top[rows, places]
    values = factors[columns, 0] + liked[rows, columns] + rng.normal(0.0, np.sqrt(base.noise), len(rows))
    return sparse.csr_matrix((values, (rows, columns)), shape=liked.shape)
