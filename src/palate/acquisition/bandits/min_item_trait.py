"""Ask about the item with the weakest traits."""

from __future__ import annotations

import numpy as np

from palate.acquisition.bandits.max_item_trait import max_item_trait
from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief


def min_item_trait(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``−‖w_i‖``, in units of the answers, (I,) or (n, I). O(D). An item everybody likes alike: the source's contrast.

    References:
        Christakopoulou, Radlinski, Hofmann, Towards conversational recommender systems, KDD 2016 ("min item trait").
    """
    return -max_item_trait(belief, candidates, rng=rng)
