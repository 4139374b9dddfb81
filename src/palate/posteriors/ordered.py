"""One of several ordered levels seen through a normal latent value: the level says between which cut points it lies.

    P(level k | s) = Φ((c_k − s) / σ) − Φ((c_{k−1} − s) / σ),        s ~ N(mean, variance)

McCullagh, *Regression models for ordinal data*, JRSS B 42(2), 1980.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, log_ndtr, ndtr, ndtri

from palate.arrays import Array
from palate.posteriors.probit import NORMAL_NODES

_LEAST = 1e-6  # curvature of an answer, so that its target stays finite
_HALVINGS = 40
_ROOT = math.sqrt(2.0 * math.pi)


def log_slopes(low: Array, high: Array) -> tuple[Array, Array, Array]:
    """``log P(low < x < high)`` for a standard normal x, its first derivative in the mean of x, and its second.

    Args:
        low, high: From the mean, in its deviations; either may be infinite.
    """
    flip = low > 0.0  # so that small tails are subtracted, and not numbers near 1
    lower, upper = np.where(flip, -high, low), np.where(flip, -low, high)
    least, most = log_ndtr(lower), log_ndtr(upper)
    log = most + np.log1p(-np.exp(np.minimum(least - most, -1e-15)))
    at_low, at_high = (np.exp(-0.5 * end**2 - log) / np.sqrt(2.0 * np.pi) for end in (low, high))
    ends_low, ends_high = (np.where(np.isfinite(end), end, 0.0) for end in (low, high))
    first = at_low - at_high
    second = ends_low * at_low - ends_high * at_high - first**2
    return log, first, np.clip(second, -1.0, 0.0)


def log_slopes_of_one(low: float, high: float) -> tuple[float, float, float]:
    """:func:`log_slopes` of two numbers, in a tenth of the time."""
    lower, upper = (-high, -low) if low > 0.0 else (low, high)
    least, most = float(log_ndtr(lower)), float(log_ndtr(upper))
    log = most + math.log1p(-math.exp(min(least - most, -1e-15)))
    at_low, at_high = (math.exp(-0.5 * end * end - log) / _ROOT for end in (low, high))
    first = at_low - at_high
    second = (low * at_low if at_low else 0.0) - (high * at_high if at_high else 0.0) - first * first
    return log, first, min(max(second, -1.0), 0.0)


def expected_log(low: Array, high: Array, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
    """E[log P], E[∂ log P] and E[−∂² log P] of an interval, ``s ~ N(mean, variance)``, by Gauss-Hermite quadrature."""
    deviation = np.sqrt(variance)
    value, slope, curvature = np.zeros((3, *np.shape(mean)))
    for node, weight in NORMAL_NODES:
        at = mean + node * deviation
        log, first, second = log_slopes(low - at, high - at)
        value, slope, curvature = value + weight * log, slope + weight * first, curvature - weight * second
    return value, slope, np.maximum(curvature, _LEAST)


def chances(cuts: Array, mean: Array, variance: Array) -> Array:
    """P(level) of each of K levels, the noise being part of the variance, (..., K)."""
    below = ndtr((cuts - np.asarray(mean)[..., None]) / np.sqrt(variance)[..., None])
    ends = np.zeros((*below.shape[:-1], 1))
    return np.asarray(np.diff(np.concatenate([ends, below, ends + 1.0], -1), axis=-1))


def chance_slopes(cuts: Array, mean: Array, variance: Array) -> Array:
    """Derivative of each of them in the mean, (..., K)."""
    deviation = np.sqrt(variance)[..., None]
    density = np.exp(-0.5 * ((cuts - np.asarray(mean)[..., None]) / deviation) ** 2) / (
        np.sqrt(2.0 * np.pi) * deviation
    )
    ends = np.zeros((*density.shape[:-1], 1))
    return np.asarray(-np.diff(np.concatenate([ends, density, ends], -1), axis=-1))


def information(cuts: Array, mean: Array, variance: Array, noise: Array) -> Array:
    """Between a level and s, in nats."""
    deviation = np.sqrt(np.maximum(variance, 0.0))
    given = sum(weight * entr(chances(cuts, mean + node * deviation, noise)).sum(-1) for node, weight in NORMAL_NODES)
    return np.asarray(np.maximum(entr(chances(cuts, mean, variance + noise)).sum(-1) - given, 0.0))


def first_cuts(codes: NDArray[np.intp], n_levels: int) -> Array:
    """Cut points that give the levels the shares they have, of a latent value of variance 1 and noise 1, (K − 1,)."""
    return np.asarray(np.sqrt(2.0) * ndtri(_below(codes, n_levels)))


def fitting_cuts(codes: NDArray[np.intp], n_levels: int, mean: Array, variance: Array) -> Array:
    """Cut points under which levels are expected as often as they are given, (K − 1,), by halving.

    Args:
        codes: Level of each answer, (N,).
        mean, variance: Of what each is about, the noise of 1 not in it, (N,).
    """
    below, deviation = _below(codes, n_levels), np.sqrt(1.0 + variance)
    low = np.full(n_levels - 1, float((mean - 9.0 * deviation).min()))
    high = np.full(n_levels - 1, float((mean + 9.0 * deviation).max()))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        share = ndtr((middle[:, None] - mean) / deviation).mean(1)
        low, high = np.where(share < below, middle, low), np.where(share < below, high, middle)
    return np.asarray(0.5 * (low + high))


def _below(codes: NDArray[np.intp], n_levels: int) -> Array:
    """Share of the answers up to each level but the last, (K − 1,); half an answer more of each, so that none is 0."""
    counts = np.bincount(codes, minlength=n_levels) + 0.5
    return np.asarray(np.cumsum(counts)[:-1] / counts.sum())
