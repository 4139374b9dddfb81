"""Batches whose balls cover most (ProbCover)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.clusters import k_means
from palate.acquisition.pool.geometry import nearest, slices, squared_distances
from palate.acquisition.pool.greedy import Chosen, greedy
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array

PURE = 0.95  # share of balls that hold one cluster only, at the chosen radius
JUDGED = 1000  # candidates on which that share is estimated


def probcover(pool: Pool, k: int, *, rng: np.random.Generator, radius: float | None = None) -> Batch:
    r"""Label what covers most by balls of one radius (ProbCover).

    Greedy, what lies within a radius of something labelled being covered:

    .. math:: \arg\max_i \#\{j \text{ not covered} : \lVert x_i - x_j \rVert \le \delta\}

    The degrees are kept and lowered as candidates become covered, which needs no graph: O(N² E) in all, O(N) memory.

    Args:
        radius: δ; found by :func:`pure_radius` if None.
    References:
        Yehuda, Dekel, Hacohen, Weinshall, Active learning through a covering lens, NeurIPS 2022. arXiv:2205.11320.
    """
    features = pool.features
    radius = pure_radius(features, pool.n_classes, rng=rng) if radius is None else radius
    apart = nearest(features, pool.labelled)
    covered = np.isfinite(apart) & (apart <= radius)
    degrees = _within(features, features[~covered], radius)

    def add(items: Chosen) -> None:
        item = items[-1]
        new = ~covered & (squared_distances(features, features[[item]])[:, 0] <= radius**2)
        new[item] = not covered[item]  # whatever rounding says of its distance to itself
        np.subtract(degrees, _within(features, features[new], radius), out=degrees)
        np.logical_or(covered, new, out=covered)

    return greedy(at_most(k, pool), lambda _: degrees, add, rng=rng)


def pure_radius(features: Array, n_classes: int, *, rng: np.random.Generator) -> float:
    """The largest radius at which 95 % of the balls hold candidates of one k-means cluster only, ``n_classes`` of them.

    A ball is impure from the distance to the nearest candidate of another cluster on, so this is a quantile of those
    distances. Infinite where there is one cluster.
    """
    clusters = k_means(features, n_classes, rng=rng)
    rows = np.arange(len(features))
    if len(rows) > JUDGED:
        rows = rng.choice(len(features), JUDGED, replace=False)
    apart = [nearest(features[rows[clusters[rows] == c]], features[clusters != c]) for c in np.unique(clusters)]
    return float(np.quantile(np.concatenate(apart), 1.0 - PURE, method="lower")) * (1.0 - 1e-9)


def _within(features: Array, others: Array, radius: float) -> Array:
    """How many of the others each row has within the radius, (N,)."""
    counts = np.zeros(len(features))
    for part in slices(len(features), len(others)):
        counts[part] = (squared_distances(features[part], others) <= radius**2).sum(1)
    return counts
