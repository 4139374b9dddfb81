"""Label what most shrinks the volume of what is not known about the weights (D-optimal design for classes)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.laplace import PRECISION, covariance, curvature
from palate.acquisition.pool import Array, Pool


def d_optimal(pool: Pool, *, rng: np.random.Generator, precision: float = PRECISION) -> Array:
    r"""Fall of the log determinant of the weights' covariance, in nats, (N,). O(E²).

    .. math:: \tfrac12 (C - 1) \log(1 + h\, x^\top S x)

    with S and h of :mod:`palate.acquisition.general.laplace`.

    References:
        MacKay, Information-based objective functions for active data selection, Neural Computation 4, 1992; Chaloner,
        Verdinelli, Bayesian experimental design, Statistical Science 10(3), 1995.
    """
    spread = ((pool.features @ covariance(pool, precision)) * pool.features).sum(1)
    contrasts = max(1, pool.n_classes - 1)
    return np.asarray(0.5 * contrasts * np.log1p(curvature(pool.mean) * spread))
