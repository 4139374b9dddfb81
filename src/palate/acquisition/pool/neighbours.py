"""By the labels nearby."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, choose
from palate.acquisition.pool.geometry import neighbours, slices, squared_distances
from palate.acquisition.pool.information import divergence
from palate.acquisition.pool.pool import Pool, PoolScore, at_most
from palate.acquisition.pool.uncertainty import margin
from palate.arrays import Array

NEIGHBOURS = 10  # whose predictions are compared
LEAST = 1e-7  # a probability of a candidate that is divided by
NOISE = 1.0  # λ of the kernel
LOOKED_AT = 100  # candidates by each labelled row


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


def seals(
    pool: Pool, k: int, *, rng: np.random.Generator, score: PoolScore = margin, n_neighbours: int = LOOKED_AT
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
