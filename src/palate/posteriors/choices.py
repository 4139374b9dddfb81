r"""Answers that are choices: something named from memory, the best of a few, a click on a shown list.

One likelihood hears them all, a softmax over what was on offer:

.. math:: P(i \mid C, z) = \frac{\exp(o_i + \beta u_i)}{\sum_{j \in C} \exp(o_j + \beta u_j)}, \qquad
          u_j = b_j + w_j \cdot z

``o_j`` is what speaks for option j whatever the taste: of the whole catalogue ``a log(n_j + 1/2)``, how readily an item
with n_j answers comes to mind; of what is shown to be compared 0; of a slate ``log P(known j)``. "None of these" is one
option more, which says nothing of taste. ``β`` is how sharply taste decides.

The log likelihood is concave in z: its gradient is ``β (w_i − E_p w)`` and minus its Hessian ``β² Cov_p(w)``, which
does not contain what was picked. So there is one mode, and what a choice will tell is known before it is made.

Shapes: n users at once, m options, D taste dimensions; one user where the n is left out.

References:
    McFadden, *Conditional logit analysis of qualitative choice behavior*, Frontiers in Econometrics, 1974.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, logsumexp

from palate.arrays import Array, Positions
from palate.errors import OptionError
from palate.errors.checks import number_of, shown
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import pack, unpack

EXACT, DRAWN = 1_000, 3_000  # options of a large catalogue that count in full, and that stand for all the rest
_LEAST_NOISE = 1e-6  # of an answer that decides a choice, as a share of how much what decides it varies
_MOST_STEPS = 100
_SETTLED = 1e-10  # rise of the log posterior that a step promises, in nats, from which it is the last
_SUFFICIENT = 1e-4  # share of the promised rise that a step must bring; Armijo, Pacific J. Math. 16, 1966
_SHORTEST = 1e-8  # of a Newton step; what does not rise by then is at its mode to rounding


def sharpness_of(items: Items, likelihood: Likelihood) -> float:
    """β: ``1 / σ``, where σ² is the median noise of an answer, so that no scale needs another.

    Ratings decide in units of the scale, likes by their latent value, events by the strength of preference.
    """
    noise = float(np.median(likelihood.answer_noise(items.answer_noise))) if len(items) else 0.0
    varies = float(np.var(items.level) + np.mean((items.factors**2).sum(1))) if len(items) else 0.0
    return float(1.0 / np.sqrt(max(noise, _LEAST_NOISE * varies) or 1.0))


@dataclass(frozen=True, eq=False)
class Options:
    """What may be picked: one set for all, or a set of their own for each of n users.

    Attributes:
        slopes: ``β w`` of each, (m, D) or (n, m, D); 0 for "none of these".
        logits: ``o + β b`` of each, (m,) or (n, m); -inf where a shorter set is padded.
    """

    slopes: Array
    logits: Array

    def scores(self, taste: Array) -> Array:
        """``o + β u`` of each at a taste, (D,) to (m,) or (n, D) to (n, m)."""
        return self.logits + (self.slopes @ taste[..., None])[..., 0] if self._own else self._shared(taste)

    def log_total(self, taste: Array) -> Array:
        """Log of the softmax's denominator, () or (n,)."""
        return self._softmax(taste)[0]

    def moments(self, taste: Array) -> tuple[Array, Array, Array]:
        """The log total, the mean of the slopes under the softmax, (n, D), and their covariance, (n, D, D)."""
        total, chances = self._softmax(taste)
        mean = (chances[..., None, :] @ self.slopes)[..., 0, :] if self._own else chances @ self.slopes
        return total, mean, self._second(chances) - mean[..., :, None] * mean[..., None, :]

    def _softmax(self, taste: Array) -> tuple[Array, Array]:
        """The log total and the chance of each option."""
        scores = self.scores(taste)
        top = scores.max(-1, keepdims=True)
        weights = np.exp(scores - top)
        total = weights.sum(-1, keepdims=True)
        return (top + np.log(total))[..., 0], weights / total

    @property
    def _own(self) -> bool:
        return self.slopes.ndim == 3

    def _shared(self, taste: Array) -> Array:
        return np.asarray(self.logits + taste @ self.slopes.T)

    def _second(self, chances: Array) -> Array:
        """``E_p[s sᵀ]`` of the slopes, symmetric to the last bit."""
        if chances.ndim == 2 and not self._own:
            return unpack(chances @ self._pairs) if len(chances) > 1 else self._second(chances[0])[None]
        second = np.swapaxes(self.slopes * chances[..., None], -1, -2) @ self.slopes
        return np.asarray((second + np.swapaxes(second, -1, -2)) / 2)

    @cached_property
    def _pairs(self) -> Array:  # one product for all users in place of one each
        return pack(self.slopes[:, :, None] * self.slopes[:, None, :])


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One choice of each of n users.

    Attributes:
        options: What they chose from.
        slopes: ``β w`` of what each picked, (n, D). It need not be among the options where these were drawn.
    """

    options: Options
    slopes: Array


def heard(belief: Belief, choices: Sequence[Choice]) -> Belief:
    """The belief after choices, all at once: ``N(mode, (S⁻¹ + H)⁻¹)``, the Laplace approximation; O(m D²) a step.

    Newton's method with halved steps: whole ones diverge where a choice is sharper than the prior is wide.
    """
    if belief.mean.ndim == 1:
        one = Belief(belief.mean[None], belief.covariance[None])
        return heard(one, [replace(choice, slopes=choice.slopes[None]) for choice in choices]).of(0)
    log_posterior = _LogPosterior(belief.mean, np.asarray(np.linalg.inv(belief.covariance)), choices)
    taste, here = belief.mean, log_posterior.terms(belief.mean)
    for _ in range(_MOST_STEPS):
        step = np.asarray(np.linalg.solve(here[2], here[1][..., None])[..., 0])
        promised = np.einsum("nd,nd->n", here[1], step)
        taste, here = log_posterior.higher(taste, here[0], step, promised)
        if (promised < _SETTLED).all():
            break
    return Belief(taste, _inverse(here[2]))


_Terms = tuple[Array, Array, Array]


@dataclass(frozen=True, slots=True, eq=False)
class _LogPosterior:
    """Of n tastes, up to a constant."""

    mean: Array
    precision: Array
    choices: Sequence[Choice]

    def terms(self, taste: Array) -> _Terms:
        """The value (n,), its gradient (n, D) and minus its Hessian (n, D, D)."""
        away = taste - self.mean
        gradient = -np.einsum("nde,ne->nd", self.precision, away)
        value, curvature = 0.5 * np.einsum("nd,nd->n", away, gradient), self.precision
        for choice in self.choices:
            total, expected, spread = choice.options.moments(taste)
            value = value + np.einsum("nd,nd->n", choice.slopes, taste) - total
            gradient, curvature = gradient + choice.slopes - expected, curvature + spread
        return value, gradient, curvature

    def higher(self, taste: Array, value: Array, step: Array, promised: Array) -> tuple[Array, _Terms]:
        """A step further, each user's halved until the log posterior rises enough, and the terms there."""
        size = np.ones(len(step))
        short = promised >= _SETTLED  # below, the last step is a rounding error long
        while True:
            there = taste + size[:, None] * step
            terms = self.terms(there)
            short &= (terms[0] < value + _SUFFICIENT * size * promised) & (size > _SHORTEST)
            if not short.any():
                return there, terms
            size[short] /= 2.0


def expected_fall(belief: Belief, options: Options, moment: Array) -> tuple[Array, Array]:
    """By how much ``tr(Q S)`` falls whatever is picked, (n,), and the covariance after it, (n, D, D), at the mean.

    Args:
        moment: Q, (D, D) or (n, D, D): ``Σ_j q_j w_j w_jᵀ``, or :func:`without_level` of it.
    """
    after = _inverse(np.linalg.inv(belief.covariance) + options.moments(belief.mean)[2])
    return np.einsum("...de,...de->...", moment, belief.covariance - after), after


def without_level(moment: Array, centre: Array) -> Array:
    """``Q − w_q w_qᵀ``: what all targets share is taken out, for a common level orders no list.

    Args:
        centre: ``w_q = Σ_j q_j w_j``, (D,) or (n, D), of targets q that sum to 1.
    """
    return np.asarray(moment - centre[..., :, None] * centre[..., None, :])


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Few options that stand for many.

    Attributes:
        places: Of the options, (k,); one may come several times.
        logits: What is added to the logit of each, (k,): it stands for so many more.
    """

    places: Positions
    logits: Array

    def of(self, options: Options) -> Options:
        """Those of the options, which may have moved a little since they were drawn."""
        return Options(options.slopes[self.places], options.logits[self.places] + self.logits)


def drawn(logits: Array, *, exact: int = EXACT, rest: int = DRAWN, rng: np.random.Generator) -> Draw | None:
    """Fewer options with the same total on average: the heaviest, and a draw by weight that stands for all others.

    The weight is ``exp(logit)``: of an option for a taste of 0. Each drawn one counts ``mass / rest``, the mass being
    that of all that are not heaviest. None where there are no more than ``exact + rest``.

    Args:
        logits: Of the options, one set for all users, (m,).
        rng: Of the draw, which is with replacement.
    """
    if len(logits) <= exact + rest:
        return None
    order = np.argpartition(-logits, exact)
    heavy, light = order[:exact], np.sort(order[exact:])
    mass = logsumexp(logits[light])
    shares = np.cumsum(np.exp(logits[light] - mass))
    found = light[np.searchsorted(shares, rng.random(rest) * shares[-1])]
    return Draw(np.append(heavy, found), np.append(np.zeros(exact), mass - np.log(rest) - logits[found]))


def with_none(options: Options, none: float) -> Options:
    """With "none of these" as one option more.

    Args:
        none: Its logit (:func:`none_logit`).
    """
    slopes = np.concatenate([options.slopes, np.zeros_like(options.slopes[..., :1, :])], -2)
    return Options(slopes, np.concatenate([options.logits, np.full((*options.logits.shape[:-1], 1), none)], -1))


def none_logit(options: Options, tastes: Array, share: float) -> float:
    """The logit of "none of these" with which it is picked as often as it was.

    Args:
        options: What was shown, without it: n sets.
        tastes: Of those who were shown it, (n, D).
        share: How often none was picked, above 0 and below 1.
    Raises:
        OptionError: If the share is no such number.
    """
    if not 0.0 < number_of(share) < 1.0:
        raise OptionError(f"the share of none is {shown(share)}. Give a number above 0 and below 1.")
    totals = options.log_total(tastes)
    low, high = float(totals.min() + logit(share)), float(totals.max() + logit(share))
    if high - low < 1e-9:
        return low
    return float(brentq(lambda none: float(expit(none - totals).mean()) - share, low - 1.0, high + 1.0))


def _inverse(matrices: Array) -> Array:
    found = np.linalg.inv(matrices)
    return np.asarray((found + np.swapaxes(found, -1, -2)) / 2)
