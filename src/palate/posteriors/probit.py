"""Yes or no seen through a normal threshold: ``P(yes | s) = Φ(s / σ)`` with ``s ~ N(mean, variance)``.

In every function ``noise`` is σ², the variance of what is said given ``s``.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr, erfcx, ndtr

from palate.arrays import Array

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_FALL = 1.0 / (np.pi * np.log(2.0))  # H[Φ(s)] is near log 2 exp(−s² / (π log 2)) (Houlsby et al., 2011)
_PLACES, _SHARES = np.polynomial.legendre.leggauss(12)
_MANY = np.polynomial.hermite_e.hermegauss(16)
# so that the log of Φ and its two derivatives are right to 1e-3 up to a deviation of 2, and mostly to 1e-5
NORMAL_NODES = tuple(zip(_MANY[0].tolist(), (_MANY[1] / _MANY[1].sum()).tolist(), strict=True))
_SURE, _LARGEST = 10.0, 1e300  # from there on log Φ(x) is −Φ(−x) to rounding, and the scaled erfc may overflow


def inverse_mills(x: Array) -> Array:
    """φ(x) / Φ(x), to rounding everywhere: the scaled erfc neither underflows nor cancels."""
    return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(-x / np.sqrt(2.0)))


def yes_chance(mean: Array, variance: Array) -> Array:
    """P(yes), the noise being part of the variance."""
    return np.asarray(ndtr(mean / np.sqrt(variance)))


def assumed_density(
    mean: Array, variance: Array, liked: Array, noise: Array | float = 1.0, known: Array | float = 1.0
) -> tuple[Array, Array]:
    """First and second derivative of ``log P(answer)`` in the mean of s.

    The moments of the moved belief follow from the derivatives: mean + variance·first, variance + variance²·second
    (Opper, Winther, 1998; Minka, UAI 2001).

    Args:
        known: P(the user knows it) where only what is known can be liked: a like (1) is then known, and without one (0)
            it is disliked or not known, ``P = 1 − known Φ(s / σ)``.

    Returns:
        first, second: each of the shape of ``mean``; second is at least -1 / (noise + variance), and at most 0 where
        ``known`` is 1: that something may not be known can make a belief wider.
    """
    scale = np.sqrt(noise + variance)
    z = mean / scale
    yes = np.asarray(liked) > 0.5
    sign = np.where(yes, 1.0, -1.0)
    ratio = sign * inverse_mills(sign * z) * np.where(yes, 1.0, _share(known * ndtr(-z), 1.0 - np.asarray(known)))
    second = -ratio * (z + ratio)
    highest = np.where(np.less(known, 1.0), np.inf, 0.0)
    return ratio / scale, np.clip(second, -1.0, highest) / scale**2  # beyond lies rounding, and a negative variance


def expected_curvature(
    mean: Array,
    variance: Array,
    noise: Array | float = 1.0,
    known: Array | float = 1.0,
    reliability: float = 1.0,
) -> Array:
    """Expected fall of the variance per squared unit of it when yes or no is said: −E[second derivative].

    It is the Fisher information ``b² φ(z)² / (P(yes) P(no) (noise + variance))``, where ``P(yes) = a + b Φ(z)``.

    Args:
        known: As above.
        reliability: ρ: what is said is turned round with the chance ``a = (1 − ρ) / 2``; ``b = ρ known``.
    """
    total = noise + variance
    z = mean / np.sqrt(total)
    turned, right = 0.5 * (1.0 - reliability), reliability * np.asarray(known)
    shares = _share(right * ndtr(z), turned) * _share(right * ndtr(-z), 1.0 - turned - right)
    return np.asarray(inverse_mills(z) * inverse_mills(-z) * shares / total)


def expected_log(mean: Array, variance: Array) -> tuple[Array, Array, Array]:
    """E[log Φ(x)], E[∂ log Φ(x)] and E[−∂² log Φ(x)] for ``x ~ N(mean, variance)``, by Gauss-Hermite quadrature."""
    deviation = np.sqrt(variance)
    value, slope, curvature = np.zeros((3, *np.shape(mean)))
    for node, weight in NORMAL_NODES:
        x = mean + node * deviation
        scaled = erfcx(-x / np.sqrt(2.0))
        ratio = np.sqrt(2.0 / np.pi) / scaled
        value += weight * np.where(x < _SURE, np.log(0.5 * np.minimum(scaled, _LARGEST)) - 0.5 * x * x, -ndtr(-x))
        slope += weight * ratio
        curvature += weight * ratio * (x + ratio)
    return value, slope, np.clip(curvature, 1e-6, 1.0)


def _share(part: Array, rest: Array | float) -> Array:
    """``part / (part + rest)``; 1 where there is neither."""
    total = part + rest
    return np.asarray(np.divide(part, total, out=np.ones_like(total), where=total > 0.0))


def information(mean: Array, variance: Array, noise: Array) -> Array:
    """``H[E p] − E H[p]``, p = Φ(s / σ): between the answer and s, in nats, by Gauss-Hermite quadrature.

    The nodes are those of the normal that N(mean, variance) times a bell of the entropy's own width is: nodes of
    N(mean, variance) itself pass over the entropy where s is wide (7 % off at a deviation of 5 σ, with 24 of them).
    """
    unit = np.sqrt(noise)
    mean, variance = mean / unit, np.maximum(variance, 0.0) / noise
    shrunk = 1.0 / (1.0 + 2.0 * _FALL * variance)
    deviation, behind = np.sqrt(variance * shrunk), _FALL * mean**2 * shrunk
    given = np.zeros(np.broadcast_shapes(np.shape(mean), np.shape(variance)))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        s = mean * shrunk + node * deviation
        # beyond 38 the entropy is 0 in double precision
        given += weight * _entropy_of_yes(s) * np.exp(_FALL * np.minimum(s**2, 1_500.0) - behind)
    return np.asarray(np.maximum(_entropy(yes_chance(mean, 1.0 + variance)) - np.sqrt(shrunk) * given, 0.0))


def both_yes(first: Array, second: Array, correlation: Array) -> Array:
    r"""``P(x < first, y < second)`` of two standard normal x and y, of any shapes that broadcast.

    .. math:: \Phi(a)\Phi(b) + \frac{1}{2\pi}\int_0^{\arcsin\rho}
        \exp\left(-\frac{a^2 + b^2 - 2ab\sin\theta}{2\cos^2\theta}\right) d\theta

    By Gauss-Legendre quadrature (Drezner, Wesolowsky, J. Statist. Comput. Simul. 35, 1990). What it differs by from
    independence is right to 1e-6 of itself up to a correlation of .96, to 1e-3 up to .997.
    """
    half = 0.5 * np.arcsin(correlation)
    total = np.zeros(np.broadcast_shapes(first.shape, second.shape, half.shape))
    for place, share in zip(_PLACES, _SHARES, strict=True):
        sine = np.sin(half * (1.0 + place))
        # a square over a square and another one: no difference of large numbers
        total += share * np.exp(-0.5 * ((first - second * sine) ** 2 / (1.0 - sine**2) + second**2))
    return np.asarray(ndtr(first) * ndtr(second) + half / (2.0 * np.pi) * total)


def _entropy_of_yes(s: Array) -> Array:
    return np.asarray(entr(ndtr(s)) + entr(ndtr(-s)))


def _entropy(yes: Array) -> Array:
    return np.asarray(entr(yes) + entr(1.0 - yes))
