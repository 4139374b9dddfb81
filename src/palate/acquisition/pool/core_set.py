"""Label what is farthest from everything labelled, so that nothing is far from a label (k-centre)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, best
from palate.acquisition.pool.geometry import distance, nearest
from palate.acquisition.pool.pool import Pool, at_most


def core_set(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""The farthest candidate, again and again: within twice the best radius of ``k`` centres. O(k N E), O(N) memory.

    .. math:: \arg\max_i \min_{c \in \text{labelled} \cup \text{chosen}} \lVert x_i - x_c \rVert

    Where nothing is labelled the first is drawn uniformly.

    References:
        Sener, Savarese, Active learning for convolutional neural networks: a core-set approach, ICLR 2018; Gonzalez,
        Clustering to minimize the maximum intercluster distance, 1985.
    """
    apart = nearest(pool.features, pool.labelled)
    items: list[int] = []
    chances: list[float] = []
    for _ in range(at_most(k, pool)):
        item, chance = best(apart, rng=rng)
        items.append(item)
        chances.append(chance)
        np.minimum(apart, distance(pool.features, pool.features[item]), out=apart)
        apart[items] = -np.inf
    return Batch.of(items, chances)
