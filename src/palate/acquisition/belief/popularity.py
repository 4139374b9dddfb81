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

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return for_everybody(candidates.counts, belief)
