"""Ask about the item with the strongest traits."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief


def max_item_trait(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``‖w_i‖``, the length of the item's factors, in units of the answers, (I,) or (n, I). O(D).

    The other rules of the source are here by their own names: greedy (highest predicted), max variance, UCB
    (``lin-ucb``), Thompson and random.

    References:
        Christakopoulou, Radlinski, Hofmann, Towards conversational recommender systems, KDD 2016 ("max item trait").
    """
    length = np.sqrt((candidates.items.factors**2).sum(1))
    return np.broadcast_to(length, (*belief.mean.shape[:-1], len(candidates)))
