"""User-level (ε, δ) over the life of a model line, by Gaussian differential privacy.

Neighbours are two sets of devices that differ in one: in one of them it holds everything that its user ever answers, in
the other nothing, so that it sends zeros. How many devices take part is public. An opened sum to which a device gives
a vector of norm C at most, with Gaussian noise of standard deviation s, is μ-GDP with μ = C / s. Openings compose
exactly, also when what is asked for depends on what was opened before: μ² adds (Dong, Roth, Su, *Gaussian differential
privacy*, 2022, corollary 3.3). A mechanism is μ-GDP if and only if it is (ε, δ(ε))-DP for every ε, where (corollary
2.13; Balle, Wang 2018)

    δ(ε) = Φ(−ε/μ + μ/2) − exp(ε) Φ(−ε/μ − μ/2)

This is the accountant that Palate's claims name: ``ACCOUNTANT``. Every user takes part in every round; no
amplification by sampling or shuffling is claimed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from palate.errors import OptionError
from palate.errors.checks import count, number, number_of, positive, shown

ACCOUNTANT = "Gaussian DP, closed form, no amplification"
ROUND_ZERO, SCALARS, GRADIENTS = 0.12, 0.02, 0.86  # of μ²; the scalars and the gradients over all rounds
_EPSILONS, _DELTAS = (1e-3, 1e3), (1e-20, 0.5)  # within these the closed form keeps ten digits and more


class Split(NamedTuple):
    """What each opening may spend of a budget, as μ².

    Attributes:
        round_zero: Of counts and levels, once.
        scalars: Of the mass, in each round.
        gradients: Of the gradients, in each round.
    """

    round_zero: float
    scalars: float
    gradients: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What a model line may reveal of any one user in its whole life.

    Args:
        epsilon, delta: Of user-level differential privacy.
    Raises:
        OptionError: If ``epsilon`` is not within .001 and 1,000, or ``delta`` not within 1e-20 and .5.
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", _within(self.epsilon, "epsilon", _EPSILONS))
        object.__setattr__(self, "delta", _within(self.delta, "delta", _DELTAS))

    @property
    def mu(self) -> float:
        return mu_of(self.epsilon, self.delta)

    @property
    def mu_squared(self) -> float:
        return self.mu**2

    def split(self, rounds: int) -> Split:
        """The shares of round 0, and of each of so many rounds: together the whole budget."""
        each = self.mu_squared / count(rounds, "rounds", least=1)
        return Split(ROUND_ZERO * self.mu_squared, SCALARS * each, GRADIENTS * each)


def delta_of(mu: float, epsilon: float) -> float:
    """The least δ at which μ-GDP is (ε, δ)-DP.

    Args:
        mu: Above 0.
        epsilon: From 0.
    """
    mu, epsilon = positive(mu, "mu"), number(epsilon, "epsilon", least=0.0)
    shift = epsilon / mu
    return float(ndtr(mu / 2 - shift) - math.exp(epsilon + log_ndtr(-mu / 2 - shift)))


def epsilon_of(mu: float, delta: float) -> float:
    """The least ε at which μ-GDP is (ε, δ)-DP; 0 for μ = 0."""
    mu, delta = number(mu, "mu", least=0.0), _within(delta, "delta", _DELTAS)
    if mu == 0.0 or delta_of(mu, 0.0) <= delta:
        return 0.0
    most = mu**2 / 2 + mu * math.sqrt(2 * math.log(1 / delta))  # δ(ε) ≤ Φ(μ/2 − ε/μ) ≤ exp(−(ε/μ − μ/2)²/2)
    return float(brentq(lambda epsilon: delta_of(mu, epsilon) - delta, 0.0, most, xtol=1e-13, rtol=1e-14))


def mu_of(epsilon: float, delta: float) -> float:
    """The largest μ at which μ-GDP is (ε, δ)-DP.

    Raises:
        OptionError: If ``epsilon`` is not within .001 and 1,000, or ``delta`` not within 1e-20 and .5.
    """
    epsilon, delta = _within(epsilon, "epsilon", _EPSILONS), _within(delta, "delta", _DELTAS)
    most = 1.0
    while delta_of(most, epsilon) < delta:
        most *= 2
    return float(brentq(lambda mu: delta_of(mu, epsilon) - delta, 1e-6, most, xtol=1e-15, rtol=1e-14))


def noise_std(sensitivity: float, mu_squared: float) -> float:
    """The standard deviation of the noise on a sum, for what its opening spends.

    Args:
        sensitivity: The largest norm of what one user adds to the sum.
    """
    return positive(sensitivity, "the sensitivity") / math.sqrt(positive(mu_squared, "mu_squared"))


def _within(value: object, name: str, range_: tuple[float, float]) -> float:
    found = number_of(value)
    if not range_[0] <= found <= range_[1]:  # false for NaN too
        raise OptionError(f"{name} is {shown(value)}. Give a number from {range_[0]:g} to {range_[1]:g}.")
    return found
