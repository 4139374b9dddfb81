"""Ask about what many know and ratings differ on."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.rating_variance import rating_variance
from palate.posteriors.taste import Belief


def sqrt_popularity_variance(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``√n_i · s_i²``, (I,) or (n, I). O(1) after one pass over the ratings.

    References:
        Golbandi, Koren, Lempel, On bootstrapping recommender systems, CIKM 2010.
    """
    return np.sqrt(candidates.counts) * rating_variance(belief, candidates, rng=rng)
