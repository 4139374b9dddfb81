"""Label what most lowers the variance of the predictions on the pool (A-optimal design for classes)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.laplace import PRECISION, covariance, curvature
from palate.acquisition.pool import Array, Pool


def variance_reduction(pool: Pool, *, rng: np.random.Generator, precision: float = PRECISION) -> Array:
    r"""Fall of the mean variance of the candidates' logits, each weighted by its curvature, (N,). O(E²).

    .. math:: \frac{h\, x^\top S Q S x}{1 + h\, x^\top S x}, \qquad Q = \tfrac1N \sum_j h_j x_j x_j^\top

    with S and h of :mod:`palate.acquisition.general.laplace`: the Fisher information ratio to first order.

    References:
        Cohn, Ghahramani, Jordan, Active learning with statistical models, JAIR 4, 1996; Zhang, Oles, The value of
        unlabeled data for classification problems, ICML 2000 (Fisher information ratio).
    """
    weights = curvature(pool.mean)
    spread = covariance(pool, precision)
    moment = (pool.features * weights[:, None]).T @ pool.features / len(pool)
    moved = pool.features @ spread
    fall = ((moved @ moment) * moved).sum(1)
    return np.asarray(weights * fall / (1.0 + weights * (moved * pool.features).sum(1)))
