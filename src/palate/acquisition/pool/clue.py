"""Batches of centres, weighed by uncertainty (CLUE)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.clusters import central
from palate.acquisition.pool.information import entropy
from palate.acquisition.pool.pool import Pool, at_most


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
