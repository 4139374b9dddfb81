"""Ask about what many know and two people would rate differently."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.gini import gini
from palate.posteriors.taste import Belief


def popularity_times_gini(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``n_i · (1 − Σ_r p_ir²)``, (I,) or (n, I). O(R).

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    return candidates.counts * gini(belief, candidates, rng=rng)
