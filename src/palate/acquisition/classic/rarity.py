"""Ask about what hardly anybody rated."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import for_everybody
from palate.posteriors.taste import Belief

NEVER = 0.5  # ratings that an item without any is taken to have: rarer than one


def rarity(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``1 / n_i``, and 2 for an item that nobody rated, the rarest, (I,) or (n, I). O(1).

    References:
        Elahi, Ricci, Rubens, A survey of active learning in collaborative filtering recommender systems, Computer
        Science Review 20, 2016 (attention-based strategies).
    """
    return for_everybody(1.0 / np.maximum(candidates.counts, NEVER), belief)
