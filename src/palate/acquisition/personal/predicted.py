"""The answer that is expected, and the middle of what may come."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population
from palate.posteriors.taste import Belief


def expected_answer(belief: Belief, candidates: Candidates) -> Array:
    """``r̂_i``: a rating, the probability of a like, or the strength of an event, (I,) or (n, I)."""
    items, likelihood = candidates.items, candidates.likelihood
    mean = items.level + belief.score(items.factors)
    if likelihood.kind != "probit":
        return mean
    return likelihood.probability(mean, belief.variance(items.factors) + candidates.noise - 1.0)


def middle(candidates: Candidates) -> float:
    """Half-way between the lowest and the highest rating given; events stand against 0, likes against dislikes."""
    if candidates.likelihood.kind != "gaussian":
        return 0.5
    return sum(candidates.population.once("ends", ends)) / 2.0


def ends(population: Population) -> tuple[float, float]:
    """Lowest and highest rating given, or of the levels where there is none."""
    ratings = population.answers.data if population.answers.nnz else population.level_values
    return float(np.min(ratings)), float(np.max(ratings))
