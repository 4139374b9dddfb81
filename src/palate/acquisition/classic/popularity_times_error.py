"""Ask about what many know and the model has wrong."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.error import error
from palate.posteriors.taste import Belief


def popularity_times_error(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``n_i · error_i``: the squared error summed over an item's ratings, (I,) or (n, I). O(1) after one pass.

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    return candidates.counts * error(belief, candidates, rng=rng)
