"""Ask about what this user should like best, as most sites do."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.personal.predicted import expected_answer
from palate.posteriors.taste import Belief


def highest_predicted(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``r̂_i``, in units of the answers, (I,) or (n, I). O(D). What it collects is biased upwards.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014.
    """
    return expected_answer(belief, candidates)
