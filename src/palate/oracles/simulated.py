"""Somebody whose answers are known already: real ratings stand in for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from palate.entities import Answer, AnswerKind, Question


class Oracle(Protocol):
    """Answers questions. Stability: Caller."""

    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """One answer a question, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class Simulated:
    """Answers with the rating it has, and "don't know it" where it has none.

    Attributes:
        ratings: By user, then item.
    """

    ratings: Mapping[str, Mapping[str, float]] = field(repr=False)

    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """One answer a question, in the same order."""
        return tuple(self._one(question) for question in questions)

    def _one(self, question: Question) -> Answer:
        value = self.ratings.get(question.user_id, {}).get(question.item_id)
        return Answer(
            user_id=question.user_id,
            item_id=question.item_id,
            kind=AnswerKind.UNKNOWN if value is None else AnswerKind.RATING,
            value=value,
            source="simulated",
            propensity=question.propensity,
            question=question.strategy,
        )
