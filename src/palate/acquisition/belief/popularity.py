"""Ask about what most people know."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def popularity(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Number of ratings, (I,) or (n, I).

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return np.broadcast_to(candidates.counts, (*belief.mean.shape[:-1], len(candidates)))
