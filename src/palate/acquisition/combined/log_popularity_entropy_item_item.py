"""Ask about what people disagree on, of what this user is likely to know."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.log_popularity_entropy import log_popularity_entropy
from palate.acquisition.personal.item_item import item_item
from palate.posteriors.taste import Belief


def log_popularity_entropy_item_item(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``log n_i · H(i)`` times the similarity to what the user has rated, (I,) or (n, I). O(R + n_i).

    The source asks by the first until the user has rated something and by the second from then on; before the first
    rating the similarity is the share of users who rated the item, so the product starts there too.

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002
        ("item-item personalized"); fixed mixtures: Elahi, Ricci, Rubens, Computer Science Review 20, 2016.
    """
    balance = log_popularity_entropy(belief, candidates, rng=rng)
    return np.asarray(balance * item_item(belief, candidates, rng=rng))
