"""Number of ratings."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_everybody
from palate.arrays import Array
from palate.posteriors.belief import Belief


def popularity(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what most people know.

    The number of ratings, (I,) or (n, I).

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("popularity"))
        asks first: Quiet Love Letter, Last Croissant
        5 questions: 18 seconds, 3.5 answers
        list: 0.52 before, 0.60 after, 0.57 after as many at random
        error: 1.06 before, 0.89 after, 0.96 after as many at random

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return for_everybody(candidates.counts, belief)
