"""The other half of a sweep: beliefs about items given the sums over users, then their prior and the noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma

from palate.arrays import Array
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.prior import Prior
from palate.posteriors.statistics import Statistics, pack
from palate.posteriors.symmetric import solve, turned

FLOOR = 1e-9  # smallest variance of a factor or of noise, as a share of that of the answers
_NOISE_ANSWERS = 100.0  # an item's own noise counts as much as the common one once it has this many answers
_SPREADS = (4.0, 1e4)  # range of n₀; with 4 and less the variance of what users vary by is infinite


@dataclass(frozen=True, slots=True)
class ItemBeliefs:
    """What a sweep moves of the items.

    Attributes:
        factors: Level and factors, posterior means, (I, A).
        covariances: (I, A, A).
        noise: σ², (I,).
        prior: Of level and factors.
        spread: n₀, answers that the prior of a user's noise counts as.
    """

    factors: Array
    covariances: Array
    noise: Array
    prior: Prior
    spread: float


def rescaled(items: ItemBeliefs, total: Statistics) -> tuple[ItemBeliefs, Statistics, Array]:
    """Other coordinates, in which tastes have mean 0 and E[z zᵀ] = I over the users; predictions stay as they are.

    Returns:
        The items with their prior and sums in them, and the matrix that takes t there, (A, A). Factors and covariances
        stay, since :func:`item_half` makes them anew.
    """
    dim = len(total.centre)
    centre = total.centre / total.users
    lower = np.linalg.cholesky(total.residual / total.users - np.outer(centre, centre))
    forward = np.eye(dim + 1)
    forward[1:, 1:] = np.linalg.inv(lower)
    forward[1:, 0] = -forward[1:, 1:] @ centre
    backward = np.asarray(np.linalg.inv(forward).T)
    information = total.information - 0.5 * (np.trace(total.residual) - total.users * dim)
    return (
        replace(items, prior=items.prior.transform(backward)),
        replace(
            total,
            moment=turned(total.moment, forward),
            cross=total.cross @ forward.T,
            gram=forward @ total.gram @ forward.T,
            residual=total.users * np.eye(dim),
            centre=np.zeros(dim),
            information=information + total.users * float(np.log(np.diag(lower)).sum()),
        ),
        forward,
    )


def scattered(total: Statistics, likelihood: Likelihood) -> Statistics:
    """With the tastes behind single events around those of their people (:attr:`Likelihood.frequency`).

    Where tastes have second moment 1 over the users, each has ``frequency`` more of it in every direction.
    """
    if not likelihood.frequency:
        return total
    more = likelihood.frequency * np.diag(np.append(0.0, np.ones(len(total.centre))))
    return replace(
        total, moment=total.moment + total.moment[:, :1] * pack(more), gram=total.gram + total.gram[0, 0] * more
    )


def item_half(
    items: ItemBeliefs, total: Statistics, likelihood: Likelihood, content: Array
) -> tuple[ItemBeliefs, float]:
    """Every item's belief given the users, then the prior and the noise; and the bound, in nats."""
    n_items = len(items.factors)
    relevance = np.asarray(np.linalg.inv(items.prior.covariance), dtype=float)
    pull = items.prior.predict(content) @ relevance + total.cross / items.noise[:, None]
    found = solve(total.moment, likelihood.background * total.gram, relevance, pull, items.noise)
    factors, covariances = found.means, found.covariances
    prior, divergence = items.prior.refit(factors, covariances.sum(0), content, FLOOR)
    squares = total.squares - 2.0 * (factors * total.cross).sum(1) + found.fitted
    evidence, noise, spread = total.latent, items.noise, items.spread
    if likelihood.learns_scale:
        noise, of_prior = _noise(noise, squares, total.answers)
        evidence += of_prior - 0.5 * float(total.answers @ np.log(2 * np.pi * noise))
        spread = _spread(total.doubt / total.users)
    evidence -= 0.5 * float((squares / noise).sum())
    item_information = 0.5 * (n_items * np.linalg.slogdet(prior.covariance)[1] - found.log_determinants.sum())
    bound = float(evidence - total.information - item_information - divergence)
    return ItemBeliefs(factors, covariances, noise, prior, spread), bound


def _noise(noise: Array, squares: Array, answers: Array) -> tuple[Array, float]:
    """Noise of each item and the log density of its prior, up to a constant.

    Some items divide people for reasons no taste explains; with one noise for all, every strategy that seeks
    information runs after those. The prior is an inverse gamma around a common noise, itself at its best.
    """
    common = len(noise) / (1.0 / noise).sum()
    noise = np.maximum((squares + _NOISE_ANSWERS * common) / (answers + _NOISE_ANSWERS), FLOOR)
    return noise, float(0.5 * _NOISE_ANSWERS * (np.log(common / noise) - common / noise).sum())


def _spread(doubt: float) -> float:
    """n₀ that makes the bound largest, from the mean of ``E[log ν] + E[1 / ν]`` over the users.

    It solves ``log(n₀ / 2) − ψ(n₀ / 2) = doubt − 1``, whose left side falls from infinity to 0.
    """
    low, high = (0.5 * spread for spread in _SPREADS)

    def left(half: float) -> float:
        return float(np.log(half) - digamma(half)) - (doubt - 1.0)

    if left(high) >= 0.0 or left(low) <= 0.0:
        return 2.0 * (high if left(high) >= 0.0 else low)
    return 2.0 * float(brentq(left, low, high))
