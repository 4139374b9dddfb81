"""Ask by a mixture of strategies whose weights a bandit learns from the answers."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.combined.members import MEMBERS, member_scores, open_to
from palate.acquisition.combined.transcript import Transcript
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief

HORIZON = 40  # questions the rates are set for
EXPERTS = len(MEMBERS) + 1  # and one that asks anything, so that everything has a chance
_LEAST = np.sqrt(np.log(EXPERTS) / (EXPERTS * HORIZON))  # chance of each expert
_BONUS = np.sqrt(np.log(EXPERTS / 0.1) / (EXPERTS * HORIZON))  # δ = 0.1


@each_user
def by_learning(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""``log q_i`` plus a Gumbel draw, so that the highest score is a draw from q, (I,) or (n, I). O(T D²) an item.

    .. math:: q = \sum_s p_s \varphi_s, \qquad p_s = (1 - S p_{\min}) \, \omega_s / \sum \omega + p_{\min}, \qquad
        \omega_s \leftarrow \omega_s \exp\left(\tfrac{p_{\min}}{2} \left(r \, \varphi_s(i) / q_i +
        \sqrt{\ln(S / \delta) / (S H)} / p_s\right)\right)

    φ_s is 1 for what strategy s would ask (shared where its scores are equal); one of the S strategies asks anything.
    The reward r in [0, 1] is the accuracy on the answers so far, each weighed by 1 / q of its question and the weights
    made to add to one; no answer has reward 0. Accuracy is 1 less the error as a share of the scale, for likes whether
    the side is right. Nothing is kept: weights and chances are computed anew by replaying the user's answers, which is
    exact if it was this strategy that asked, and otherwise takes them as if it had.

    References:
        Hsu, Lin, Active learning by learning, AAAI 2015; Beygelzimer et al., Contextual bandit algorithms with
        supervised learning guarantees, AISTATS 2011 (EXP4.P).
    """
    chances = expert_chances(weights(candidates, rng=rng))
    scores = np.where(open_to(candidates), member_scores(belief, candidates, rng=rng), -np.inf)
    q = chances @ advice(scores)
    return np.log(np.maximum(q, np.finfo(np.float64).tiny)) + rng.gumbel(size=len(q))


def expert_chances(omega: Array) -> Array:
    """Chance of each expert by its weight, (S + 1,)."""
    return np.asarray((1.0 - EXPERTS * _LEAST) * omega / omega.sum() + _LEAST)


def advice(scores: Array) -> Array:
    """Chance of each candidate under each member and under any, (S, ..., I) to (S + 1, ..., I); -inf is not open."""
    open_ = np.isfinite(scores[:1])
    best = scores == scores.max(-1, keepdims=True)
    options = np.concatenate([best & open_, open_]).astype(np.float64)
    return np.asarray(options / np.maximum(options.sum(-1, keepdims=True), 1.0))


def weights(candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """ω after the user's answers, the experts in order of the members and then "anything", (S + 1,)."""
    omega, transcript = np.ones(EXPERTS), Transcript.replay(candidates)
    turns = len(transcript.given.columns)
    if not turns:
        return omega
    scores, asked = transcript.scores(candidates, rng=rng)
    phi = advice(scores)[:, np.arange(turns), np.maximum(asked, 0)]  # of the question asked, (S + 1, T)
    right, answered = _accuracy(transcript, candidates), transcript.given.answered
    importance = np.zeros(turns)
    for turn in np.flatnonzero((asked >= 0) & (phi.sum(0) > 0)):
        chances = expert_chances(omega)
        importance[turn] = answered[turn] / (chances @ phi[:, turn])
        heard = importance[answered]
        reward = answered[turn] * (heard @ right[turn + 1]) / max(heard.sum(), 1.0)
        earned = reward * phi[:, turn] / (chances @ phi[:, turn])
        omega = omega * np.exp(0.5 * _LEAST * (earned + _BONUS / chances))
    return np.asarray(omega / omega.max())


def _accuracy(transcript: Transcript, candidates: Candidates) -> Array:
    """Of each belief on each rated question, in [0, 1], (T + 1, A)."""
    expected, values = transcript.predictions(candidates.population.taste)
    if candidates.likelihood.kind == "probit":
        return np.asarray(((expected >= 0.5) == (values >= 0.5)).astype(np.float64))
    levels = candidates.population.level_values
    scale = max(float(levels[-1] - levels[0]), np.finfo(np.float64).tiny)
    return np.asarray(np.maximum(1.0 - np.abs(expected - values) / scale, 0.0))
