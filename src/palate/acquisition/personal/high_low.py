"""Ask about what this user should feel most strongly of."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.personal.predicted import expected_answer, middle
from palate.posteriors.taste import Belief


def high_low(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Distance of ``r̂_i`` from the middle of the scale, in units of the answers, (I,) or (n, I). O(D).

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014.
    """
    return np.abs(expected_answer(belief, candidates) - middle(candidates))
