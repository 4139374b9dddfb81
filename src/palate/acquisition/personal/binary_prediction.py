"""Ask about what this user is most likely to know."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief


def binary_prediction(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """P(the user can answer), (I,) or (n, I): a factor model of who has rated what, O(1) as it is at hand.

    It is :attr:`Candidates.known`; the model is :class:`palate.posteriors.answerability.Answerability`.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014.
    """
    return np.broadcast_to(candidates.known, (*belief.mean.shape[:-1], len(candidates)))
