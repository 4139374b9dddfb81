"""Expected entropy of a user's aspects, by a point estimate."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.structured.aspects import entropy_fall, fit_aspects, point
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief


def aspect_model(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Expected fall of the entropy of the user's mixture of aspects by the answer, nats.

    ``H(θ) - Σ_r P(r | i, θ) H(θ')``, ``P(r | i, θ) = Σ_z θ_z P(r | i, z)``; the most probable mixture θ, from T
    answers, counts as the true one, and ``θ' = ((T + 1) θ + γ) / (T + 2)`` with γ the aspects responsible for r. H(θ)
    is the same for all items, so this orders them as the expected entropy does. An item that nobody rated has 0. Cost
    O(R K) per candidate; the aspects are fitted once.

    Boutilier, Zemel, Marlin, *Active collaborative filtering*, UAI 2003, on the aspect model of Hofmann, ACM TOIS
    22(1), 2004; the update of θ as in Jin, Si, UAI 2004.
    """
    aspects = candidates.population.once("aspects", fit_aspects)

    def score(one: Candidates) -> Array:
        own, weight = point(aspects, one.given, one.population.level_values)
        return entropy_fall(aspects.table[one.columns], own, weight)

    return for_each(belief, candidates, lambda _, one: score(one))
