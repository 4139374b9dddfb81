"""Strategies made of strategies."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.influence import item_item
from palate.acquisition.literature.products import log_popularity_entropy
from palate.acquisition.literature.transcript import MEMBERS, Transcript, member_scores, open_to
from palate.acquisition.per_user import each_user
from palate.arrays import TINY, Array
from palate.posteriors.belief import Belief

TOP = 10  # candidates that a member would ask
EXPLORED = 0.1  # chance that switching takes any member
HORIZON = 40  # questions the rates are set for
EXPERTS = len(MEMBERS) + 1  # and one that asks anything, so that everything has a chance
_LEAST = np.sqrt(np.log(EXPERTS) / (EXPERTS * HORIZON))  # chance of each expert
_BONUS = np.sqrt(np.log(EXPERTS / 0.1) / (EXPERTS * HORIZON))  # δ = 0.1


@each_user
def active_learning_by_learning(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask by a mixture of strategies whose weights a bandit learns from the answers.

    .. math:: q = \sum_s p_s \varphi_s, \qquad p_s = (1 - S p_{\min}) \, \omega_s / \sum \omega + p_{\min}, \qquad
        \omega_s \leftarrow \omega_s \exp\left(\tfrac{p_{\min}}{2} \left(r \, \varphi_s(i) / q_i +
        \sqrt{\ln(S / \delta) / (S H)} / p_s\right)\right)

    ``log q_i`` plus a Gumbel draw, so that the highest score is a draw from q, (I,) or (n, I). O(T D²) an item. φ_s is
    1 for what strategy s would ask (shared where its scores are equal); one of the S strategies asks anything. The
    reward r in [0, 1] is the accuracy on the answers so far, each weighed by 1 / q of its question and the weights made
    to add to one; no answer has reward 0. Accuracy is 1 less the error as a share of the scale, for likes whether the
    side is right. Nothing is kept: weights and chances are computed anew by replaying the user's answers, which is
    exact if it was this strategy that asked, and otherwise takes them as if it had.

    References:
        Hsu, Lin, Active learning by learning, AAAI 2015; Beygelzimer et al., Contextual bandit algorithms with
        supervised learning guarantees, AISTATS 2011 (EXP4.P).
    """
    chances = expert_chances(weights(candidates, rng=rng))
    scores = np.where(open_to(candidates), member_scores(belief, candidates, rng=rng), -np.inf)
    q = chances @ advice(scores)
    return np.log(np.maximum(q, TINY)) + rng.gumbel(size=len(q))


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
    if candidates.likelihood.is_binary:
        return np.asarray(((expected >= 0.5) == (values >= 0.5)).astype(np.float64))
    levels = candidates.population.level_values
    scale = max(float(levels[-1] - levels[0]), TINY)
    return np.asarray(np.maximum(1.0 - np.abs(expected - values) / scale, 0.0))


def log_popularity_entropy_item_item(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what people disagree on, of what this user is likely to know.

    ``log n_i · H(i)`` times the similarity to what the user has rated, (I,) or (n, I). O(R + n_i). The source asks by
    the first until the user has rated something and by the second from then on; before the first rating the similarity
    is the share of users who rated the item, so the product starts there too.

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002
        ("item-item personalized"); fixed mixtures: Elahi, Ricci, Rubens, A survey of active learning in collaborative
        filtering recommender systems, Computer Science Review 20, 2016.
    """
    balance = log_popularity_entropy(belief, candidates, rng=rng)
    return np.asarray(balance * item_item(belief, candidates, rng=rng))


@each_user
def switching(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask by the strategy whose questions have served this user best.

    The scores of the member that has been most useful, in its own units, (I,) or (n, I). O(T D²) an item. With a chance
    of 0.1 those of any member. A question was a member's if that had it among its ten best of what was left, and its
    utility is the fall of the mean squared error on the user's *other* answers when its answer came in; no answer is a
    utility of 0. A member's utility is the sum over its questions, divided by their number plus one; members alike are
    taken in order, so the first questions are ``a-optimal``'s. Nothing is kept: the answers given are replayed, all T
    beliefs at once, so that memory is T catalogues.

    In the source utilities are of the whole system and its days, here of one user's questions.

    References:
        Elahi, Ricci, Rubens, Adapting to natural rating acquisition with combined active learning strategies, ISMIS
        2012 ("switching").
    """
    explored, anyone = rng.random() < EXPLORED, int(rng.integers(len(MEMBERS)))
    chosen = anyone if explored else int(utilities(candidates, rng=rng).argmax())
    return np.asarray(member_scores(belief, candidates, rng=rng)[chosen])


def utilities(candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Of each member for one user, (S,), in squared units of the answers."""
    transcript = Transcript.replay(candidates)
    if not len(transcript.given.columns):
        return np.zeros(len(MEMBERS))
    scores, asked = transcript.scores(candidates, rng=rng)
    own = scores[:, np.arange(len(asked)), np.maximum(asked, 0)]
    would_ask = ((scores > own[:, :, None]).sum(2) < TOP) & (asked >= 0)  # (S, T)
    return np.asarray(would_ask @ falls(transcript, candidates) / (would_ask.sum(1) + 1.0))


def falls(transcript: Transcript, candidates: Candidates) -> Array:
    """Fall of the mean squared error on the user's other answers at each question, (T,); 0 where there is no other."""
    expected, values = transcript.predictions(candidates.population.taste)
    squared = (expected - values) ** 2  # (T + 1, A)
    fall, answered = squared[:-1] - squared[1:], transcript.given.answered
    own = np.zeros_like(fall, dtype=bool)
    own[answered] = np.eye(len(values), dtype=bool)
    return np.asarray(np.where(own, 0.0, fall).sum(1) / max(len(values) - 1, 1) * answered)


@each_user
def voting(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what most strategies would ask.

    How many members (:data:`palate.acquisition.literature.transcript.MEMBERS`) have the item among their ten best, (I,)
    or (n, I). O(D²) and sorting. Of what was not asked yet; where scores are equal at the tenth place all of them
    count.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014 ("voting").
    """
    left = open_to(candidates)
    scores = np.where(left, member_scores(belief, candidates, rng=rng), -np.inf)
    at = max(scores.shape[1] - TOP, 0)
    tenth = np.partition(scores, at, axis=1)[:, at, None]
    return np.asarray(((scores >= tenth) & left).sum(0).astype(np.float64))
