"""What answers cost, how far they can be relied on, and what may be spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from palate.errors import OptionError

_ROUNDING = 1e-9  # as a share of a cost: three tenths are 0.3


@dataclass(frozen=True, slots=True)
class Price:
    """What an oracle's answer costs and is worth.

    Attributes:
        cost: Above 0 and finite, in any unit that all prices and budgets share: seconds, cents.
        reliability: In (0, 1]; 1 is the user's own answer. Of a model that answers in the user's place, its calibrated
            one: a pseudo-label that is only this belief's own mean says nothing new, however sure it is.
    Raises:
        OptionError: If one is out of range.
    """

    cost: float
    reliability: float = 1.0

    def __post_init__(self) -> None:
        if self.cost == 0:
            raise OptionError(
                "the price is 0, so that every answer would be worth infinitely much. Give what it costs, such as its "
                "seconds; for a source that is free a small price, such as 0.001."
            )
        if math.isinf(self.cost) and self.cost > 0:
            raise OptionError("the price is infinite. Leave out the oracle that nobody can pay.")
        if not self.cost > 0:
            raise OptionError(f"the price is {self.cost:g}. Give a finite number above 0.")
        if not 0.0 < self.reliability <= 1.0:
            raise OptionError(f"the reliability is {self.reliability:g}. Give a number above 0 and at most 1.")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a batch came to.

    Attributes:
        budget: What is left.
        paid: Positions of the questions that were paid, in order.
        note: Which were not and why; empty if all were paid.
    """

    budget: Budget
    paid: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in total and on each user; infinity is no limit.

    Attributes:
        spent: So far, by user.
    Raises:
        OptionError: If a limit is negative or NaN.
    """

    total: float = math.inf
    per_user: float = math.inf
    spent: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, limit in (("total", self.total), ("per-user", self.per_user)):
            if not limit >= 0:
                raise OptionError(f"the {name} budget is {limit:g}. Give 0 or more; leave it out for no limit.")

    def left(self, user: str) -> float:
        """What can still be spent on a user."""
        return max(min(self._left_in_total(), self.per_user - self.spent.get(user, 0.0)), 0.0)

    def affords(self, user: str, cost: float) -> bool:
        """Whether that can be paid; a rounding error is forgiven."""
        return cost <= self.left(user) * (1.0 + _ROUNDING) + _ROUNDING * cost

    def spend(self, users: Sequence[str], costs: Sequence[float]) -> Spent:
        """Pay a batch, question by question in the order given, as far as the budget goes.

        Where a user's share runs out, the user's further questions are left out; where the total does, all.

        Args:
            users, costs: Of each question.
        Raises:
            OptionError: If a cost is not a price, or the two are not alike in length.
        """
        if len(users) != len(costs):
            raise OptionError(f"there are {len(users)} users for {len(costs)} costs. Give one of each for a question.")
        budget, paid, note = self, list[int](), ""
        stopped: set[str] = set()
        for place, (user, cost) in enumerate(zip(users, costs, strict=True)):
            Price(cost)
            if user in stopped:
                continue
            if budget.affords(user, cost):
                budget = budget._paid(user, cost)
                paid.append(place)
                continue
            note = note or f"question {place + 1} costs {cost:g} and {budget.left(user):g} is left for user {user!r}"
            stopped |= set(users) if cost > budget._left_in_total() else {user}
        cut = f"the budget paid for {len(paid)} of {len(costs)} questions: {note}. Raise it or ask fewer."
        return Spent(budget, tuple(paid), cut if note else "")

    def _left_in_total(self) -> float:
        return self.total - sum(self.spent.values())

    def _paid(self, user: str, cost: float) -> Budget:
        return replace(self, spent={**self.spent, user: self.spent.get(user, 0.0) + cost})
