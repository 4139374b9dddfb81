"""What an answer takes off the variance of what may be shown (A-optimality)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief, quadratic


def a_optimal(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what most lowers the variance of what this user may be shown.

    .. math:: a_i = w_i^\top S Q S w_i / v_i, \qquad Q = \sum_j q_j w_j w_j^\top

    The fall of the targets' summed variance, in squared units of the answers, (I,) or (n, I).

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("a-optimal"))
        asks first: Simple Noodle Soup, Northern Heist
        5 questions: 18 seconds, 2.7 answers
        list: 0.52 before, 0.62 after, 0.57 after as many at random
        error: 1.06 before, 0.85 after, 0.96 after as many at random

    References:
        Cohn, Ghahramani, Jordan, Active learning with statistical models, JAIR 4, 1996 (expected variance of
        predictions); Chaloner, Verdinelli, Bayesian experimental design, Statistical Science 10(3), 1995.
    """
    return fall(belief, candidates, candidates.target_moment())


def fall(belief: Belief, candidates: Candidates, moment: Array) -> Array:
    """``wᵀ S Q S w / v`` for any moment Q, (D, D) or (n, D, D)."""
    return quadratic(candidates.items.factors, belief.covariance @ moment @ belief.covariance) * candidates.gain(belief)
