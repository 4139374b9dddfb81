"""The contract passes on a good desk, and each of its rules is broken by the desk that breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palate.entities import AnswerKind
from palate.oracles.protocol import Terms, Ticket
from palate.testing import DeskContract
from tests.oracles.in_memory_desk import InMemoryDesk


class TestInMemoryDesk(DeskContract):
    kind = InMemoryDesk

    def make(self) -> InMemoryDesk:
        return self.kind()

    def say(self, desk, ticket, who, option) -> None:
        desk.say(ticket, who, option)

    def delete(self, desk, ticket, who) -> None:
        desk.delete(ticket, who)


class PutsTwice(InMemoryDesk):
    def put(self, questions):
        tickets = super().put(questions)
        return tuple(Ticket(ticket.question, f"{ticket.place} {len(self.taken)} {id(ticket)}") for ticket in tickets)


class PutsInOnePlace(InMemoryDesk):
    def put(self, questions):
        return tuple(ticket._replace(place="here") for ticket in super().put(questions))


class TakesAnyQuestion(InMemoryDesk):
    def put(self, questions):
        return super().put([one for one in questions if self.terms.takes(one)])


class Nameless(InMemoryDesk):
    name = ""


class TakesNothing(InMemoryDesk):
    terms = Terms(subjects=frozenset({"taste"}))


class Forgets(InMemoryDesk):
    """Gives what is new since it was asked last, whatever the cursor."""

    told = 0

    def take(self, since=""):
        found, self.told = tuple(self.taken[self.told :]), len(self.taken)
        return found, str(self.told)


class RepeatsAll(InMemoryDesk):
    def take(self, since=""):
        return super().take("")[0], super().take(since)[1]


class TakesAnyCursor(InMemoryDesk):
    def take(self, since=""):
        return super().take(since if since.isdigit() and int(since) <= len(self.taken) else "")


class SaysAllAnew(InMemoryDesk):
    def say(self, ticket, who, option) -> None:
        self.said.pop((ticket, who), None)
        super().say(ticket, who, option)


class KeyOfTheWords(InMemoryDesk):
    def say(self, ticket, who, option) -> None:
        super().say(ticket, who, option)
        last = self.taken[-1]
        key = f"{who} {ticket.question} {option}"
        self.taken[-1] = last._replace(answer=replace(last.answer, key=key))
        self.said[ticket, who] = key


class NoticesNoDeletion(InMemoryDesk):
    def delete(self, ticket, who) -> None:
        self.said.pop((ticket, who))


class OneNameForAll(InMemoryDesk):
    def say(self, ticket, who, option) -> None:
        super().say(ticket, "somebody", option)


class LosesThePropensity(InMemoryDesk):
    def say(self, ticket, who, option) -> None:
        super().say(ticket, who, option)
        last = self.taken[-1]
        self.taken[-1] = last._replace(answer=replace(last.answer, propensity=None))


class SkipIsUnknown(InMemoryDesk):
    def say(self, ticket, who, option) -> None:
        super().say(ticket, who, AnswerKind.UNKNOWN if option is AnswerKind.SKIPPED else option)


class WithdrawsNothing(InMemoryDesk):
    def withdraw(self, tickets) -> None:
        for ticket in tickets:
            if ticket.place == "nowhere":
                super().withdraw([ticket])


class WithdrawsAll(InMemoryDesk):
    def withdraw(self, tickets) -> None:
        super().withdraw(tickets)
        for ticket in tickets:
            self.lying.pop(ticket.question, None)


class WithdrawsAnything(InMemoryDesk):
    def withdraw(self, tickets) -> None:
        super().withdraw([one for one in tickets if one.place == f"place {one.question}"])


class TakesNonsense(InMemoryDesk):
    pass


BROKEN = {
    PutsTwice: "test_what_lies_there_already_has_its_old_ticket",
    PutsInOnePlace: "test_each_question_has_a_ticket_of_its_own_in_its_place",
    TakesAnyQuestion: "test_a_question_that_is_not_asked_there_is_refused_and_nothing_is_put",
    Nameless: "test_it_says_who_it_is_and_on_what_terms",
    TakesNothing: "test_it_says_who_it_is_and_on_what_terms",
    Forgets: "test_the_same_cursor_gives_the_same_again_with_what_came_later",
    RepeatsAll: "test_the_same_cursor_gives_the_same_again_with_what_came_later",
    TakesAnyCursor: "test_a_cursor_that_it_never_wrote_is_refused",
    SaysAllAnew: "test_a_correction_replaces_what_was_said_before",
    KeyOfTheWords: "test_a_correction_replaces_what_was_said_before",
    NoticesNoDeletion: "test_what_is_deleted_is_taken_back_once",
    OneNameForAll: "test_two_people_are_two_answers",
    LosesThePropensity: "test_an_answer_comes_with_its_question_and_who_gave_it",
    SkipIsUnknown: "test_an_answer_comes_with_its_question_and_who_gave_it",
    WithdrawsNothing: "test_what_nobody_answered_can_be_withdrawn_and_put_again",
    WithdrawsAll: "test_what_nobody_answered_can_be_withdrawn_and_put_again",
    WithdrawsAnything: "test_a_ticket_of_nowhere_is_refused",
    TakesNonsense: "test_nonsense_is_no_answer",
}


@pytest.mark.parametrize(("kind", "rule"), BROKEN.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_a_rule_is_broken_by_the_desk_that_breaks_it(kind: type[InMemoryDesk], rule: str) -> None:
    contract = TestInMemoryDesk()
    contract.kind = kind
    if kind is TakesNonsense:
        contract.nonsense = lambda desk, ticket: desk.say(ticket, "ann", 0) or True
    with pytest.raises((AssertionError, ValueError, LookupError)):
        getattr(contract, rule)()
