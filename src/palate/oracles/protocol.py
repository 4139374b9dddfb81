"""What an oracle is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from palate.entities import Answer, Question


class Oracle(Protocol):
    """Answers questions. Stability: Caller."""

    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """One answer a question, in the same order; to a page one an item of it."""
        ...
