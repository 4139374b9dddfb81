"""From scores to questions: masks, prices in answers, breaks ties, builds batches. No strategy does any of this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.a_optimal_relative import a_optimal_relative
from palate.acquisition.belief.bald import bald
from palate.acquisition.belief.epig import epig
from palate.acquisition.belief.variance import variance
from palate.acquisition.candidates import Candidates
from palate.acquisition.draw import Draw, log_weights
from palate.acquisition.fast.dispatch import fast_values
from palate.acquisition.fast.moments import FROM_ITEMS
from palate.acquisition.pool.of_belief import pool_of
from palate.acquisition.shortlist import cheap_values, most_promising, shortlist
from palate.acquisition.strategy import Strategy
from palate.arrays import Array, Mask
from palate.errors import OptionError
from palate.errors.checks import count, instance, number, one_of, share, shown
from palate.posteriors.belief import Belief

# By function, not by name: a strategy of somebody's own may have any name.
_FUSED = {
    id(a_optimal): "a-optimal",
    id(a_optimal_relative): "a-optimal-relative",
    id(bald): "bald",
    id(variance): "variance",
}
_SHORTLISTS = {id(epig): 256}  # of a large catalogue: what these cost there, and their regret is none


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
    allowed: Mask | None = None,
    rng: np.random.Generator,
) -> Array:
    """What each question is worth, (I,) or (n, I): the score, times the reach where the strategy weighs it.

    A strategy with a shortlist scores only the most promising of what is ``allowed`` (all if None, of the shape of the
    result); the others are worth -inf. So does EPIG in a large catalogue (:mod:`palate.acquisition.shortlist`; its
    regret is measured in ``benchmarks.catalogue_scale``).

    Raises:
        OptionError: If the strategy gives scores of a wrong shape, that are no numbers, or none that is finite among
            what is allowed.
    """
    fused = _FUSED.get(id(strategy.score))
    fast = None if fused is None else fast_values(fused, belief, candidates)
    if fast is not None:
        return fast
    size = strategy.shortlist or _SHORTLISTS.get(id(strategy.score), 0) * (len(candidates) >= FROM_ITEMS)
    if not 0 < size < len(candidates):
        return _scored(strategy, belief, candidates, allowed, rng)
    if allowed is None:
        allowed = np.ones((*belief.mean.shape[:-1], len(candidates)), dtype=bool)
    if belief.mean.ndim == 1:
        return _of_shortlist(strategy, belief, candidates, allowed, size, rng)
    rows = [
        _of_shortlist(strategy, belief.of(user), candidates.of(user), allowed[user], size, rng)
        for user in range(len(belief.mean))
    ]
    return np.stack(rows)


def _of_shortlist(
    strategy: Strategy,
    belief: Belief,
    candidates: Candidates,
    allowed: Mask,
    size: int,
    rng: np.random.Generator,
) -> Array:
    if size == strategy.shortlist:
        by_known = strategy.shortlist_by == "known"
        cheap = candidates.known if by_known else cheap_values(belief, candidates, rng=rng)
        first = most_promising(np.where(allowed, cheap, -np.inf), size, rng=rng)
        first = first[allowed[first]] if allowed.any() else first
    else:
        first = shortlist(belief, candidates, size, allowed=allowed, rng=rng)
    worth = np.full(len(candidates), -np.inf)
    worth[first] = _scored(strategy, belief, candidates.take(first), allowed[first], rng)
    return worth


def _scored(
    strategy: Strategy, belief: Belief, candidates: Candidates, allowed: Mask | None, rng: np.random.Generator
) -> Array:
    """The scores, times the reach where the strategy weighs it, if they are what a strategy gives."""
    shape = (*belief.mean.shape[:-1], len(candidates))
    scores = _numbers(strategy.score(belief, candidates, rng=rng))
    if scores is None or scores.shape != shape:
        given = "no array of numbers" if scores is None else f"scores of the shape {scores.shape}"
        raise OptionError(f"strategy {strategy.name!r} gives {given}. Return a number a candidate, {shape}.")
    open_ = np.ones(shape, dtype=bool) if allowed is None else allowed
    finite = open_ & np.isfinite(scores)
    lost = open_ & ~finite.any(-1, keepdims=True)
    if lost.any():
        value = scores[lost][0]
        raise OptionError(f"strategy {strategy.name!r} scores all that may be asked as {value}. Return finite numbers.")
    return scores * candidates.reach if strategy.weighs_answerability else scores


def _numbers(scores: object) -> Array | None:
    """As an array; None where it is none of numbers."""
    try:
        array = np.asarray(scores)
    except (TypeError, ValueError):  # rows of different lengths
        return None
    return array.astype(np.float64, copy=False) if array.dtype.kind in "fiub" else None


def select(
    strategy: Strategy,
    belief: Belief,
    candidates: Candidates,
    *,
    k: int = 1,
    allowed: Mask | None = None,
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
        OptionError: If k is below 1, random_share is not in [0, 1], or the strategy gives no scores (:func:`values`).
    """
    instance(strategy, Strategy, "strategy", "what palate.acquisition.get_strategy(name) gives")
    instance(belief, Belief, "belief", "learner.state(user).belief")
    instance(candidates, Candidates, "candidates", "palate.loop.offered.candidates_of(learner.model)")
    instance(rng, np.random.Generator, "rng", "numpy.random.default_rng(seed)")
    count(k, "k", least=1)
    share(random_share, "random_share")
    one_of(draw, get_args(Draw), "draw")
    number(beta, "beta", least=0.0)
    free = np.ones(len(candidates), dtype=bool) if allowed is None else _mask(allowed, len(candidates))
    if k > 1 and strategy.pool is not None and strategy.pool.choose is not None and free.any():
        return _batch(strategy, belief, candidates, k, free, rng)
    choices: list[Choice] = []
    while len(choices) < k and free.any():
        scores = values(strategy, belief, candidates, allowed=free, rng=rng)
        open_items = np.flatnonzero(free)
        uniform = 1.0 if strategy.is_random else random_share
        chance = (1.0 - uniform) * chances(scores[open_items], draw, beta) + uniform / len(open_items)
        place = int(rng.choice(len(open_items), p=chance / chance.sum()))
        item = int(open_items[place])
        worth = float(scores[item])
        if np.isneginf(worth):  # drawn from outside the shortlist
            worth = float(values(strategy, belief, candidates.take(np.array([item])), rng=rng)[0])
        choices.append(Choice(item, worth, float(chance[place])))
        free[item] = False
        belief = candidates.condition(belief, item)
    return choices


def _mask(allowed: object, size: int) -> Mask:
    """A copy, if it is one."""
    if not isinstance(allowed, np.ndarray) or allowed.dtype != np.bool_ or allowed.shape != (size,):
        raise OptionError(f"allowed is {shown(allowed)}. Give {size} truth values, an array of the shape ({size},).")
    return allowed.copy()


def _batch(
    strategy: Strategy,
    belief: Belief,
    candidates: Candidates,
    k: int,
    free: Mask,
    rng: np.random.Generator,
) -> list[Choice]:
    """A batch that is chosen as a whole, from the shortlist."""
    assert strategy.pool is not None
    cheap = cheap_values(belief, candidates, rng=rng)
    size = min(int(free.sum()), max(k, strategy.shortlist))
    few = most_promising(np.where(free, cheap, -np.inf), size, rng=rng)
    batch = strategy.pool.pick(pool_of(belief, candidates.take(few), rng=rng), k, rng=rng)
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
