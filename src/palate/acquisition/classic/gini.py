"""Ask about what two people would rate differently."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import for_everybody
from palate.posteriors.taste import Belief


def gini(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Chance that two of an item's ratings are of different levels, (I,) or (n, I). O(R).

    .. math:: 1 - \sum_r p_{ir}^2

    0 for an item without ratings: nobody disagrees.

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    rated = candidates.levels.sum(1) > 0
    return for_everybody(np.where(rated, 1.0 - (candidates.levels**2).sum(1), 0.0), belief)
