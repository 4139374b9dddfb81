"""From scores to questions: masks, prices in answers, breaks ties, builds batches. No strategy does any of this."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.a_optimal_relative import a_optimal_relative
from palate.acquisition.belief.bald import bald
from palate.acquisition.belief.epig import epig
from palate.acquisition.belief.variance import variance
from palate.acquisition.candidates import Candidates
from palate.acquisition.draw import Draw, log_weights
from palate.acquisition.fast.dispatch import fast_values
from palate.acquisition.fast.moments import FROM_ITEMS
from palate.acquisition.shortlist import cheap_values, most_promising, shortlist
from palate.acquisition.strategy import Score, Strategy
from palate.arrays import Array
from palate.errors import OptionError
from palate.posteriors.belief import Belief

# By function, not by name: a strategy of somebody's own may have any name.
_FUSED: dict[Score, str] = {
    a_optimal: "a-optimal",
    a_optimal_relative: "a-optimal-relative",
    bald: "bald",
    variance: "variance",
}

_SHORTLISTS: dict[Score, int] = {epig: 256}  # of a large catalogue: what these cost there, and their regret is none


@dataclass(frozen=True, slots=True)
class Choice:
    """A candidate chosen.

    Attributes:
        item: Its position among the candidates.
        value: Its score, times the candidate's reach where the strategy weighs it.
        propensity: Probability of this choice given the scores and the choices before.
    """

    item: int
    value: float
    propensity: float


def values(
    strategy: Strategy,
    belief: Belief,
    candidates: Candidates,
    *,
    allowed: NDArray[np.bool_] | None = None,
    rng: np.random.Generator,
) -> Array:
    """What each question is worth, (I,) or (n, I): the score, times the reach where the strategy weighs it.

    A strategy with a shortlist scores only the most promising of what is ``allowed`` (all if None, of the shape of the
    result); the others are worth -inf. So does EPIG in a large catalogue (:mod:`palate.acquisition.shortlist`; its
    regret is measured in ``benchmarks.catalogue_scale``).
    """
    fused = _FUSED.get(strategy.score)
    fast = None if fused is None else fast_values(fused, belief, candidates)
    if fast is not None:
        return fast
    size = strategy.shortlist or _SHORTLISTS.get(strategy.score, 0) * (len(candidates) >= FROM_ITEMS)
    if not 0 < size < len(candidates):
        scores = strategy.score(belief, candidates, rng=rng)
        return scores * candidates.reach if strategy.weighs_answerability else scores
    if allowed is None:
        allowed = np.ones((*belief.mean.shape[:-1], len(candidates)), dtype=bool)
    if belief.mean.ndim == 1:
        return _of_shortlist(strategy, belief, candidates, allowed, size, rng)
    rows = [
        _of_shortlist(strategy, Belief(mean, covariance), candidates.of(user), allowed[user], size, rng)
        for user, (mean, covariance) in enumerate(zip(belief.mean, belief.covariance, strict=True))
    ]
    return np.stack(rows)


def _of_shortlist(
    strategy: Strategy,
    belief: Belief,
    candidates: Candidates,
    allowed: NDArray[np.bool_],
    size: int,
    rng: np.random.Generator,
) -> Array:
    if size == strategy.shortlist:
        cheap = np.where(allowed, cheap_values(belief, candidates, rng=rng), -np.inf)
        first = most_promising(cheap, size, rng=rng)
    else:
        first = shortlist(belief, candidates, size, allowed=allowed, rng=rng)
    few = candidates.take(first)
    scores = strategy.score(belief, few, rng=rng)
    worth = np.full(len(candidates), -np.inf)
    worth[first] = scores * few.reach if strategy.weighs_answerability else scores
    return worth


def best(
    scores: Array, allowed: NDArray[np.bool_], *, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The largest allowed score of each row, equal ones broken by ``rng``, and how many were equal, (n,) each.

    Rows without an allowed candidate give -1. A score that is not finite counts as the lowest, never as the best.
    """
    open_scores = np.where(allowed & np.isfinite(scores), scores, -np.inf)
    open_scores = np.where(allowed & ~np.isfinite(scores), np.finfo(np.float64).min, open_scores)
    top = open_scores == open_scores.max(1, keepdims=True)
    equal = np.where(allowed.any(1), top.sum(1), 0)
    picks = top.argmax(1)
    for row in np.flatnonzero(equal > 1):
        picks[row] = rng.choice(np.flatnonzero(top[row]))
    return np.where(equal > 0, picks, -1), equal


def select(
    strategy: Strategy,
    belief: Belief,
    candidates: Candidates,
    *,
    k: int = 1,
    allowed: NDArray[np.bool_] | None = None,
    random_share: float = 0.0,
    draw: Draw = "greedy",
    beta: float = 1.0,
    rng: np.random.Generator,
) -> list[Choice]:
    """Up to ``k`` different questions for one user, best first.

    A batch is built one by one: after each pick the belief is what it would be once that answer is in. For ratings its
    covariance does not depend on the answer, so the greedy batch is exact.

    Args:
        allowed: Candidates that may be asked, (I,); all if None.
        random_share: Probability that a question is drawn uniformly instead. It gives every candidate a propensity
            above 0, without which nothing about the others can be estimated from the answers.
        draw: ``greedy`` takes the best; ``power``, ``softmax`` and ``softrank`` draw, the closer to greedy the larger
            ``beta`` (:func:`palate.acquisition.draw.choose`).
    Raises:
        OptionError: If k is below 1, or random_share is not in [0, 1].
    """
    if k < 1:
        raise OptionError(f"k is {k}. Ask for at least 1 question.")
    if not 0.0 <= random_share <= 1.0:
        raise OptionError(f"random_share is {random_share:g}. Give a share from 0 to 1.")
    free = np.ones(len(candidates), dtype=bool) if allowed is None else allowed.copy()
    if k > 1 and strategy.pool is not None and strategy.pool.choose is not None and free.any():
        return _batch(strategy, belief, candidates, k, free, rng)
    choices: list[Choice] = []
    while len(choices) < k and free.any():
        scores = values(strategy, belief, candidates, allowed=free, rng=rng)
        open_items = np.flatnonzero(free)
        share = 1.0 if strategy.is_random else random_share
        chance = (1.0 - share) * chances(scores[open_items], draw, beta) + share / len(open_items)
        place = int(rng.choice(len(open_items), p=chance / chance.sum()))
        item = int(open_items[place])
        worth = float(scores[item])
        if np.isneginf(worth):  # drawn from outside the shortlist
            worth = float(values(strategy, belief, candidates.take(np.array([item])), rng=rng)[0])
        choices.append(Choice(item, worth, float(chance[place])))
        free[item] = False
        belief = candidates.condition(belief, item)
    return choices


def _batch(
    strategy: Strategy,
    belief: Belief,
    candidates: Candidates,
    k: int,
    free: NDArray[np.bool_],
    rng: np.random.Generator,
) -> list[Choice]:
    """A batch that is chosen as a whole, from the shortlist."""
    from palate.acquisition.pool.as_strategies import batch_of

    assert strategy.pool is not None
    cheap = cheap_values(belief, candidates, rng=rng)
    size = min(int(free.sum()), max(k, strategy.shortlist))
    few = most_promising(np.where(free, cheap, -np.inf), size, rng=rng)
    batch = batch_of(strategy.pool, belief, candidates.take(few), k, rng=rng)
    return [
        Choice(int(few[item]), float(cheap[few[item]]), float(propensity))
        for item, propensity in zip(batch.items, batch.propensities, strict=True)
    ]


def chances(scores: Array, draw: Draw, beta: float) -> Array:
    """Probability with which each of these is chosen, (I,); a score that is not finite is worth the least."""
    finite = np.isfinite(scores)
    if draw == "greedy" or not finite.any():
        worth = np.where(finite, scores, np.finfo(np.float64).min)
        top = worth == worth.max()
        return np.asarray(top / top.sum())
    logs = np.full(len(scores), -np.inf)
    logs[finite] = log_weights(scores[finite], draw, beta)
    if np.isneginf(logs).all():
        return np.full(len(scores), 1.0 / len(scores))
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())
