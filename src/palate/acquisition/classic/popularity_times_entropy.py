"""Ask about what very many know and people disagree on."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.entropy import entropy
from palate.posteriors.taste import Belief


def popularity_times_entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``n_i · H(i)``: nats that all its ratings hold, (I,) or (n, I). O(R).

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return candidates.counts * entropy(belief, candidates, rng=rng)
