r"""How a linear softmax model would move with one more label, without refitting it: the design of experiments.

The predictions are the pool's; the covariance of the weights is Laplace's, with the curvature of a labelled row in
every contrast of classes set to its mean over the C − 1 contrasts:

.. math:: S = \Big(\lambda I + \sum_{l} h_l x_l x_l^\top\Big)^{-1}, \qquad h = \frac{1 - \sum_c p_c^2}{C - 1}

which is the exact Hessian for two classes and never larger than (E, E) for more (the full one is C·E × C·E). Böhning,
Multinomial logistic regression algorithm, Annals of the Institute of Statistical Mathematics 44, 1992, bounds it in the
same form.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from palate.acquisition.pool.information import entropy
from palate.acquisition.pool.pool import Pool
from palate.arrays import Array, Positions

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


def d_optimal(pool: Pool, *, rng: np.random.Generator, precision: float = PRECISION) -> Array:
    r"""Label what most shrinks the volume of what is unknown of the weights (D-optimality).

    .. math:: \tfrac12 (C - 1) \log(1 + h\, x^\top S x)

    The fall of the log determinant of the weights' covariance, in nats, (N,), O(E²), with S and h of
    :mod:`palate.acquisition.pool.design`.

    References:
        MacKay, Information-based objective functions for active data selection, Neural Computation 4, 1992; Chaloner,
        Verdinelli, Bayesian experimental design, Statistical Science 10(3), 1995.
    """
    spread = ((pool.features @ covariance(pool, precision)) * pool.features).sum(1)
    contrasts = max(1, pool.n_classes - 1)
    return np.asarray(0.5 * contrasts * np.log1p(curvature(pool.mean) * spread))


def variance_reduction(pool: Pool, *, rng: np.random.Generator, precision: float = PRECISION) -> Array:
    r"""Label what most lowers the variance of the predictions (A-optimality).

    .. math:: \frac{h\, x^\top S Q S x}{1 + h\, x^\top S x}, \qquad Q = \tfrac1N \sum_j h_j x_j x_j^\top

    The fall of the mean variance of the candidates' logits, each weighted by its curvature, (N,), O(E²), with S and h
    of :mod:`palate.acquisition.pool.design`: the Fisher information ratio to first order.

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


SHORTLIST = 64  # candidates that are tried, those of highest entropy
JUDGED = 512  # candidates on which the error is expected, drawn where there are more


def expected_error_reduction(
    pool: Pool, *, rng: np.random.Generator, shortlist: int = SHORTLIST, precision: float = PRECISION
) -> Array:
    r"""Label what most lowers the model's expected error on the pool.

    .. math:: \frac1N \sum_j H[\bar p_j] - \sum_y \bar p_y \frac1N \sum_j H[p_j^{+(x, y)}]

    The expected fall of the mean log loss over the pool, in nats, (N,). O(shortlist · C² · N) in all. The model after
    the label is one Newton step of a linear softmax model from the pool's predictions, exact in its
    curvature for two classes (:mod:`palate.acquisition.pool.design`):

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


def expected_gradient_length(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Label what would move the model most, by the length of the gradient of its loss.

    .. math:: \sum_y \bar p_y \lVert \nabla_W \ell(x, y) \rVert
        = \lVert x \rVert \sum_y \bar p_y \lVert \bar p - e_y \rVert

    Of a linear softmax model, (N,), in features. O(C² + E).

    References:
        Settles, Craven, Ray, Multiple-instance active learning, NIPS 2007.
    """
    mean = pool.mean
    # ‖p − e_y‖² = Σ p² − 2 p_y + 1
    lengths = np.sqrt(np.maximum((mean**2).sum(1, keepdims=True) - 2.0 * mean + 1.0, 0.0))
    return np.asarray((mean * lengths).sum(1) * np.linalg.norm(pool.features, axis=1))


def expected_model_change(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Label what would move a regression most, by what a committee says the answer could be.

    .. math:: \frac1T \sum_t \lVert (\bar f - f_t)\, x \rVert, \qquad f_t = \sum_c c\, p_{tc}

    Of a linear regression of the level, (N,), in levels times features, for classes that have an order, such as
    ratings: class c counts as the number c. O(T C + E).

    References:
        Cai, Zhang, Zhou, Maximizing expected model change for active learning in regression, ICDM 2013.
    """
    levels = pool.samples @ np.arange(pool.n_classes, dtype=np.float64)  # (T, N)
    apart = np.abs(levels - levels.mean(0)).mean(0)
    return np.asarray(apart * np.linalg.norm(pool.features, axis=1))
