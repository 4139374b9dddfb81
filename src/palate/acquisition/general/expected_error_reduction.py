"""Label what most lowers the model's expected error on the pool."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from palate.acquisition.general.information import entropy
from palate.acquisition.general.laplace import PRECISION, covariance, curvature
from palate.acquisition.pool import Array, Pool, Positions

SHORTLIST = 64  # candidates that are tried, those of highest entropy
JUDGED = 512  # candidates on which the error is expected, drawn where there are more


def expected_error_reduction(
    pool: Pool, *, rng: np.random.Generator, shortlist: int = SHORTLIST, precision: float = PRECISION
) -> Array:
    r"""Expected fall of the mean log loss over the pool, in nats, (N,). O(shortlist · C² · N) in all.

    .. math:: \frac1N \sum_j H[\bar p_j] - \sum_y \bar p_y \frac1N \sum_j H[p_j^{+(x, y)}]

    The model after the label is one Newton step of a linear softmax model from the pool's predictions, exact in its
    curvature for two classes (:mod:`palate.acquisition.general.laplace`):

    .. math:: \Delta \text{logits}(x_j) = \frac{x_j^\top S x}{1 + h\, x^\top S x} (e_y - \bar p)

    A candidate outside the shortlist has a value just below the lowest inside.

    References:
        Roy, McCallum, Toward optimal active learning through sampling estimation of error reduction, ICML 2001.
    """
    mean = pool.mean
    uncertain = entropy(mean)
    tried = np.lexsort((rng.random(len(pool)), -uncertain))[:shortlist]
    judged = np.arange(len(pool))
    if len(pool) > JUDGED:
        judged = rng.choice(len(pool), JUDGED, replace=False)
    inside = uncertain[judged].mean() - _losses_after(pool, mean, tried, judged, precision)
    scores = np.full(len(pool), np.nextafter(inside.min(), -np.inf))
    scores[tried] = inside
    return scores


def _losses_after(pool: Pool, mean: Array, tried: Positions, judged: Positions, precision: float) -> Array:
    """Expected mean entropy of the judged once each of the tried has its label."""
    moved = pool.features[tried] @ covariance(pool, precision)
    reach = moved @ pool.features[judged].T  # (tried, judged)
    shrink = 1.0 + curvature(mean[tried]) * (moved * pool.features[tried]).sum(1)
    logits = np.log(np.maximum(mean[judged], 1e-12))
    losses = np.zeros(len(tried))
    for place, item in enumerate(tried):
        for label in np.flatnonzero(mean[item] > 0):
            step = (np.arange(pool.n_classes) == label) - mean[item]
            after = softmax(logits + np.outer(reach[place] / shrink[place], step), axis=1)
            losses[place] += mean[item, label] * entropy(after).mean()
    return losses
