"""Informative and representative candidates (QUIRE)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.pool.geometry import slices, squared_distances
from palate.acquisition.pool.pool import Pool
from palate.arrays import Array

NOISE = 1.0  # λ


def quire(pool: Pool, *, rng: np.random.Generator, gamma: float | None = None, noise: float = NOISE) -> Array:
    r"""Label what is uncertain given the labels and given the rest of the pool alike (QUIRE).

    Minus the worst-case evaluation of the paper, (N,). O(N L²), not O(N²) as published.

    The paper minimises ``yᵀ (K + λI)⁻¹ y`` over the labels of the other candidates, at the worst label of this one.
    Completing the square gives the posterior of a Gaussian process with kernel ``K = e^{−γ‖·‖²}`` and noise λ:

    .. math:: -\max_c \Big[ y_c^\top (K_{ll} + \lambda I)^{-1} y_c + \frac{(1 - f_c)^2}{v} \Big], \qquad
        f_c = K_{xl} (K_{ll} + \lambda I)^{-1} y_c, \quad
        v = K_{xx} + \lambda - K_{xl} (K_{ll} + \lambda I)^{-1} K_{lx}

    with γ = 1 / E if None and ``y_c`` = 1 for the labelled of class c and −1 for the others: for two classes,
    ``−(1 + |f|)² / v`` up to a constant.

    References:
        Huang, Jin, Zhou, Active learning by querying informative and representative examples, NIPS 2010.
    """
    gamma = 1.0 / pool.features.shape[1] if gamma is None else gamma
    signs = np.where(pool.labels[:, None] == np.arange(pool.n_classes), 1.0, -1.0)  # (L, C)
    kernel = np.exp(-gamma * squared_distances(pool.labelled, pool.labelled))
    inverse = np.linalg.inv(kernel + noise * np.eye(len(pool.labels)))
    constant = ((inverse @ signs) * signs).sum(0)
    scores = np.zeros(len(pool))
    for rows in slices(len(pool), len(pool.labels)):
        cross = np.exp(-gamma * squared_distances(pool.features[rows], pool.labelled))
        predicted = cross @ (inverse @ signs)
        variance = 1.0 + noise - ((cross @ inverse) * cross).sum(1)
        scores[rows] = -(constant + (1.0 - predicted) ** 2 / variance[:, None]).max(1)
    return scores
