"""How answers come about: Gaussian ratings, probit likes, weighted implicit events.

Each likelihood says how an answer looks to the batch fit (a weighted Gaussian observation of ``t · w̃``) and how one
answer moves one belief. ``s`` is the predicted mean of ``t · w̃``, ``v`` its variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from palate.arrays import Array
from palate.errors import OptionError

Kind = Literal["gaussian", "probit", "implicit"]


def inverse_mills(x: Array) -> Array:
    """φ(x) / Φ(x), to rounding everywhere: the scaled erfc neither underflows nor cancels."""
    return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(-x / np.sqrt(2.0)))


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The way of answering.

    Attributes:
        kind: ``gaussian`` for ratings on a scale, ``probit`` for like (1) or dislike (0), ``implicit`` for events.
        confidence: Precision of one observed event (implicit; 1 otherwise).
        background: Precision with which every unseen item counts as a zero (implicit; 0 otherwise). Hu, Koren,
            Volinsky, *Collaborative filtering for implicit feedback datasets*, ICDM 2008.
    """

    kind: Kind = "gaussian"
    confidence: float = 1.0
    background: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("gaussian", "probit", "implicit"):
            raise OptionError(f"likelihood {self.kind!r} is unknown. Use gaussian, probit or implicit.")

    @property
    def learns_noise(self) -> bool:
        """Probit fixes its unit by the threshold, implicit by its weights; only ratings have a noise to learn."""
        return self.kind == "gaussian"

    def targets(self, values: Array, predicted: Array) -> tuple[Array, Array]:
        """What the weighted Gaussian sees, and what that adds to the bound beyond the squares, in nats, each (N,).

        Probit: the mean of the latent value above or below zero, so that the fit stays a sum of squares (Albert, Chib,
        JASA 88, 1993). The bound of one answer is ``log Φ(±s) − ½ Var(t · w̃)``.
        """
        if self.kind != "probit":
            return values, np.zeros_like(values)
        sign = np.where(values > 0.5, 1.0, -1.0)
        latent = predicted + sign * inverse_mills(sign * predicted)
        return latent, log_ndtr(sign * predicted) + 0.5 * (latent - predicted) ** 2

    def answer_noise(self, noise: Array) -> Array:
        """Variance of one answer given the taste, from that of :attr:`Items.answer_noise`; both of any shape.

        An event swaps its weak zero for a strong one, so its precision is what it adds to the background's.
        """
        return noise if self.kind != "implicit" else np.full_like(noise, 1.0 / (self.confidence - self.background))

    def probability(self, mean: Array, variance: Array) -> Array:
        """P(like) where ``t · w̃ ~ N(mean, variance)``; the probit's own unit variance comes on top."""
        return np.asarray(ndtr(mean / np.sqrt(1.0 + variance)))


def assumed_density(mean: Array, variance: Array, liked: Array, known: Array | float = 1.0) -> tuple[Array, Array]:
    """First and second derivative of ``log P(answer)`` in the mean of ``s ~ N(mean, variance)``.

    The moments of the moved belief follow from the derivatives: mean + variance·first, variance + variance²·second
    (Opper, Winther, 1998; Minka, UAI 2001).

    Args:
        known: P(the user knows it) where only what is known can be liked: a like (1) is then known, and without one (0)
            it is disliked or not known, ``P = 1 − known Φ(s)``.

    Returns:
        first, second: each of the shape of ``mean``; second is at least -1, and at most 0 where ``known`` is 1: that
        something may not be known can make a belief wider.
    """
    scale = np.sqrt(1.0 + variance)
    z = mean / scale
    yes = np.asarray(liked) > 0.5
    sign = np.where(yes, 1.0, -1.0)
    ratio = sign * inverse_mills(sign * z) * np.where(yes, 1.0, known * _disliked(z, known))
    second = -ratio * (z + ratio)
    highest = np.where(np.less(known, 1.0), np.inf, 0.0)
    return ratio / scale, np.clip(second, -1.0, highest) / scale**2  # beyond lies rounding, and a negative variance


def _disliked(z: Array, known: Array | float) -> Array:
    """``Φ(−z) / (1 − known Φ(z))``: over the known chance, how likely it is disliked and not just not known."""
    no = ndtr(-z)
    total = no + (1.0 - np.asarray(known)) * ndtr(z)
    return np.asarray(np.divide(no, total, out=np.ones_like(total), where=total > 0.0))


def expected_curvature(mean: Array, variance: Array, known: Array | float = 1.0) -> Array:
    """Expected fall of the variance per squared unit of it when a probit answer is given: −E[second derivative].

    It is the Fisher information ``known φ(z)² / (Φ(z) (1 − known Φ(z)) (1 + variance))``; ``known`` as above.
    """
    z = mean / np.sqrt(1.0 + variance)
    information = inverse_mills(z) * inverse_mills(-z) * known * _disliked(z, known)
    return np.asarray(information / (1.0 + variance))
