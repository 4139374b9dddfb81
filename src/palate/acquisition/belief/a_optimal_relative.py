"""What an answer takes off the variance of what may be shown, each against its own."""

from __future__ import annotations

import numpy as np

from palate.acquisition.belief.a_optimal import fall
from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def a_optimal_relative(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what most lowers the variance of what this user may be shown, as a share.

    .. math:: a_i = \sum_j q_j \frac{\mathrm{cov}_{ij}^2}{v_i v_j} = w_i^\top S Q S w_i / v_i, \qquad
              Q = \sum_j \frac{q_j}{v_j} w_j w_j^\top

    The mean squared correlation of the answer with the answers to the targets, (I,) or (n, I). Twice the first order of
    EPIG (``−½ log(1 − ρ²) ≈ ½ ρ²``), exact over all targets, at the price of A-optimality: no
    pass over pairs.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("a-optimal-relative"))
        asks first: Simple Noodle Soup, Northern Heist
        5 questions: 18 seconds, 2.7 answers
        list: 0.52 before, 0.62 after, 0.57 after as many at random
        error: 1.06 before, 0.85 after, 0.96 after as many at random

    References:
        Bickford Smith et al., Prediction-oriented Bayesian active learning, AISTATS 2023. arXiv:2304.08151
    """
    return fall(belief, candidates, candidates.relative_moment(belief))
