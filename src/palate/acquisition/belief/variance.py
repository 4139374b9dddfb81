"""Predictive variance."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def variance(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask where the answer is least certain.

    The predictive variance of the answer, in squared units of the answers, (I,) or (n, I); of likes p (1 − p).

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("variance"))
        asks first: Golden Swing, Simple Noodle Soup
        5 questions: 18 seconds, 2.8 answers
        list: 0.52 before, 0.63 after, 0.57 after as many at random
        error: 1.06 before, 0.85 after, 0.96 after as many at random

    References:
        Cohn, Ghahramani, Jordan, Active learning with statistical models, JAIR 4, 1996.
    """
    items = candidates.items
    spread = belief.variance(items.factors) + candidates.noise
    return candidates.likelihood.answer_variance(items.level + belief.score(items.factors), spread)
