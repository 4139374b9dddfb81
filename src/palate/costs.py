"""What questions cost: seconds of a user's time, prices of oracles, and budgets.

How long a user needs for an answer, by form of question: assumptions, in one place, each with its source.

No public data set has times of all forms, so they are built of operators of the keystroke-level model (Card, Moran,
Newell, *The keystroke-level model for user performance time with interactive systems*, CACM 23(7), 1980): a mental
preparation M = 1.35 s before each tap, pointing P = 1.10 s and a button press K = 0.20 s for the tap, together 2.65 s;
and of silent reading at 238 words a minute (Brysbaert, *How many words do we read per minute?*, Journal of Memory and
Language 109, 2019), so 4 words of a title are 1.0 s. Saying "don't know it" is a tap like any other.

Direction agrees with what was measured: finer scales take longer (Sparling, Sen, *Rating: how difficult is it?*, RecSys
2011), and so does a comparison (Checco, Demartini, *Pairwise, magnitude, or stars*, 2016). Only ratios matter to which
question is best. They differ by interface: people asked to judge photographs of dogs with care on a slider took 28 s
(the median of the 11,000 times in Brielmann, Berentelg, Dayan's data, half of them 22 to 38 s), looking included.
``benchmarks/question_kinds.py`` doubles and halves each.

What answers cost, how far they can be relied on, and what may be spent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from palate.arrays import Array
from palate.entities import Form
from palate.errors import OptionError
from palate.errors.checks import mapping, number, number_of, positive, shown

LISTS = (Form.GROUP, Form.PAGE)  # read line by line, with a tap where there is something to say
PICKS = (Form.PICK, Form.SLATE)  # read line by line, with one tap


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds of a user's time.

    Attributes:
        rate: Read a title, tap a level.
        pair: Read two titles, tap one.
        look: Read the title of one item of a group, a page, a pick or a slate, tapped or passed over.
        tap: Each tap in them, of a like or of a level; the last of a group or a page says that it is done.
        concept: Read two words (0.5 s), tap yes or no.
        preview: Read a title and a text of 50 words (12.6 s), tap yes or no.
        recall: Think of a title (4 s, a guess), type five letters of it (0.28 s each, as in the model above), tap its
            completion.
    """

    rate: float = 3.65
    pair: float = 4.65
    look: float = 1.0
    tap: float = 2.65
    concept: float = 3.15
    preview: float = 16.25
    recall: float = 8.05

    def __post_init__(self) -> None:
        for form in fields(self):
            positive(getattr(self, form.name), f"the time of {form.name}")

    def group(self, items: int, tapped: Array | float) -> Array:
        """Of a group or a page of so many items, of which so many are tapped."""
        return np.asarray(self.look * items + self.tap * (1.0 + np.asarray(tapped, dtype=np.float64)))

    def of(self, form: Form, items: int = 1, tapped: float = 0.0) -> float:
        """Of one question."""
        if form in PICKS:
            return self.pick(items)
        return float(self.group(items, tapped)) if form in LISTS else float(getattr(self, form.value))

    def pick(self, items: int) -> float:
        """Of so many shown, of which one is picked or clicked."""
        return self.look * items + self.tap

    def scaled(self, form: Form, factor: float) -> Seconds:
        """With one form slower, or faster, by a factor: groups, pages, picks and slates together."""
        names = ("look", "tap") if form in (*LISTS, *PICKS) else (form.value,)
        return replace(self, **{name: factor * getattr(self, name) for name in names})


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
        if number_of(self.cost) == 0:
            raise OptionError(
                "the price is 0, so that every answer would be worth infinitely much. Give what it costs, such as its "
                "seconds; for a source that is free a small price, such as 0.001."
            )
        if number_of(self.cost) == math.inf:
            raise OptionError("the price is infinite. Leave out the oracle that nobody can pay.")
        positive(self.cost, "the price")
        if not 0.0 < number_of(self.reliability) <= 1.0:
            raise OptionError(f"the reliability is {shown(self.reliability)}. Give a number above 0 and at most 1.")


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
        for name in ("total", "per_user"):
            limit = number_of(getattr(self, name))
            if not limit >= 0:
                shown_name, value = name.replace("_", "-"), shown(getattr(self, name))
                raise OptionError(f"the {shown_name} budget is {value}. Give 0 or more; leave it out for no limit.")
            object.__setattr__(self, name, limit)
        for user, paid in mapping(self.spent, "what is spent", "a mapping from user to number").items():
            number(paid, f"what is spent on user {shown(user)}", least=0.0)

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
