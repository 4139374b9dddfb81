r"""How a linear softmax model would move with one more label, without refitting it.

The predictions are the pool's; the covariance of the weights is Laplace's, with the curvature of a labelled row in
every contrast of classes set to its mean over the C − 1 contrasts:

.. math:: S = \Big(\lambda I + \sum_{l} h_l x_l x_l^\top\Big)^{-1}, \qquad h = \frac{1 - \sum_c p_c^2}{C - 1}

which is the exact Hessian for two classes and never larger than (E, E) for more (the full one is C·E × C·E). Böhning,
Multinomial logistic regression algorithm, Annals of the Institute of Statistical Mathematics 44, 1992, bounds it in the
same form.
"""

from __future__ import annotations

import numpy as np

from palate.acquisition.pool import Array, Pool

PRECISION = 1.0  # of the weights' prior, λ


def curvature(probabilities: Array) -> Array:
    """``h`` of each row, (N, C) to (N,)."""
    contrasts = max(1, probabilities.shape[1] - 1)
    return np.asarray(np.maximum(1.0 - (probabilities**2).sum(1), 0.0) / contrasts)


def covariance(pool: Pool, precision: float = PRECISION) -> Array:
    """``S``, (E, E): the prior alone where nothing is labelled."""
    weights = curvature(pool.labelled_samples.mean(0))
    information = (pool.labelled * weights[:, None]).T @ pool.labelled
    return np.asarray(np.linalg.inv(information + precision * np.eye(pool.features.shape[1])))
