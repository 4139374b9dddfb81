"""Moments and variances over a large catalogue, in one pass of its scorer.

The layout is made once a population and kept there. Importing this does not import Numba; the first use does, and
compiles, once a machine.
"""

from __future__ import annotations

from palate.acquisition.fast.scorer import Scorer
from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.population import Population

FROM_ITEMS = 20_000  # below it numpy takes a few milliseconds, and Numba need not be imported


def is_large(population: Population, shown: Items) -> bool:
    """Whether what may be shown is a whole catalogue that is worth a pass."""
    return shown is population.taste.items and len(shown) >= FROM_ITEMS


def fast_moment(population: Population, likelihood: Likelihood, shown: Items, targets: Array) -> Array | None:
    """``Σ_j q_j w_j w_jᵀ`` of what may be shown to one user, in one pass; None where that is little or a part."""
    if targets.ndim > 1 or not is_large(population, shown):
        return None
    return scorer_of(population, likelihood).aim(targets).moment


def fast_variance(population: Population, likelihood: Likelihood, shown: Items, belief: Belief) -> Array | None:
    """Variance of an answer about what may be shown to one user, (J,), likewise."""
    if belief.mean.ndim > 1 or not is_large(population, shown):
        return None
    return scorer_of(population, likelihood).score("variance", belief.covariance).astype(float)


def scorer_of(population: Population, likelihood: Likelihood) -> Scorer:
    """The items of a population, laid out at the first call."""

    def build(population: Population) -> Scorer:
        items = population.taste.items
        return Scorer.build(items.factors, likelihood.answer_noise(items.answer_noise))

    return population.here(("scorer", likelihood), build)
