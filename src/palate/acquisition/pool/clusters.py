"""Batches of the middles of clusters."""

from __future__ import annotations

import warnings

import numpy as np

from palate.acquisition.draw import Batch, first
from palate.acquisition.pool.geometry import neighbours
from palate.acquisition.pool.greedy import Chosen, one_by_one
from palate.acquisition.pool.information import entropy
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array, Positions

MANY = 20_000  # rows, from which on mini-batches are used
NEIGHBOURS = 20  # by which a candidate is typical
MOST_CLUSTERS = 500


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


def clue(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Label the centres of clusters in which uncertain candidates weigh more (CLUE).

    The candidate nearest to each of ``k`` means of an entropy-weighted k-means. O(N k E) a round.

    References:
        Prabhu, Chandrasekaran, Saenko, Hoffman, Active domain adaptation via clustering uncertainty-weighted
        embeddings, ICCV 2021. arXiv:2010.08666.
    """
    weights = entropy(pool.mean)
    weights = weights if weights.sum() > 0 else np.ones(len(pool))
    return central(pool.features, at_most(k, pool), rng=rng, weights=weights)


def drop_query(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Label the centres of clusters of what a network with dropout changes its mind about (DropQuery).

    The candidate nearest to each of ``k`` k-means centres, among those on which most draws differ from the mean. The
    draws of the pool stand for the passes with dropout. Where fewer than ``k`` candidates have over half of the
    draws predict another class than the mean does, the ``k`` of most differing draws. O(N (T C + k E)).

    References:
        Gupte, Aklilu, Nirschl, Yeung-Levy, Revisiting active learning in the era of vision foundation models, TMLR
        2024. arXiv:2401.14555.
    """
    k = at_most(k, pool)
    differ = (pool.samples.argmax(2) != pool.mean.argmax(1)).mean(0)
    order = np.lexsort((rng.random(len(pool)), -differ))
    asked = order[: max(k, int((differ > 0.5).sum()))]
    return central(pool.features[asked], k, rng=rng).within(asked)


def typiclust(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""Label the most typical of each cluster without a label, for the very first labels.

    Of each of ``L + k`` clusters, those with fewest labels and then the largest first, the most typical candidate:

    .. math:: \text{typicality}(x) = \Big(\tfrac1K \sum_{j \in \mathrm{NN}_K(x)} \lVert x - x_j \rVert\Big)^{-1}

    with the neighbours within the cluster, K = 20 at most. k-means of at most 500 clusters, then a neighbour search in
    each cluster that is chosen from: O(N (L + k) E) a round.

    References:
        Hacohen, Dekel, Weinshall, Active learning on a budget: opposite strategies suit high and low budgets, ICML
        2022. arXiv:2202.02794.
    """
    k = at_most(k, pool)
    n_clusters = min(len(pool.labels) + k, MOST_CLUSTERS)
    clusters = k_means(np.concatenate([pool.features, pool.labelled]), n_clusters, rng=rng)
    of_candidates, of_labelled = clusters[: len(pool)], clusters[len(pool) :]
    covered = np.bincount(of_labelled, minlength=clusters.max() + 1).astype(np.float64)
    sizes, left = np.bincount(clusters), np.bincount(of_candidates, minlength=clusters.max() + 1)
    typical = np.full(len(pool), np.nan)

    def pick(items: Chosen) -> tuple[int, float]:
        cluster = np.lexsort((-sizes, np.where(left > 0, covered, np.inf)))[0]
        inside = np.flatnonzero(of_candidates == cluster)
        if np.isnan(typical[inside]).any():
            typical[inside] = _typicality(pool.features, inside)
        open_ = np.setdiff1d(inside, items)
        place, chance = first(typical[open_], rng=rng)
        covered[cluster] += 1
        left[cluster] -= 1
        return int(open_[place]), chance

    return one_by_one(k, pick)


def _typicality(features: Array, inside: Positions) -> Array:
    if len(inside) == 1:
        return np.ones(1)
    distances, _ = neighbours(features[inside], features[inside], min(NEIGHBOURS + 1, len(inside)))
    mean = distances[:, 1:].mean(1)  # the first is the candidate itself
    return np.asarray(1.0 / np.maximum(mean, 1e-12))
