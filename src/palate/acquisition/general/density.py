"""Label what is uncertain and like many others: an outlier teaches little about the rest."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.geometry import unit
from palate.acquisition.general.information import entropy
from palate.acquisition.pool import Array, Pool


def density(pool: Pool, *, rng: np.random.Generator, beta: float = 1.0) -> Array:
    r"""Entropy times a power of the mean similarity to the pool, in nats, (N,). O(E) after one pass.

    .. math:: H[\bar p] \Big(\tfrac1N \sum_j \tfrac{1 + \cos(x, x_j)}{2}\Big)^{\beta}

    The mean of cosines is a cosine with the mean of the unit rows, so no pair of candidates is looked at.

    References:
        Settles, Craven, An analysis of active learning strategies for sequence labeling tasks, EMNLP 2008 (information
        density).
    """
    rows = unit(pool.features)
    similarity = (1.0 + rows @ rows.mean(0)) / 2.0
    return np.asarray(entropy(pool.mean) * np.maximum(similarity, 0.0) ** beta)
