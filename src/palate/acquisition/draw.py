"""From scores to choices: the best, or a draw by the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from palate.arrays import Array, Mask, Positions
from palate.errors import OptionError
from palate.errors.checks import one_of

Draw = Literal["greedy", "power", "softmax", "softrank"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Candidates chosen, in the order of choice.

    Attributes:
        items: Their positions in the pool, (k,), all different.
        propensities: Probability of each choice given the earlier ones and whatever was computed before the first
            (clusters, scores), (k,): 1 over the number of equals for a greedy choice, the drawn one's share otherwise.
    """

    items: Positions
    propensities: Array

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, items: list[int], propensities: list[float]) -> Batch:
        return cls(np.array(items, dtype=np.intp), np.array(propensities, dtype=np.float64))

    def within(self, positions: Positions) -> Batch:
        """The same choice where the candidates were themselves taken from a larger pool."""
        return Batch(positions[self.items], self.propensities)


def best(scores: Array, allowed: Mask, *, rng: np.random.Generator) -> tuple[Positions, Positions]:
    """The largest allowed score of each row, equal ones broken by ``rng``, and how many were equal, (n,) each.

    Rows without an allowed candidate give -1. A score that is not finite counts as the lowest, never as the best.
    """
    open_scores = np.where(allowed, np.where(np.isfinite(scores), scores, np.finfo(np.float64).min), -np.inf)
    top = open_scores == open_scores.max(1, keepdims=True)
    equal = np.where(allowed.any(1), top.sum(1), 0)
    picks = top.argmax(1)
    for row in np.flatnonzero(equal > 1):
        picks[row] = rng.choice(np.flatnonzero(top[row]))
    return np.where(equal > 0, picks, -1), equal


def first(scores: Array, *, rng: np.random.Generator) -> tuple[int, float]:
    """Position of the largest of one row, all allowed, and the probability with which it was taken."""
    picks, equal = best(scores[None], np.ones((1, len(scores)), dtype=bool), rng=rng)
    return int(picks[0]), 1.0 / float(equal[0])


def choose(scores: Array, k: int, *, rng: np.random.Generator, draw: Draw = "greedy", beta: float = 1.0) -> Batch:
    r"""Up to ``k`` candidates by their scores.

    ``greedy`` takes the highest. The others draw without replacement, by Gumbel top-k, which costs a sort and needs no
    joint score to be diverse; each draw's probability given the earlier ones is recorded.

    .. math::
        p_i \propto s_i^\beta \;(\text{power}), \qquad e^{\beta s_i} \;(\text{softmax}), \qquad
        \operatorname{rank}_i^{-\beta} \;(\text{softrank}, best = 1)

    Args:
        scores: (N,).
        beta: 0 is a uniform draw; the larger, the closer to greedy.
    Raises:
        OptionError: If k is below 1, a score is not finite, beta is below 0, or ``power`` meets a score below 0.
    References:
        Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron, Gal, Stochastic batch acquisition: a simple baseline
        for deep active learning, TMLR 2023. arXiv:2106.12059. Kool, van Hoof, Welling, Stochastic beams and where to
        find them, ICML 2019 (Gumbel top-k).
    """
    if k < 1:
        raise OptionError(f"k is {k}. Ask for at least 1 label.")
    if not np.isfinite(scores).all():
        place = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise OptionError(f"the score of candidate {place} is {scores[place]}. A score must be finite.")
    if draw == "greedy":
        return _highest(scores, k, rng)
    return _drawn(log_weights(scores, draw, beta), k, rng)


def _highest(scores: Array, k: int, rng: np.random.Generator) -> Batch:
    shuffled = rng.permutation(len(scores))
    items = shuffled[np.argsort(-scores[shuffled], kind="stable")][:k]
    values, counts = np.unique(scores, return_counts=True)
    equal = counts[np.searchsorted(values, scores[items])]
    turn = np.arange(len(items)) - np.searchsorted(-scores[items], -scores[items])  # chosen before, of the same score
    return Batch(items, 1.0 / (equal - turn))


def log_weights(scores: Array, draw: Draw, beta: float) -> Array:
    """Logarithm of what each is drawn in proportion to, (N,) (:func:`choose`)."""
    if not (np.isfinite(beta) and beta >= 0):
        raise OptionError(f"beta is {beta}. Give a finite number of at least 0.")
    if draw == "softmax":
        return beta * scores
    if draw == "softrank":
        return _log_rank_weights(scores, beta)
    one_of(draw, get_args(Draw), "draw")
    if len(scores) and scores.min() < 0:
        raise OptionError(f"power draws meet the score {scores.min():.3g}. Use softmax or softrank below 0.")
    with np.errstate(divide="ignore"):
        logs = np.log(scores)
    return np.zeros_like(scores) if beta == 0 else beta * logs


def _log_rank_weights(scores: Array, beta: float) -> Array:
    """Equal scores share the mean weight of the ranks they hold, so that the order of candidates does not matter."""
    _, group = np.unique(-scores, return_inverse=True)
    weights = np.arange(1, len(scores) + 1, dtype=np.float64) ** -beta
    shared = np.bincount(np.sort(group), weights=weights) / np.bincount(group)
    return np.asarray(np.log(shared)[group])


def _drawn(logs: Array, k: int, rng: np.random.Generator) -> Batch:
    noise = rng.gumbel(size=len(logs))
    order = np.lexsort((-noise, -(logs + noise)))  # those of no weight come last, in a uniform order
    weights = logs[order]
    left = np.logaddexp.accumulate(weights[::-1])[::-1]  # log of the weight not yet drawn
    none_left = np.isneginf(left)
    shares = np.exp(weights - np.where(none_left, 0.0, left))
    shares[none_left] = 1.0 / np.arange(len(order), 0, -1)[none_left]
    return Batch(order[:k], shares[:k])
