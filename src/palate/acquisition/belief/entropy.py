"""Entropy of the ratings given."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_everybody
from palate.arrays import Array
from palate.posteriors.belief import Belief


def entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what people disagree on, by the ratings given.

    ``H(i) = −Σ_r p_ir log p_ir`` over the ratings an item has, with 0 log 0 = 0, in nats, (I,) or (n, I).

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("entropy"))
        asks first: Last Croissant, Simple Noodle Soup
        5 questions: 18 seconds, 3.3 answers
        list: 0.52 before, 0.61 after, 0.57 after as many at random
        error: 1.06 before, 0.88 after, 0.96 after as many at random

    References:
        Kohrs, Merialdo, Improving collaborative filtering for new users by smart object selection, ICMF 2001; Rashid et
        al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return for_everybody(entr(candidates.levels).sum(1), belief)
