"""What every desk must keep, runnable on a desk of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from palate.entities import Answer, AnswerKind
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.errors import PalateError
from palate.oracles.protocol import Asked, Taken, Terms, Ticket, question_key
from palate.store.rows import checked

if TYPE_CHECKING:
    from palate.oracles.protocol import Desk

TOPIC = ItemAttribute("topic", "What is it about?", ("sports", "food", "travel"))
ANN, BOB = "ann", "bob"


class DeskContract(ABC):
    """Subclass it in a test file under a name that starts with ``Test``; say how to make the desk and answer at it.

    Example:
        >>> class TestMine(DeskContract):
        ...     def make(self):
        ...         return MyDesk()
        ...
        ...     def say(self, desk, ticket, who, option):
        ...         desk.answers[ticket.place, who] = option
        ...
        ...     def delete(self, desk, ticket, who):
        ...         del desk.answers[ticket.place, who]
    """

    @abstractmethod
    def make(self) -> Desk:
        """A desk at which nothing lies, which asks :attr:`questions`."""

    @abstractmethod
    def say(self, desk: Desk, ticket: Ticket, who: str, option: int | AnswerKind) -> None:
        """Somebody answers there, or changes what they have answered. Two people are called ``ann`` and ``bob``.

        Raises:
            LookupError: If the question does not lie there any more.
        """

    @abstractmethod
    def delete(self, desk: Desk, ticket: Ticket, who: str) -> None:
        """Somebody's answer is taken away there."""

    def again(self, desk: Desk) -> Desk:
        """The same desk, as a process that is started anew sees it."""
        return desk

    def nonsense(self, desk: Desk, ticket: Ticket) -> bool:
        """Say something there that is none of the options, and something of what nobody has put; whether one can."""
        return False

    @property
    def questions(self) -> Sequence[Asked]:
        """Five or more that it takes, and that differ; three options or more each."""
        return [
            AttributeQuestion(TOPIC, f"i{n}", f"Title {n}", "<b>text</b> & more", f"by {n}", (1 + n) / 8, value=n / 4)
            for n in range(6)
        ]

    # ---- put

    def test_each_question_has_a_ticket_of_its_own_in_its_place(self) -> None:
        desk, questions = self.make(), self.questions
        tickets = desk.put(questions)
        assert [ticket.question for ticket in tickets] == [question_key(one) for one in questions]
        assert len({ticket.place for ticket in tickets}) == len(questions), f"two lie in one place: {tickets}"

    def test_what_lies_there_already_has_its_old_ticket(self) -> None:
        desk, questions = self.make(), self.questions
        tickets = desk.put(questions)
        anew = [replace(one, strategy="another", propensity=0.99) for one in questions]
        assert desk.put(anew) == tickets, "the same question, chosen by another strategy, is put twice"
        again = self.again(desk)
        assert again.put([questions[2], questions[0], questions[2]]) == (tickets[2], tickets[0], tickets[2])
        self.say(again, tickets[0], ANN, 1)
        assert len(again.take()[0]) == 1, "an answer to a question that was put three times is several"

    def test_nothing_put_is_nothing_taken(self) -> None:
        desk = self.make()
        assert desk.put([]) == ()
        assert desk.take()[0] == ()
        desk.put(self.questions)
        assert desk.take()[0] == ()

    def test_it_says_who_it_is_and_on_what_terms(self) -> None:
        desk = self.make()
        assert isinstance(desk.terms, Terms) and desk.name
        assert all(desk.terms.takes(one) for one in self.questions), "its terms do not take what it asks"

    def test_a_question_that_is_not_asked_there_is_refused_and_nothing_is_put(self) -> None:
        desk, questions = self.make(), self.questions
        other = AttributeQuestion(ItemAttribute("no such attribute", "Is it?", ("yes", "no")), "i0")
        if desk.terms.takes(other):
            return
        assert _refuses(lambda: desk.put([questions[0], other]))
        (ticket,) = desk.put([questions[0]])
        self.say(desk, ticket, ANN, 0)

    # ---- take

    def test_an_answer_comes_with_its_question_and_who_gave_it(self) -> None:
        desk, questions = self.make(), self.questions
        tickets = desk.put(questions)
        options: tuple[int | AnswerKind, ...] = (1, 0, AnswerKind.SKIPPED, AnswerKind.UNKNOWN)
        for place, option in enumerate(options):
            self.say(desk, tickets[place], ANN, option)
        taken, _ = self.again(desk).take()
        assert {one.ticket for one in taken} == set(tickets[:4])
        by_ticket = {one.ticket: _answer(one) for one in taken}
        for place, option in enumerate(options):
            asked, answer = questions[place], by_ticket[tickets[place]]
            assert _option(answer, asked) == option, f"somebody said {option}, and it is {answer}"
            about = (answer.item_id, answer.propensity, answer.question, answer.provenance.subject)
            assert about == (asked.item_id, asked.propensity, asked.strategy, _subject(asked)), (
                f"not as asked: {answer}"
            )
        assert len({answer.source for answer in by_ticket.values()}) == 1, "one person has two names"
        assert checked(by_ticket.values()), "no log keeps them"

    def test_the_same_cursor_gives_the_same_again_with_what_came_later(self) -> None:
        desk = self.make()
        tickets = desk.put(self.questions)
        self.say(desk, tickets[0], ANN, 0)
        first, middle = desk.take()
        self.say(desk, tickets[1], ANN, 1)
        assert desk.take(middle)[0] == desk.take("")[0][len(first) :]
        whole, last = self.again(desk).take("")
        assert whole[: len(first)] == first and len(whole) == 2
        assert desk.take(last) == ((), last), "what was taken comes again after the new cursor"

    def test_a_cursor_that_it_never_wrote_is_refused(self) -> None:
        desk = self.make()
        for cursor in ("no such cursor", "99999999", "-1"):
            assert _refuses(lambda cursor=cursor: desk.take(cursor)), f"it takes the cursor {cursor!r}"  # type: ignore[misc]

    def test_a_correction_replaces_what_was_said_before(self) -> None:
        desk = self.make()
        tickets = desk.put(self.questions)
        self.say(desk, tickets[0], ANN, 0)
        (first,), cursor = desk.take()
        self.say(desk, tickets[0], ANN, 2)
        (second,), cursor = self.again(desk).take(cursor)
        assert second.replaces == _answer(first).key and _answer(second).value == 2.0
        self.say(desk, tickets[0], ANN, 0)
        (third,), cursor = desk.take(cursor)
        keys = [_answer(one).key for one in (first, second, third)]
        assert third.replaces == keys[1] and len(set(keys)) == 3, "said again is said anew: a log keeps a key once"
        assert _ends(desk.take("")[0]) == {tickets[0]: [0.0]}, "all from the start ends in something else"

    def test_what_is_deleted_is_taken_back_once(self) -> None:
        desk = self.make()
        tickets = desk.put(self.questions)
        self.say(desk, tickets[0], ANN, 0)
        self.say(desk, tickets[1], ANN, 1)
        taken, cursor = desk.take()
        of = {one.ticket: _answer(one).key for one in taken}
        self.delete(desk, tickets[0], ANN)
        (gone,), cursor = desk.take(cursor)
        assert (gone.ticket, gone.answer, gone.replaces) == (tickets[0], None, of[tickets[0]])
        assert desk.take(cursor)[0] == ()
        self.say(desk, tickets[0], ANN, 0)
        (anew,), cursor = self.again(desk).take(cursor)
        assert not anew.replaces and _answer(anew).key not in of.values(), "said again, after it was taken back"
        assert _ends(desk.take("")[0]) == {tickets[0]: [0.0], tickets[1]: [1.0]}

    def test_two_people_are_two_answers(self) -> None:
        desk = self.make()
        (ticket, *_) = desk.put(self.questions)
        self.say(desk, ticket, ANN, 0)
        self.say(desk, ticket, BOB, 1)
        taken, cursor = desk.take()
        assert [one.replaces for one in taken] == ["", ""] and len({_answer(one).source for one in taken}) == 2
        self.say(desk, ticket, BOB, 2)
        (changed,), _ = desk.take(cursor)
        assert changed.replaces in {_answer(one).key for one in taken if _answer(one).value == 1.0}
        assert _ends(desk.take("")[0]) == {ticket: [0.0, 2.0]}

    def test_nonsense_is_no_answer(self) -> None:
        desk = self.make()
        (first, second, *_) = desk.put(self.questions)
        self.say(desk, second, ANN, 1)
        if not self.nonsense(desk, first):
            return
        taken, _ = desk.take()
        assert [one.ticket for one in taken] == [second], f"nonsense is taken for an answer: {taken}"

    # ---- withdraw

    def test_what_nobody_answered_can_be_withdrawn_and_put_again(self) -> None:
        desk, questions = self.make(), self.questions
        tickets = desk.put(questions)
        self.say(desk, tickets[0], ANN, 0)
        desk.withdraw(tickets[:2])
        assert _refuses(lambda: self.say(desk, tickets[1], ANN, 0), LookupError), "what was withdrawn is still asked"
        self.say(desk, tickets[0], ANN, 1)
        desk.withdraw(tickets[:2])
        assert _ends(desk.take("")[0]) == {tickets[0]: [1.0]}, "what was answered is to stay"
        (again,) = self.again(desk).put([questions[1]])
        self.say(desk, again, ANN, 2)
        assert _ends(desk.take("")[0]) == {tickets[0]: [1.0], again: [2.0]}

    def test_a_ticket_of_nowhere_is_refused(self) -> None:
        desk = self.make()
        (ticket, *_) = desk.put(self.questions)
        assert _refuses(lambda: desk.withdraw([Ticket("0" * 32, "nowhere")])), "it withdraws what it never had"
        desk.withdraw([])
        self.say(desk, ticket, ANN, 0)


def _answer(taken: Taken) -> Answer:
    assert taken.answer is not None, f"an answer is taken back of which none was taken: {taken}"
    return taken.answer


def _subject(asked: Asked) -> str:
    return asked.attribute.name if isinstance(asked, AttributeQuestion) else "taste"


def _option(answer: Answer, asked: Asked) -> int | AnswerKind | None:
    """What was chosen; of a rating it is not known from which options, so any rating counts as the right one."""
    if not answer.is_rating or answer.value is None:
        return answer.kind
    return int(answer.value)


def _ends(taken: Sequence[Taken]) -> dict[Ticket, list[float]]:
    """The values that are left after all of it was told, by ticket."""
    left: dict[str, tuple[Ticket, float]] = {}
    for one in taken:
        if one.replaces:
            assert one.replaces in left, f"{one.replaces!r} is replaced, and was never told or taken back before"
            del left[one.replaces]
        if one.answer is not None:
            assert one.answer.key not in left, f"the key {one.answer.key!r} comes twice"
            left[one.answer.key] = (one.ticket, float(one.answer.value or 0.0))
    ends: dict[Ticket, list[float]] = {}
    for ticket, value in left.values():
        ends.setdefault(ticket, []).append(value)
    return {ticket: sorted(values) for ticket, values in ends.items()}


def _refuses(call: Callable[[], object], kind: type[Exception] = PalateError) -> bool:
    try:
        call()
    except kind:
        return True
    return False
