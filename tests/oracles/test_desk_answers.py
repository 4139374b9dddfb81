"""What was answered at a desk reaches the log once, corrected and taken back as there, whatever dies on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from palate import Recommender, rate
from palate.entities import Question
from palate.entities.item_attributes import AttributeQuestion
from palate.oracles.protocol import Taken, Terms, Ticket
from palate.recommender.desk_answers import keep_answers
from palate.store.protocol import LabelStore, active
from palate.testing.desks import TOPIC
from tests.oracles.in_memory_desk import InMemoryDesk
from tests.served import copied


class Killed(BaseException):
    """The process dies."""


@pytest.fixture
def recommender(tmp_path: Path) -> Iterator[Recommender]:
    with Recommender.open(copied(tmp_path / "model")) as found:
        yield found


def left(recommender: Recommender) -> dict[str, float | None]:
    """What counts, by item and source."""
    return {f"{one.answer.item_id} {one.answer.source}": one.answer.value for one in active(recommender.log.records())}


def answered_desk(recommender: Recommender) -> tuple[InMemoryDesk, dict[str, float | None]]:
    """A desk at which much was said, changed and deleted; and what is left of it."""
    desk, ids = InMemoryDesk(), recommender.fitted.catalogue.ids
    tickets = desk.put([AttributeQuestion(TOPIC, ids[n], strategy=f"by {n}", propensity=0.5) for n in range(5)])
    desk.say(tickets[0], "ann", 0)
    desk.say(tickets[1], "ann", 1)
    desk.say(tickets[0], "ann", 2)
    desk.say(tickets[0], "bob", 1)
    desk.say(tickets[0], "ann", 0)  # as at first
    desk.delete(tickets[1], "ann")
    desk.say(tickets[2], "bob", 2)
    desk.say(tickets[1], "ann", 2)
    desk.delete(tickets[2], "bob")
    ends = {f"{ids[0]} table:ann": 0.0, f"{ids[0]} table:bob": 1.0, f"{ids[1]} table:ann": 2.0}
    return desk, ends


def test_what_is_said_corrected_and_deleted_is_so_in_the_log(recommender: Recommender) -> None:
    desk, ends = answered_desk(recommender)
    kept = keep_answers(recommender, desk)
    assert left(recommender) == ends
    assert (len(kept.told), len(kept.taken_back), kept.left_out) == (7, 4, {})
    row = kept.told[0].answer
    assert (row.source, row.propensity, row.question, row.provenance.subject) == ("table:ann", 0.5, "by 0", "topic")
    assert {record.content.source for record in recommender.log.records() if record.retracts} == {
        "table:ann",
        "table:bob",
    }
    n = recommender.log.last_seq
    again = keep_answers(recommender, desk, kept.cursor)
    assert (again.told, again.taken_back, again.cursor) == ([], [], kept.cursor)
    assert all(record.is_repeat for record in keep_answers(recommender, desk).told)
    assert recommender.log.last_seq == n, "from the start again, something is doubled"


class Dying:
    """Writes of a log, until the process dies: at the last of them, or right after it, before anybody hears of it."""

    def __init__(self, log: LabelStore, at: int) -> None:
        self._left, self._is_kept = at // 2, at % 2
        self.append = partial(self._write, log.append)
        self.retract = partial(self._write, log.retract)

    def _write(self, write: Callable[..., object], *given: object, **more: object) -> object:
        self._left -= 1
        if self._left == -1:
            if self._is_kept:
                write(*given, **more)
            raise Killed
        return write(*given, **more)


def test_a_process_that_dies_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with Recommender.open(copied(tmp_path / "whole")) as whole:
        desk, ends = answered_desk(whole)
        keep_answers(whole, desk)
        rows = whole.log.last_seq
    died = 0
    for at in range(24):
        with Recommender.open(copied(tmp_path / f"{at}")) as recommender:
            dying = Dying(recommender.log, at)
            with (
                mock.patch.object(recommender.log, "append", dying.append),
                mock.patch.object(recommender.log, "retract", dying.retract),
            ):
                try:
                    keep_answers(recommender, desk)
                except Killed:
                    died += 1
                    keep_answers(recommender, desk)
            assert left(recommender) == ends
            assert recommender.log.last_seq == rows
    assert died > 12


class Told(InMemoryDesk):
    """Gives what it is made of."""

    def __init__(self, *taken: Taken) -> None:
        super().__init__()
        self.taken = list(taken)


def test_what_the_log_does_not_take_is_told_and_costs_no_other(recommender: Recommender) -> None:
    ticket, ids = Ticket("q", "p"), recommender.fitted.catalogue.ids
    good = [AttributeQuestion(TOPIC, ids[n]).answer(1, source="ann", key=f"good {n}") for n in (0, 1)]
    strange = AttributeQuestion(TOPIC, "no such item").answer(1, source="ann", key="strange")
    off_scale = rate("zoe", ids[0], 99.0, source="ann", key="off the scale")
    recommender.tell(rate("zoe", ids[1], 3.0, key="taken"))
    taken_key = AttributeQuestion(TOPIC, ids[0]).answer(2, source="ann", key="taken")
    recommender.erase("gone")
    erased = rate("gone", ids[0], 3.0, source="ann", key="erased")
    answers = [good[0], strange, off_scale, taken_key, erased, good[1]]
    corrected = Taken(ticket, AttributeQuestion(TOPIC, ids[2]).answer(0, source="ann", key="new"), "strange")
    desk = Told(*(Taken(ticket, one) for one in answers), corrected, Taken(ticket, None, "off the scale"))
    kept = keep_answers(recommender, desk)
    assert [record.content.key for record in kept.told] == ["good 0", "good 1", "new"]
    assert kept.taken_back == []
    assert list(kept.left_out) == ["strange", "off the scale", "taken", "erased"]
    assert "no such item" in kept.left_out["strange"]


def test_what_somebody_took_back_already_stays_so(recommender: Recommender) -> None:
    ids = recommender.fitted.catalogue.ids
    desk = InMemoryDesk()
    (ticket,) = desk.put([AttributeQuestion(TOPIC, ids[0])])
    desk.say(ticket, "ann", 0)
    kept = keep_answers(recommender, desk)
    recommender.log.retract(kept.told[0].content.key)
    desk.say(ticket, "ann", 1)
    keep_answers(recommender, desk, kept.cursor)
    assert left(recommender) == {f"{ids[0]} table:ann": 1.0}
    keep_answers(recommender, desk)
    assert left(recommender) == {f"{ids[0]} table:ann": 1.0}


def test_an_answer_in_a_users_place_moves_their_list_and_a_correction_moves_it_back(recommender: Recommender) -> None:
    ids = recommender.fitted.catalogue.ids
    asked = Question("zoe", ids[0], "epig", 0.5, 0.5, 0.25)
    high, low = (asked.answer(value, source="label-studio:2", key=f"{value}") for value in (5.0, 1.0))
    ticket = Ticket("q", "p")
    keep_answers(recommender, Told(Taken(ticket, high)))
    liked = recommender.learner.state("zoe").belief
    keep_answers(recommender, Told(Taken(ticket, high), Taken(ticket, low, high.key)), "1")
    disliked = recommender.learner.state("zoe").belief
    assert [answer.key for answer in recommender.learner.told["zoe"]] == ["1.0"]
    assert liked.mean.tolist() != disliked.mean.tolist()
    assert Terms().takes(asked)
