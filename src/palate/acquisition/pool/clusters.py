"""k-means of features, by scikit-learn, and the candidate nearest to each centre."""

from __future__ import annotations

import warnings

import numpy as np

from palate.acquisition.draw import Batch
from palate.arrays import Array, Positions

MANY = 20_000  # rows, from which on mini-batches are used


def k_means(features: Array, k: int, *, rng: np.random.Generator, weights: Array | None = None) -> Positions:
    """Cluster of each row, (N,), in at most ``k`` clusters: as many as there are different rows."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    rows = features.astype(np.float32)  # half the time; what differs by less than that is one place anyway
    k = min(k, len(np.unique(rows, axis=0)))
    if k <= 1:
        return np.zeros(len(features), dtype=np.intp)
    kind = KMeans if len(rows) <= MANY else MiniBatchKMeans
    model = kind(n_clusters=k, n_init=1, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():  # rows far nearer to each other than to others may end in fewer clusters
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(model.fit_predict(rows, sample_weight=weights), dtype=np.intp)


def central(features: Array, k: int, *, rng: np.random.Generator, weights: Array | None = None) -> Batch:
    """Of each of ``k`` clusters the row nearest to its (weighted) mean, and rows at random where clusters are fewer.

    The largest cluster comes first.
    """
    from palate.acquisition.pool.geometry import distance

    clusters = k_means(features, k, rng=rng, weights=weights)
    weights = np.ones(len(features)) if weights is None else weights
    items: list[int] = []
    for cluster in np.argsort(-np.bincount(clusters), kind="stable"):
        rows = np.flatnonzero(clusters == cluster)
        if len(rows):
            share = weights[rows] if weights[rows].sum() > 0 else np.ones(len(rows))
            centre = np.average(features[rows], axis=0, weights=share)
            items.append(int(rows[distance(features[rows], centre).argmin()]))
    return filled(Batch.of(items[:k], [1.0] * len(items[:k])), k, len(features), rng=rng)


def filled(batch: Batch, k: int, n: int, *, rng: np.random.Generator) -> Batch:
    """The batch, and uniform draws from the ``n`` candidates until it has ``k`` or all."""
    left = np.setdiff1d(np.arange(n), batch.items)
    extra = rng.permutation(left)[: max(0, k - len(batch))]
    chances = 1.0 / np.arange(len(left), len(left) - len(extra), -1)
    return Batch(np.concatenate([batch.items, extra]), np.concatenate([batch.propensities, chances]))
