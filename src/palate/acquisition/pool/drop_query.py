"""Batches of centres of what draws differ on (DropQuery)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.clusters import central
from palate.acquisition.pool.pool import Pool, at_most


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
