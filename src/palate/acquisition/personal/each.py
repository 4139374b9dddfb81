"""For strategies that need what one user has answered: several users one after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief


def for_each(belief: Belief, candidates: Candidates, score: Callable[[Belief, Candidates], Array]) -> Array:
    """What ``score`` gives for one user, (I,), or for each of n, (n, I)."""
    if belief.mean.ndim == 1:
        return score(belief, candidates)
    users = enumerate(zip(belief.mean, belief.covariance, strict=True))
    return np.stack([score(Belief(mean, covariance), candidates.of(user)) for user, (mean, covariance) in users])
