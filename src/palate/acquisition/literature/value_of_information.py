"""The value of information: what an answer is expected to add to the list."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.bandit_indices import as_rewards
from palate.acquisition.per_user import each_user
from palate.acquisition.targets import SLATE, draw_tastes, showable, slate_targets, spread_tastes
from palate.arrays import TINY, Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.probit import assumed_density, yes_chance

CONTENDERS = 100  # items that can reach the top; of a catalogue, those with the highest mean plus two deviations
ENTRANTS = 64  # items most often among the best of a drawn taste
TASTES = 128  # drawn from the belief
_SPREAD = 256  # spread over it: what is asked is then worth 98.6 to 99.9 % of the best, of 128 drawn 90 to 98 %
_GRADE = 4.0  # of the highest rating, so that its gain is 2⁴ − 1
DISCOUNTS = 1.0 / np.log2(np.arange(2, SLATE + 2))
_ANSWERS = 6  # equally likely answers a rating is rounded to; rounding loses information, so the value is a lower bound
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_DENSITY = 1.0 / np.sqrt(2.0 * np.pi)
_LEAST = 1e-12


def contenders(belief: Belief, candidates: Candidates, most: int = CONTENDERS) -> Positions:
    """Positions among ``shown`` of what one user may like best: the highest mean plus two standard deviations."""
    open_ = showable(candidates)
    items = candidates.shown.take(open_)
    promise = items.level + belief.score(items.factors) + 2.0 * np.sqrt(np.maximum(belief.variance(items.factors), 0.0))
    return open_[np.argsort(-promise, kind="stable")[:most]]


def gains(scores: Array, noise: Array, candidates: Candidates) -> Array:
    """Gain of an item in a list, as in (N)DCG, by its expected answer without noise; any shape (..., J).

    ``2^g − 1``, the grade g in [0, 4] being the place of the answer on the scale; for likes the chance of one.
    """
    likelihood = candidates.likelihood
    expected = scores if likelihood.is_linear else likelihood.expected(scores, noise, noise)
    if likelihood.is_binary:
        return expected
    return np.asarray(2.0 ** (_GRADE * as_rewards(expected, candidates.population)) - 1.0)


def best_dcg(expected: Array) -> Array:
    """``max_π Σ_r E[gain of π_r] / log2(1 + r)`` over lists of 10: the expected gains sorted, (..., J) to (...)."""
    k = min(SLATE, expected.shape[-1])
    best = np.partition(expected, expected.shape[-1] - k, axis=-1)[..., -k:]
    return np.asarray(np.sort(best, axis=-1)[..., ::-1] @ DISCOUNTS[:k])


def drawn_scores(tastes: Array, items: Items) -> Array:
    """Expected answer to each item by each taste, (T, I)."""
    return items.level + tastes @ items.factors.T


@each_user
def evoi(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what is expected to better the best item most.

    .. math:: E_y\left[\max_j E[u_j \mid y]\right] - \max_j E[u_j], \qquad u_j = b_j + w_j^\top z

    The expected value of the information in an answer, in units of the answers, (I,) or (n, I). O(D J), over the J =
    100 items that may come out best for the user. A rating moves every ``E[u_j]`` along a line in one normal variable,
    so its value is the knowledge gradient, exactly; a like has two answers.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("evoi"))
        asks first: Simple Noodle Soup, Northern Heist
        5 questions: 18 seconds, 2.7 answers
        list: 0.52 before, 0.62 after, 0.57 after as many at random
        error: 1.06 before, 0.86 after, 0.96 after as many at random

    References:
        Boutilier, A POMDP formulation of preference elicitation problems, AAAI 2002; Guo, Sanner, Real-time
        multiattribute Bayesian preference elicitation with pairwise comparison queries, AISTATS 2010; Viappiani,
        Boutilier, Optimal Bayesian recommendation sets and myopically optimal choice query sets, NIPS 2010.
    """
    return value_of_answers(belief, candidates, candidates.shown.take(contenders(belief, candidates)))


def value_of_answers(belief: Belief, candidates: Candidates, shown: Items) -> Array:
    """The same over these items, for one user, (I,)."""
    items, noise = candidates.items, candidates.noise
    means = shown.level + belief.score(shown.factors)
    along = items.factors @ belief.covariance @ shown.factors.T  # (I, J)
    variance = np.maximum(belief.variance(items.factors), 0.0)
    if not candidates.likelihood.is_binary:
        return expected_rise(means, along / np.sqrt(np.maximum(variance + noise, TINY))[:, None])
    mean = items.level + belief.score(items.factors)
    yes = yes_chance(mean, variance + noise)
    best = np.zeros(len(items))
    for liked, chance in ((1.0, yes), (0.0, 1.0 - yes)):
        step, _ = assumed_density(mean, variance, np.full_like(mean, liked), noise)
        best += chance * (means + along * step[:, None]).max(1)
    return np.asarray(np.maximum(best - means.max(), 0.0))


@each_user
def evoi_lookahead(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what, with the best question after it, is expected to better the best item most.

    .. math:: E_y\left[\max_{l \ne i} E_{y'}\left[\max_j E[u_j \mid y, y']\right]\right] - \max_j E[u_j]

    The value of two questions, the second chosen by the answer to the first, in units of the answers, (I,) or (n, I).
    Expectimax by a tree of depth 2 over the candidates themselves, so behind a short shortlist: O(M² D J)
    for M candidates and J = 100 items. The first answer, if a rating, is taken at 5 Gauss-Hermite nodes, the second
    exactly. The source searches deeper with Monte Carlo tree search.

    References:
        Martin, Boutilier, Meshi, Sandholm, Model-free preference elicitation, IJCAI 2024 (multi-step questions).
    """
    shown = candidates.shown.take(contenders(belief, candidates))
    now = (shown.level + belief.score(shown.factors)).max()
    best = [_best_after(belief, candidates, item, shown) for item in range(len(candidates))]
    return np.asarray(np.maximum(np.array(best) - now, 0.0))


def _best_after(belief: Belief, candidates: Candidates, item: int, shown: Items) -> float:
    """Expected best item after this question and the best one that follows."""
    others = candidates.take(np.delete(np.arange(len(candidates)), item))
    total = 0.0
    for chance, after in _outcomes(belief, candidates, item):
        following = value_of_answers(after, others, shown).max(initial=0.0)
        total += chance * float((shown.level + after.score(shown.factors)).max() + following)
    return total


def _outcomes(belief: Belief, candidates: Candidates, item: int) -> list[tuple[float, Belief]]:
    """The answers to one question: the chance of each and the belief after it."""
    factors, level = candidates.items.factors[item], candidates.items.level[item]
    noise = candidates.noise[item]
    spread = max(float(factors @ belief.covariance @ factors), 0.0) + noise
    if not candidates.likelihood.is_binary:
        return [
            (float(weight), belief.update(factors, node * np.sqrt(spread), noise))
            for node, weight in zip(_NODES, _WEIGHTS, strict=True)
        ]
    yes = float(yes_chance(level + factors @ belief.mean, spread))
    chances = ((1.0, yes), (0.0, 1.0 - yes))
    return [(chance, belief.update_probit(factors, level, np.array(liked), noise)) for liked, chance in chances]


@each_user
def evoi_ndcg(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what is expected to better the list that is shown most, by NDCG.

    .. math:: E_y\left[\max_\pi E[\mathrm{NDCG}(\pi) \mid y]\right] - \max_\pi E[\mathrm{NDCG}(\pi)]

    The expected rise of the NDCG@10 of the best list, in [0, 1], (I,) or (n, I). O(T (D + J)) for T = 256, J = 64: over
    T tastes spread evenly over the belief, each with its own ideal list, and lists of the 64 items that most often
    enter the slates of Thompson draws (:func:`palate.acquisition.targets.slate_targets`). The best list sorts the
    expected gains over their ideal. An answer weighs the tastes by its likelihood; a rating counts by which of 6
    equally likely ranges it falls in, so that the chances of the answers add to one and the value is never below zero.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("evoi-ndcg", questions=1))
        asks first: Simple Noodle Soup, Northern Heist
        1 question: 4 seconds, 0.7 answers
        list: 0.52 before, 0.56 after, 0.53 after as many at random
        error: 1.06 before, 0.99 after, 1.04 after as many at random

    References:
        Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002 (NDCG); Boutilier,
        A POMDP formulation of preference elicitation problems, AAAI 2002 (the value of a question); Long et al., Active
        learning for ranking through expected loss optimization, SIGIR 2010 (DCG as that value).
    """
    entered = slate_targets(belief, candidates, rng=rng, draws=TASTES)
    shown = candidates.shown.take(np.argsort(-entered, kind="stable")[: min(ENTRANTS, np.count_nonzero(entered))])
    tastes = spread_tastes(belief, _SPREAD, rng=rng)
    gain = gains(drawn_scores(tastes, shown), candidates.likelihood.answer_noise(shown.answer_noise), candidates)
    share = gain / np.maximum(best_dcg(gain), _LEAST)[:, None]  # of the ideal list, (T, J)
    chances = answer_chances(tastes, belief, candidates)  # (T, I, answers)
    joint = np.einsum("tia,tj->iaj", chances, share, optimize=True) / len(tastes)
    return np.asarray(np.maximum(best_dcg(joint).sum(1) - best_dcg(share.mean(0)), 0.0))


def answer_chances(tastes: Array, belief: Belief, candidates: Candidates) -> Array:
    """P(answer | taste), (T, I, answers), answers in ascending order and their chances adding to one."""
    items, noise = candidates.items, candidates.noise
    scores, noise = drawn_scores(tastes, items), np.maximum(noise, _LEAST)
    if candidates.likelihood.is_binary:
        yes = yes_chance(scores, noise)
        return np.stack([1.0 - yes, yes], -1)
    spread = np.sqrt(np.maximum(belief.variance(items.factors), 0.0) + noise)
    edges = (items.level + belief.score(items.factors))[:, None] + spread[:, None] * ndtri(
        np.arange(1, _ANSWERS) / _ANSWERS
    )
    below = yes_chance(edges - scores[:, :, None], noise[:, None])
    return np.diff(below, axis=-1, prepend=0.0, append=1.0)


@each_user
def expected_loss_dcg(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what, once known, is expected to better the order of the list most.

    .. math:: E_{g_i}\left[\max_\pi \mathrm{DCG}(\pi; g_i, E[g_{-i}])\right] - \max_\pi E[\mathrm{DCG}(\pi)]

    The loss of DCG@10 for not knowing the item's gain g_i, in units of gain, (I,) or (n, I). O(T log J) for J = 100,
    over T = 128 tastes drawn from the belief. This is the source's choice of documents: the other items stay at their
    expected gains, so what the answer says of them is left out, which ``evoi-ndcg`` counts. The source's choice of
    queries is :func:`loss_of_user`.

    References:
        Long, Chapelle, Zhang, Chang, Zheng, Tseng, Active learning for ranking through expected loss optimization,
        SIGIR 2010.
    """
    shown = contenders(belief, candidates)
    tastes = draw_tastes(belief, TASTES, rng=rng)
    expected = _gains(tastes, candidates, shown).mean(0)
    own = gains(drawn_scores(tastes, candidates.items), candidates.noise, candidates)  # (T, I)
    return np.array([_loss(own[:, item], expected[shown != column]) for item, column in enumerate(candidates.columns)])


def loss_of_user(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> float:
    """``E[max_π DCG(π)] − max_π E[DCG(π)]``: what not knowing one user's taste costs the list, in units of gain.

    Whom to ask first, where the users compete for one budget ("queries" in Long et al. 2010).
    """
    tastes = draw_tastes(belief, TASTES, rng=rng)
    gain = _gains(tastes, candidates, contenders(belief, candidates))
    return max(float(best_dcg(gain).mean() - best_dcg(gain.mean(0))), 0.0)


def _gains(tastes: Array, candidates: Candidates, positions: Positions) -> Array:
    shown = candidates.shown.take(positions)
    return gains(drawn_scores(tastes, shown), candidates.likelihood.answer_noise(shown.answer_noise), candidates)


def _loss(own: Array, others: Array) -> float:
    """Mean best DCG with the item at each of its gains (T,), less that with it at its mean gain."""
    ranked = -np.sort(-others)[:SLATE]
    ahead = np.concatenate([[0.0], np.cumsum(ranked * DISCOUNTS[: len(ranked)])])  # DCG of those before the item
    later = np.append(DISCOUNTS[1:], 0.0)[: len(ranked)] * ranked  # and of those it pushes down by one
    behind = np.append(np.cumsum(later[::-1])[::-1], 0.0)
    weights = np.append(DISCOUNTS, 0.0)

    def dcg(gain: Array) -> Array:
        rank = np.searchsorted(-ranked, -gain, side="left")
        return np.asarray(ahead[rank] + weights[rank] * gain + behind[rank])

    return max(float(dcg(own).mean() - dcg(own.mean(keepdims=True))[0]), 0.0)


def expected_rise(means: Array, slopes: Array) -> Array:
    r"""``E max_j (a_j + b_j Z) − max_j a_j`` with Z ~ N(0, 1), for each of M questions, (M,).

    The maximum of lines is their upper envelope: where the envelope passes from line k to the steeper line k + 1, at
    z_k, it gains

    .. math:: (b_{k+1} - b_k) \, f(-|z_k|), \qquad f(x) = x \Phi(x) + \varphi(x)

    The envelopes of all questions are walked side by side from the left, O(M J) a step, as many steps as the largest
    envelope has corners (ten to twenty for a hundred lines).

    Args:
        means: a, (J,) or (M, J).
        slopes: b, (M, J).
    References:
        Frazier, Powell, Dayanik, The knowledge-gradient policy for correlated normal beliefs, INFORMS Journal on
        Computing 21(4), 2009.
    """
    means = np.broadcast_to(means, slopes.shape)
    rows, rise = np.arange(len(slopes)), np.zeros(len(slopes))
    here = np.where(slopes == slopes.min(1, keepdims=True), means, -np.inf).argmax(1)
    while True:
        steeper = slopes - slopes[rows, here, None]
        behind = means[rows, here, None] - means
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            corners = np.where(steeper > 0, behind / steeper, np.inf)
        corner = corners.min(1)
        left = np.isfinite(corner)
        if not left.any():
            return rise
        following = np.where(corners == corner[:, None], slopes, -np.inf).argmax(1)
        rise += np.where(left, steeper[rows, following] * _tail(np.where(left, corner, 0.0)), 0.0)
        here = np.where(left, following, here)


def _tail(corner: Array) -> Array:
    """``f(−|z|)``, what a hinge at z is worth."""
    low = -np.minimum(np.abs(corner), 40.0)  # beyond it is 0 in double precision, and its square may overflow
    return np.asarray(low * ndtr(low) + _DENSITY * np.exp(-0.5 * low**2))
