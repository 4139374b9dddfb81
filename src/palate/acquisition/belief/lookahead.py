"""The value of a question and of the next one (lookahead)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.belief.a_optimal_relative import a_optimal_relative
from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def lookahead(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what is worth most, the next question included.

    .. math:: p_i a_i + \left[ p_i \max_{j \ne i} p_{j|i} a_j + (1 - p_i) \max_{j \ne i} p_{j|\bar\imath} a_j
              - \max_{j \ne i} p_j a_j \right]

    What the question is worth, and what it is to know better what can be asked after it, (I,) or (n, I). ``a_i`` is the
    value of :func:`palate.acquisition.belief.a_optimal_relative`; ``p_i`` P(can answer i), ``p_{j|i}``
    that of j once i was answered, ``p_{j|\bar i}`` once it was not. What an answer is worth in users who know much
    (:attr:`Candidates.reach`) multiplies each ``a``. The bracket is the value of information about what the user
    knows. It is 0 where everything can be answered, so there this is ``a-optimal-relative``.

    O(I² + I D²): for a shortlist.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("lookahead"))
        asks first: Simple Noodle Soup, Northern Heist
        5 questions: 18 seconds, 2.7 answers
        list: 0.52 before, 0.62 after, 0.57 after as many at random
        error: 1.06 before, 0.86 after, 0.96 after as many at random

    References:
        The value of information for the next decision: Howard, Information value theory, IEEE Transactions on Systems
        Science and Cybernetics 2(1), 1966.
    """
    now = a_optimal_relative(belief, candidates, rng=rng)
    if belief.mean.ndim == 1:
        return _of_one(now, candidates)
    return np.stack([_of_one(row, candidates.of(user)) for user, row in enumerate(now)])


def _of_one(now: Array, candidates: Candidates) -> Array:
    known, worth = candidates.known, candidates.reach / candidates.known * now
    if_answered, if_not = _chances(candidates)

    def best_other(chances: Array) -> Array:
        values = chances * worth
        values[np.arange(len(known)), np.arange(len(known))] = 0.0
        return np.asarray(values.max(1))

    told = known * best_other(if_answered) + (1.0 - known) * best_other(if_not)
    return np.asarray(candidates.reach * now + told - best_other(np.tile(known, (len(known), 1))))


def _chances(candidates: Candidates) -> tuple[Array, Array]:
    """P(can answer j), a column each, once i (a row each) was answered, and once it was not, (I, I) each."""
    known = candidates.known
    answerability, exposure = candidates.answerability, candidates.exposure
    if answerability is None or exposure is None:
        return np.tile(known, (len(known), 1)), np.tile(known, (len(known), 1))
    loadings = answerability.loadings[candidates.columns]
    covariance = loadings @ exposure.covariance @ loadings.T
    slope = covariance / (covariance.diagonal() + answerability.noise[candidates.columns])[:, None]
    answered = known + slope * (1.0 - known)[:, None]
    floor = answerability.floor[candidates.columns]
    return np.clip(answered, floor, 1.0), np.clip(known - slope * known[:, None], floor, 1.0)
