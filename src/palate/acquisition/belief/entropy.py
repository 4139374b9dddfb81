"""Ask about what people disagree on, by the ratings an item has."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``H(i) = −Σ_r p_ir log p_ir`` over the ratings given, with 0 log 0 = 0, in nats, (I,) or (n, I).

    References:
        Kohrs, Merialdo, Improving collaborative filtering for new users by smart object selection, 2001; Rashid et al.,
        IUI 2002.
    """
    of_item = entr(candidates.levels).sum(1)
    return np.broadcast_to(of_item, (*belief.mean.shape[:-1], len(candidates)))
