"""Whom to ask, at what price, and whether to ask at all.

An oracle has a cost and a reliability ρ in (0, 1], and the worth of asking it about item i is

    worth = gain_ρ(i) × P(answer) / cost

The reliability is inside the gain: an answer of a rating has the variance σ²/ρ, a like is turned round with the chance
(1 − ρ)/2. With the fall of the targets' summed variance as gain, as in ``a-optimal``,

    ratings:  gain_ρ = wᵀ S Q S w / (wᵀ S w + σ²/ρ)
    likes:    gain_ρ = wᵀ S Q S w / σ² × ρ² φ(z)² / ((1 + s²) p_ρ (1 − p_ρ)),   p_ρ = ½ + ρ (Φ(z) − ½)

s² = wᵀSw/σ² and z = (b + wᵀm) / (σ √(1 + s²)). So half the reliability is half the gain of a rating where the noise is
much larger than what is unknown of the taste, and hardly less than the whole where it is much smaller; of a like it is
a quarter or less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.draw import best
from palate.arrays import TINY, Array, Mask
from palate.costs import Budget, Price
from palate.errors.checks import number
from palate.oracles.source_reliability import EXPLORED, Reliability
from palate.posteriors.belief import Belief, quadratic


class Action(StrEnum):
    """What can be done next."""

    USER = "ask the user"
    ANNOTATOR = "ask an annotator"
    LANGUAGE_MODEL = "ask a language model"
    PSEUDO_LABEL = "accept a pseudo-label"
    AGAIN = "ask again"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Channel:
    """One thing that can be done about each candidate.

    Attributes:
        chance: P(answer), a number or (I,): ``candidates.known`` for the user, 1 for who always answers.
        allowed: Candidates that it can be done about, (I,); all if None. ``AGAIN`` is for those that have a rating.
        heard: Candidates about which one of its family has answered, (I,): whose errors are shared says nothing new.
    """

    action: Action
    price: Price
    chance: Array | float = 1.0
    allowed: Mask | None = None
    heard: Mask | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next.

    Attributes:
        item: Position among the candidates; -1 to stop.
        worth: Gain per unit of cost.
        cost: To pay.
        reason: Why to stop; empty otherwise.
        propensity: Probability of this item given the action: one of several that are worth the same is drawn.
    """

    action: Action
    item: int = -1
    worth: float = 0.0
    cost: float = 0.0
    reason: str = ""
    propensity: float = 1.0


def gain(belief: Belief, candidates: Candidates, *, reliability: float = 1.0, again: bool = False) -> Array:
    """Fall of the targets' summed variance by one answer, in squared units of the answers, (I,) or (n, I).

    Args:
        again: Whether the belief has heard a full answer about the item already. What nobody knows of the item is then
            the same in both answers, so a second rating tells less: with ``e`` that part of the variance and ``o`` an
            answer's own, two together see the taste with e + 1/(1/o₁ + 1/o₂). For likes it counts as a fresh answer,
            which is an upper bound.
    """
    moved = belief.covariance @ candidates.target_moment() @ belief.covariance
    variance = np.maximum(belief.variance(candidates.items.factors), 0.0)
    noise = np.maximum(candidates.noise, TINY)
    if again and candidates.likelihood.is_linear:
        noise, reliability = _of_second(candidates, noise, reliability), 1.0
    mean = candidates.items.level + belief.score(candidates.items.factors)
    return quadratic(candidates.items.factors, moved) * candidates.likelihood.curvature(
        mean, variance, noise, reliability
    )


def _of_second(candidates: Candidates, noise: Array, reliability: float) -> Array:
    """The noise of one answer that would tell as much as a second one adds to the first, (I,)."""
    first = np.clip(candidates.items.noise, TINY, noise)
    shared = noise - first
    second = noise / reliability - shared
    return 1.0 / np.maximum(1.0 / (shared + first * second / (first + second)) - 1.0 / noise, TINY)


def worth(belief: Belief, candidates: Candidates, offer: Channel) -> Array:
    """``gain_ρ × P(answer) / cost`` of each candidate, in squared units of the answers per unit of cost, (I,)."""
    again = offer.action is Action.AGAIN
    new = 1.0 if offer.heard is None else ~offer.heard
    value = new * gain(belief, candidates, reliability=offer.price.reliability, again=again)
    return value * offer.chance / offer.price.cost


def routed(
    prices: Mapping[Action, Price], learnt: Mapping[Action, Reliability], *, rng: np.random.Generator
) -> dict[Action, Price]:
    """The prices with the reliability that was learnt of who stands behind them.

    Money is spent on what ρ is at least, but with a probability of a tenth. One decision in twenty goes by a draw of
    each ρ instead, so that a source which was unlucky at first is heard again. Who has not had twenty gold answers
    yet, or may be worth nothing, is left out: it is asked for gold alone
    (:mod:`palate.oracles.source_reliability`).

    Args:
        learnt: Of those whose price says nothing of it; the others keep theirs.
        rng: Decides whether to draw, and draws.
    """
    is_drawn, found = bool(learnt) and rng.random() < EXPLORED, dict[Action, Price]()
    for action, price in prices.items():
        of = learnt.get(action)
        rho = price.reliability if of is None else of.draw(rng) if is_drawn else of.low
        if of is None or (of.is_known and rho > 0.0):
            found[action] = replace(price, reliability=rho)
    return found


def decide(
    belief: Belief,
    candidates: Candidates,
    offers: Sequence[Channel],
    *,
    budget: Budget | None = None,
    user: str = "",
    least: float = 0.0,
    rng: np.random.Generator,
) -> Decision:
    """The action and the item of the largest worth, about one user, or to stop.

    Args:
        budget: Offers that it cannot pay are left out.
        least: Worth at or below which nothing is done.
        rng: Breaks ties among items; among offers the first wins.
    Raises:
        OptionError: If ``least`` is not a finite number from 0.
    """
    number(least, "the least worth", least=0.0)
    budget = budget or Budget()
    paid = [offer for offer in offers if budget.affords(user, offer.price.cost)]
    if offers and not paid:
        cheapest = min(offer.price.cost for offer in offers)
        return Decision(Action.STOP, reason=f"the cheapest answer costs {cheapest:g}, {budget.left(user):g} is left")
    decisions = [_best_of(belief, candidates, offer, rng) for offer in paid]
    top = max(decisions, key=lambda one: one.worth, default=Decision(Action.STOP))
    if top.item < 0:
        return Decision(Action.STOP, reason="there is nothing left to ask")
    if top.worth <= least:
        return Decision(Action.STOP, reason=f"the best answer is worth {top.worth:.3g}, not more than {least:g}")
    return top


def _best_of(belief: Belief, candidates: Candidates, offer: Channel, rng: np.random.Generator) -> Decision:
    allowed = np.ones(len(candidates), dtype=bool) if offer.allowed is None else offer.allowed
    if not allowed.any():
        return Decision(Action.STOP, worth=-math.inf)
    scores = worth(belief, candidates, offer)
    (item,), (equal,) = best(scores[None], allowed[None], rng=rng)
    return Decision(offer.action, int(item), float(scores[item]), offer.price.cost, propensity=1.0 / float(equal))
