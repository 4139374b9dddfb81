"""Any strategy, on pools of any size (SEALS)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, choose
from palate.acquisition.pool.geometry import neighbours
from palate.acquisition.pool.pool import Pool, PoolScore, at_most
from palate.acquisition.pool.uncertainty import margin

NEIGHBOURS = 100


def seals(
    pool: Pool, k: int, *, rng: np.random.Generator, score: PoolScore = margin, n_neighbours: int = NEIGHBOURS
) -> Batch:
    """Label the best of the nearest neighbours of what is labelled (SEALS).

    The best by ``score`` among the candidates nearest to each labelled row, of which each brings at least ``k``, so
    that the batch is full. Without labels all candidates are looked at. O(L · neighbours) scores.

    References:
        Coleman et al., Similarity search for efficient active learning and search of rare concepts, AAAI 2022.
        arXiv:2007.00077.
    """
    k = at_most(k, pool)
    near = np.arange(len(pool))
    if len(pool.labels):
        near = np.unique(neighbours(pool.features, pool.labelled, max(k, n_neighbours))[1])
    return choose(score(pool.take(near), rng=rng), k, rng=rng).within(near)
