"""Ask about what this user should like least."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.personal.predicted import expected_answer
from palate.posteriors.taste import Belief


def lowest_predicted(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``−r̂_i``, in units of the answers, (I,) or (n, I). O(D). People rarely know what they would dislike.

    Found twice: as a rule of thumb, and as MinRating, which approximates the gain of a later question too.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014; Karimi, Freudenthaler, Nanopoulos, Schmidt-Thieme, Non-myopic
        active learning for recommender systems based on matrix factorization, IRI 2011 (MinRating).
    """
    return -expected_answer(belief, candidates)
