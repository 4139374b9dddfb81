"""The smallest desk: questions on a table in this process, and a list of what came of them."""

from __future__ import annotations

from collections.abc import Sequence

from palate.entities import AnswerKind
from palate.entities.item_attributes import AttributeQuestion
from palate.errors import OptionError
from palate.oracles.protocol import Asked, Cursor, Taken, Terms, Ticket, question_key


class InMemoryDesk:
    name = "table"
    terms = Terms(subjects=frozenset({"topic"}))

    def __init__(self) -> None:
        self.lying: dict[str, Asked] = {}
        self.said: dict[tuple[Ticket, str], str] = {}
        self.taken: list[Taken] = []

    def put(self, questions: Sequence[Asked]) -> tuple[Ticket, ...]:
        for asked in questions:
            if not self.terms.takes(asked):
                raise OptionError(f"{asked} is not asked here. Give questions about topics.")
        for asked in questions:
            self.lying.setdefault(question_key(asked), asked)
        return tuple(Ticket(key, f"place {key}") for key in map(question_key, questions))

    def take(self, since: Cursor = "") -> tuple[tuple[Taken, ...], Cursor]:
        if since and (not since.isdigit() or int(since) > len(self.taken)):
            raise OptionError(f"the cursor {since!r} is none of this desk's.")
        return tuple(self.taken[int(since or 0) :]), str(len(self.taken))

    def withdraw(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            if ticket.place != f"place {ticket.question}":
                raise OptionError(f"{ticket} was never put here.")
            if ticket not in {lying for lying, _ in self.said}:
                self.lying.pop(ticket.question, None)

    def say(self, ticket: Ticket, who: str, option: int | AnswerKind) -> None:
        asked = self.lying[ticket.question]
        assert isinstance(asked, AttributeQuestion)
        key = f"{self.name}:{len(self.taken)}"
        answer = asked.answer(option, source=f"{self.name}:{who}", key=key)
        self.taken.append(Taken(ticket, answer, self.said.get((ticket, who), "")))
        self.said[ticket, who] = key

    def delete(self, ticket: Ticket, who: str) -> None:
        self.taken.append(Taken(ticket, None, self.said.pop((ticket, who))))
