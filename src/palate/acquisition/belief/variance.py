"""Ask where the answer is least certain."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def variance(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Predictive variance of the answer, in squared units of the answers, (I,) or (n, I); probit: p (1 − p)."""
    items = candidates.items
    spread = belief.variance(items.factors) + candidates.noise
    return candidates.likelihood.answer_variance(items.level + belief.score(items.factors), spread)
