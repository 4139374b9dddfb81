"""Ask what most strategies would ask."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.combined.members import member_scores, open_to
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief

TOP = 10


@each_user
def voting(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Members (:data:`palate.acquisition.combined.members.MEMBERS`) that have the item among their ten best, (I,) or
    (n, I). O(D²) and sorting. Of what was not asked yet; where scores are equal at the tenth place all of them count.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014 ("voting").
    """
    left = open_to(candidates)
    scores = np.where(left, member_scores(belief, candidates, rng=rng), -np.inf)
    at = max(scores.shape[1] - TOP, 0)
    tenth = np.partition(scores, at, axis=1)[:, at, None]
    return np.asarray(((scores >= tenth) & left).sum(0).astype(np.float64))
