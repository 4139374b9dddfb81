"""Label what tells most about the labels that are to be predicted."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.geometry import slices
from palate.acquisition.general.information import entropy
from palate.acquisition.pool import Array, Pool

TARGETS = 256  # drawn where there are more


def epig(pool: Pool, *, rng: np.random.Generator, n_targets: int = TARGETS) -> Array:
    r"""Expected information between the label and a target's label, in nats, (N,), at least 0. O(T C² J).

    .. math:: E_{j}\Big[\sum_{c, c'} p(c, c') \log \frac{p(c, c')}{p(c)\,p(c')}\Big],
        \qquad p(c, c') = \tfrac1T \sum_t p_t(y = c)\, p_t(y_j = c')

    Exact over the targets, of which :data:`TARGETS` are drawn where there are more.

    References:
        Bickford Smith et al., Prediction-oriented Bayesian active learning, AISTATS 2023. arXiv:2304.08151.
    """
    targets = pool.wanted
    if targets.shape[1] > n_targets:
        targets = targets[:, rng.choice(targets.shape[1], n_targets, replace=False)]
    draws, n, classes = pool.samples.shape
    flat = targets.reshape(draws, -1)
    mean_target = entropy(targets.mean(0)).mean()
    scores = np.zeros(n)
    for rows in slices(n, classes * flat.shape[1]):
        joint = np.tensordot(pool.samples[:, rows], flat, axes=(0, 0)) / draws  # (rows, C, J·C)
        scores[rows] = entropy(joint).sum(1)
    scores = entropy(pool.mean) + mean_target - scores / max(1, targets.shape[1])
    return np.asarray(np.maximum(scores, 0.0))  # below 0 lies rounding
