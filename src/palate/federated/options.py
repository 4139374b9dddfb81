"""Settings of a model line: all rounds of it share them, and all of them are public."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from palate.arrays import Array
from palate.errors import OptionError
from palate.errors.checks import count, number, one_of, positive, share
from palate.federated.accounting import Budget, Split
from palate.federated.fixed_point import MAX_BOUND

Kind = Literal["rating", "like"]


@dataclass(frozen=True, slots=True)
class FederatedOptions:
    """How a model line is learnt.

    The defaults were found on generated worlds, whose ratings are nobody's. Answers are centred and scaled by public
    numbers: r = (answer − ``centre``) / ``size``.

    Attributes:
        epsilon: ε of a user's whole data over the life of the line; infinity: no noise and no privacy.
        delta: δ of the same, far below one over the number of users.
        rounds: Rounds of gradients, after the round of counts.
        clip: C, the longest gradient of a user, over all items together.
        item_clip: The longest in one item; by default none is so long. It limits what a few hostile devices can lift an
            item by, and does not end it (docs/lab-notes.md).
        keep: Share of a round that the running average carries into the next one.
        growth: By how much more each round of gradients spends of the budget than the one before it, and counts.
        floor: Smallest variance Λ of a factor given the text, until the last round. Before tastes are more than noise
            factors look like nothing, and without it they would be held there.
        dim: Taste dimensions, D.
        kind: "rating", or "like": answers 0 and 1, modelled as numbers with Gaussian noise.
        low, high: Ends of the scale of answers; 0 and 1 for likes.
        noise: σ², variance of r given taste and item.
        form: "factors"; "means": counts and levels alone, and text; "auto": means where round 0 counts too few answers
            for factors to be more than noise.
    """

    epsilon: float = 3.0
    delta: float = 1e-5
    rounds: int = 12
    clip: float = 6.0
    item_clip: float = MAX_BOUND
    keep: float = 0.5
    growth: float = 1.3
    floor: float = 0.03
    dim: int = 8
    kind: Kind = "rating"
    low: float = 1.0
    high: float = 5.0
    noise: float = 0.7
    form: Literal["auto", "factors", "means"] = "auto"

    def __post_init__(self) -> None:
        if self.epsilon != math.inf:
            positive(self.epsilon, "epsilon")
        if not 0.0 < share(self.delta, "delta") < 1.0:
            raise OptionError(f"delta is {self.delta:g}. Give a number between 0 and 1, such as 1e-5.")
        count(self.rounds, "rounds", least=1, most=1_000)
        if positive(self.clip, "clip") > MAX_BOUND:
            raise OptionError(f"clip is {self.clip:g}. Give at most {MAX_BOUND:g}.")
        positive(self.item_clip, "item_clip")
        if share(self.keep, "keep") == 1.0:
            raise OptionError("keep is 1, which never forgets the first round. Give a number below 1.")
        positive(self.growth, "growth")
        number(self.floor, "floor", least=0.0)
        count(self.dim, "dim", least=1, most=256)
        one_of(self.kind, ("rating", "like"), "kind")
        if self.kind == "like" and (self.low, self.high) != (0.0, 1.0):
            raise OptionError(f"likes are 0 or 1, not from {self.low:g} to {self.high:g}. Give low=0 and high=1.")
        if not number(self.low, "low") < number(self.high, "high"):
            raise OptionError(f"low {self.low:g} is not below high {self.high:g}. Give the ends of the scale.")
        positive(self.noise, "noise")
        one_of(self.form, ("auto", "factors", "means"), "form")

    @property
    def centre(self) -> float:
        """What answers are centred at: a little above the middle of a scale, as ratings are; 3.5 of 1 to 5."""
        return self.low + (0.5 if self.kind == "like" else 0.625) * (self.high - self.low)

    @property
    def size(self) -> float:
        """What they are divided by: 1 of 1 to 5."""
        return (self.high - self.low) / (2.0 if self.kind == "like" else 4.0)

    @property
    def budget(self) -> Split:
        """μ² of round 0, and of the two parts of each round of gradients; infinite without privacy."""
        if self.epsilon == math.inf:
            return Split(math.inf, math.inf, math.inf)
        return Budget(self.epsilon, self.delta).split(self.rounds)

    @property
    def shares(self) -> Array:
        """Of what all rounds of gradients may spend, that of each, (rounds,)."""
        growing = self.growth ** np.arange(self.rounds)
        return np.asarray(growing / growing.sum())

    @property
    def last_std(self) -> float:
        """Standard deviation of the noise on a gradient's running average after the last round."""
        weights = self.shares * self.keep ** np.arange(self.rounds)[::-1]
        spent = self.rounds * self.budget.gradients * self.shares
        return self.clip * float(np.sqrt((weights**2 / spent).sum()) / weights.sum())
