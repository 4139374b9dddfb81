"""Answers about an attribute that are there already, as somebody who gives them when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from palate.entities import Answer, AnswerKind
from palate.entities.item_attributes import AttributeQuestion
from palate.entities.provenance import Provenance


@dataclass(frozen=True, slots=True)
class Recorded:
    """Who answers with what is known, and skips the rest.

    Attributes:
        options: By item, the place of the option.
        source: Who says so.
        cost: Of an answer that is no skip, in the currency of the budget.
        family: Of the source.
    """

    options: Mapping[str, int] = field(repr=False)
    source: str = "person"
    cost: float = 0.0
    family: str = ""

    def answer(self, questions: Sequence[AttributeQuestion]) -> tuple[Answer, ...]:
        """One answer a question, in the same order.

        Raises:
            AnswerError: If what is known is no option of the question.
        """
        return tuple(self._one(question) for question in questions)

    def _one(self, question: AttributeQuestion) -> Answer:
        known = self.options.get(question.item_id)
        if known is None:
            return question.answer(AnswerKind.SKIPPED, source=self.source, of=Provenance(self.family))
        return question.answer(known, source=self.source, of=Provenance(self.family, cost=self.cost))
