"""Contrast with labelled neighbours (CAL)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.pool.geometry import neighbours
from palate.acquisition.pool.information import divergence
from palate.acquisition.pool.pool import Pool
from palate.arrays import Array

NEIGHBOURS = 10
LEAST = 1e-7  # a probability of a candidate that is divided by


def contrastive(pool: Pool, *, rng: np.random.Generator, k: int = NEIGHBOURS) -> Array:
    r"""Label what is predicted otherwise than its nearest labelled neighbours (CAL).

    .. math:: \frac1k \sum_{l \in \mathrm{NN}(x)} \mathrm{KL}(\bar p_l \,\|\, \bar p)

    over the ``k`` nearest labelled, in nats, (N,). O(k C) after finding them; 0 where nothing is labelled.

    References:
        Margatina, Vernikos, Barrault, Aletras, Active learning by acquiring contrastive examples, EMNLP 2021.
        arXiv:2109.03764.
    """
    if not len(pool.labels):
        return np.zeros(len(pool))
    _, near = neighbours(pool.labelled, pool.features, k)
    known = pool.labelled_samples.mean(0)[near]  # (N, k, C)
    return np.asarray(divergence(known, pool.mean[:, None, :], LEAST).mean(1))
