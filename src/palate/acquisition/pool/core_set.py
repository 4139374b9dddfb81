"""Batches that leave nothing far from a label (k-centre)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.geometry import distance, nearest
from palate.acquisition.pool.greedy import greedy
from palate.acquisition.pool.pool import Pool, at_most


def core_set(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""Label what is farthest from everything labelled (k-centre).

    .. math:: \arg\max_i \min_{c \in \text{labelled} \cup \text{chosen}} \lVert x_i - x_c \rVert

    again and again: within twice the best radius of ``k`` centres. O(k N E), O(N) memory. Where nothing is labelled the
    first is drawn uniformly.

    References:
        Sener, Savarese, Active learning for convolutional neural networks: a core-set approach, ICLR 2018; Gonzalez,
        Clustering to minimize the maximum intercluster distance, 1985.
    """
    apart = nearest(pool.features, pool.labelled)
    return greedy(
        at_most(k, pool),
        lambda _: apart,
        lambda items: np.minimum(apart, distance(pool.features, pool.features[items[-1]]), out=apart),
        rng=rng,
    )
