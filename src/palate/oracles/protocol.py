"""What those are who answer: at once (an oracle), or later and elsewhere (a desk)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from palate.entities import Answer, Form, Question, form_of
from palate.entities.item_attributes import AttributeQuestion
from palate.entities.provenance import TASTE
from palate.errors import OptionError
from palate.errors.checks import key_of, normalise_id, number, positive, several

Asked = Question | AttributeQuestion


class Oracle(Protocol):
    """Answers questions. Stability: Caller."""

    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """One answer a question, in the same order; to a page one an item of it."""
        ...


class Ticket(NamedTuple):
    """A question that lies at a desk.

    Attributes:
        question: Key of the question (:func:`question_key`).
        place: Where the desk has it.
    """

    question: str
    place: str


class Taken(NamedTuple):
    """What came of a question at a desk.

    Attributes:
        ticket: Of the question.
        answer: With a key of its own, the same however often it is taken, and another where somebody says the same
            again later; None: it was taken back.
        replaces: Key of the answer that this one corrects or takes back; empty of a new one.
    """

    ticket: Ticket
    answer: Answer | None
    replaces: str = ""


Cursor = str  # how far was taken, as the desk writes it; empty: nothing yet


class Desk(Protocol):
    """Where questions wait for somebody's answer, such as an annotation tool. Stability: Caller.

    Attributes:
        name: Its own among the desks of an application.
        terms: What it asks for.
    """

    name: str
    terms: Terms

    def put(self, questions: Sequence[Asked]) -> tuple[Ticket, ...]:
        """Lay questions there, the first to be answered first; one that lies there already has its old ticket."""
        ...

    def take(self, since: Cursor = "") -> tuple[tuple[Taken, ...], Cursor]:
        """What is new, changed or taken back since then, in the order in which it is to be told; and how far that is.

        The same cursor gives the same again, with what came later: nothing is lost if it is not kept.
        """
        ...

    def withdraw(self, tickets: Sequence[Ticket]) -> None:
        """Take questions away that nobody has answered; those that were answered stay."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What whoever answers asks for, and what they can do.

    Attributes:
        price: Of an answer, at least 0, in the unit.
        unit: Of the price, such as ``USD`` or ``s``.
        seconds: Until an answer is there.
        forms: Of questions that are answered.
        subjects: That are answered about: ``taste``, names of attributes; empty: any.
        family: Whose errors are shared; those of one family have one vote together. Empty: its own.
    """

    price: float = 0.0
    unit: str = "s"
    seconds: float = 3.65
    forms: frozenset[Form] = frozenset({Form.RATE})
    subjects: frozenset[str] = frozenset({TASTE})
    family: str = ""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "price", number(self.price, "price", least=0.0))
        set_(self, "unit", normalise_id(self.unit, "unit"))
        set_(self, "seconds", positive(self.seconds, "seconds"))
        set_(self, "forms", frozenset(form_of(one) for one in several(self.forms, "forms")))
        set_(self, "subjects", frozenset(normalise_id(one, "subject") for one in several(self.subjects, "subjects")))
        set_(self, "family", key_of(self.family, "family"))

    def takes(self, asked: Asked) -> bool:
        """Whether such a question is answered at all."""
        if isinstance(asked, AttributeQuestion):
            form, subject = Form.RATE, asked.attribute.name
        else:
            form, subject = asked.form, TASTE
        return form in self.forms and (not self.subjects or subject in self.subjects)

    def cost(self, worth: Mapping[str, float], *, tokens: float = 0.0, gold_share: float = 0.0) -> float:
        """What a useful answer costs, in the one unit of a budget: its price, its tokens, the time of who waits for it,
        and its share of the answers that are bought to learn how reliable it is.

        Args:
            worth: Of one of each unit, in that of the budget: ``{"USD": 1.0, "s": 0.004}``; of ``s`` it is what a
                second of the user is worth, of ``token`` what one costs.
            tokens: Of an answer, read and written.
            gold_share: Answers bought as gold to one that is not (:mod:`palate.oracles.source_reliability`).
        Raises:
            OptionError: If a unit is not among them, or a number is below 0.
        """
        parts = [(self.unit, self.price), ("s", self.seconds), ("token", number(tokens, "tokens", least=0.0))]
        total = 0.0
        for unit, amount in parts:
            if amount and unit not in worth:
                raise OptionError(f"{amount:g} {unit} have no price. Say what one is worth: worth={{'{unit}': 0.01}}.")
            total += amount * number(worth[unit], f"the worth of {unit}", least=0.0) if amount else 0.0
        return total * (1.0 + number(gold_share, "gold_share", least=0.0))


def question_key(asked: Asked) -> str:
    """What makes two questions the same: whom or what they ask about and how, and not who chose them; 32 hex digits."""
    if isinstance(asked, AttributeQuestion):
        parts: list[object] = [asked.attribute.name, list(asked.attribute.options), asked.item_id]
    else:
        parts = [TASTE, asked.user_id, asked.form.value, asked.item_id, list(asked.others)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
