"""Ask about what many know and people disagree on."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.entropy import entropy
from palate.posteriors.taste import Belief


def log_popularity_entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``log n_i · H(i)``, in squared nats, (I,) or (n, I); 0 for an item with one rating or none. O(R).

    The logarithm because popularity falls off exponentially: n_i · H(i) would be popularity.

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return np.log(np.maximum(candidates.counts, 1.0)) * entropy(belief, candidates, rng=rng)
