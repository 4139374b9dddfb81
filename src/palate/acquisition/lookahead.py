"""Ask what is worth most together with the question after it."""

from __future__ import annotations

import numpy as np

from palate.acquisition.a_optimal_relative import relative
from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.answerability import LOWEST
from palate.posteriors.taste import Belief


def lookahead(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Worth of the question and of the best one after it, (I,) or (n, I).

    .. math:: p_i a_i + p_i \max_{j \ne i} p_{j|i} a_{j|i} + (1 - p_i) \max_{j \ne i} p_{j|\bar\imath} a_j

    ``a_i`` is the value of :func:`palate.acquisition.a_optimal_relative`, ``a_{j|i}`` that of j once the answer to i is
    in; ``p_i`` is P(can answer i), ``p_{j|i}`` that of j once i was answered, ``p_{j|\bar i}`` once it was not. So a
    question is also worth what it tells of what can be asked next, which no score of one question knows. What an
    answer is worth in users who know much (:attr:`Candidates.reach`) multiplies each ``a``.

    For likes the value of an answer not yet given is its expectation, and the mean taste stays where it is.
    O(I (I + D²)): for a shortlist.

    References:
        Two steps of the dynamic programme of sequential experiments: DeGroot, Optimal statistical decisions, 1970,
        chapter 12.
    """
    candidates = relative(belief, candidates)
    if belief.mean.ndim == 1:
        return _of_one(belief, candidates)
    users = enumerate(zip(belief.mean, belief.covariance, strict=True))
    return np.stack([_of_one(Belief(mean, covariance), candidates.of(user)) for user, (mean, covariance) in users])


def _of_one(belief: Belief, candidates: Candidates) -> Array:
    now, after = _values(belief, candidates)
    if_answered, if_not = _chances(candidates)
    worth = candidates.reach / candidates.known
    itself = np.eye(len(candidates), dtype=bool)
    next_after = np.where(itself, 0.0, if_answered * worth * after).max(1)
    next_without = np.where(itself, 0.0, if_not * worth * now).max(1)
    return np.asarray(candidates.reach * now + candidates.known * next_after + (1.0 - candidates.known) * next_without)


def _values(belief: Belief, candidates: Candidates) -> tuple[Array, Array]:
    """Value of each question now, (I,), and of each (column) once the answer about another (row) is in, (I, I)."""
    factors, S = candidates.items.factors, belief.covariance
    covariance = factors @ S @ factors.T
    joint = factors @ (S @ candidates.target_moment() @ S) @ factors.T  # covariances with the targets, multiplied
    score, variance, own = belief.score(factors), covariance.diagonal(), joint.diagonal()
    gain = candidates.gain_at(score, variance)
    moved = covariance * gain[:, None]  # by how much of i's own vector that of j shrinks once i is answered
    left = np.maximum(own - 2.0 * moved * joint + moved**2 * own[:, None], 0.0)
    variance_left = np.maximum(variance - moved * covariance, 0.0)
    return own * gain, left * candidates.gain_at(np.broadcast_to(score, left.shape), variance_left)


def _chances(candidates: Candidates) -> tuple[Array, Array]:
    """P(can answer j), a column each, once i (a row each) was answered, and once it was not, (I, I) each."""
    known = candidates.known
    answerability, exposure = candidates.answerability, candidates.exposure
    if answerability is None or exposure is None:
        return np.broadcast_to(known, (len(known), len(known))), np.broadcast_to(known, (len(known), len(known)))
    loadings = answerability.loadings[candidates.columns]
    covariance = loadings @ exposure.covariance @ loadings.T
    slope = covariance / (covariance.diagonal() + answerability.noise[candidates.columns])[:, None]
    answered = known + slope * (1.0 - known)[:, None]
    return np.clip(answered, LOWEST, 1.0), np.clip(known - slope * known[:, None], LOWEST, 1.0)
