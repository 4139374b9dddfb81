"""Predictive variance."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def variance(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask where the answer is least certain.

    The predictive variance of the answer, in squared units of the answers, (I,) or (n, I); of likes p (1 − p).

    References:
        Cohn, Ghahramani, Jordan, Active learning with statistical models, JAIR 4, 1996.
    """
    items = candidates.items
    spread = belief.variance(items.factors) + candidates.noise
    return candidates.likelihood.answer_variance(items.level + belief.score(items.factors), spread)
