"""Typical candidates of clusters, for the very first labels (TypiClust)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, first
from palate.acquisition.pool.clusters import k_means
from palate.acquisition.pool.geometry import neighbours
from palate.acquisition.pool.greedy import Chosen, one_by_one
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array, Positions

NEIGHBOURS = 20
MOST_CLUSTERS = 500


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
