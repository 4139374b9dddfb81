"""What was told, in persistent maps: old memories stay, one more answer costs the same, the cache is bounded."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from palate import Learner, events, rate
from palate.datasets import planted_world
from palate.errors import AnswerError, DataError, IdError
from palate.loop.memory import Memory
from palate.loop.past import Past
from palate.loop.states import States
from palate.records import Consent, Record
from palate.store.sqlite_log import LabelLog


@pytest.fixture(scope="module")
def fitted() -> Memory:
    data = planted_world(users=40, items=30, rng=np.random.default_rng(0)).dataset
    return Learner.fit(data, encoder="none", dim=3).memory


def test_whom_anything_is_known_of(fitted: Memory) -> None:
    told = fitted.tell(rate("somebody", fitted.model.catalogue.ids[0], 4.0))
    assert told.knows("somebody") and not fitted.knows("somebody")
    assert fitted.knows(fitted.model.user_ids[0])
    with pytest.raises(IdError, match=r"^user_id is empty"):
        fitted.knows("")


def bytes_of_a_tell(memory: Memory) -> int:
    """Most that one more answer of somebody new holds beyond what was there."""
    answer = rate("somebody", memory.model.catalogue.ids[0], 4.0, key="k")
    tracemalloc.start()
    memory.tell(answer)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.long
def test_one_more_answer_costs_the_same_however_many_have_told(fitted: Memory) -> None:
    item = fitted.model.catalogue.ids[0]
    few = fitted.tell(rate(f"n{user}", item, 3.0) for user in range(10))
    many = fitted.tell(rate(f"n{user}", item, 3.0) for user in range(20_000))
    bytes_of_a_tell(few)  # what is made once
    assert bytes_of_a_tell(many) < bytes_of_a_tell(few) + 5_000  # a copy of the map would take a megabyte


def test_strangers_are_not_kept_and_others_only_up_to_the_bound(fitted: Memory) -> None:
    item = fitted.model.catalogue.ids[0]
    memory = Memory(fitted.model, states=States(5)).tell(rate(f"n{user}", item, 3.0) for user in range(20))
    assert memory.states is not None
    for user in range(50):
        memory.state(f"stranger{user}")
    assert len(memory.states) == 0
    for user in range(20):
        memory.state(f"n{user}")
    assert len(memory.states) == 5
    assert memory.state("n19") is memory.state("n19")
    assert memory.state("n0").rated == memory.state("n19").rated


def test_a_state_moves_with_an_answer_and_the_old_memory_keeps_its_own(fitted: Memory) -> None:
    first, second = fitted.model.catalogue.ids[:2]
    one = fitted.tell(rate("ann", first, 5.0))
    before = one.state("ann")
    two = one.tell(rate("ann", second, 1.0))
    assert len(two.state("ann").rated) == 2
    assert one.state("ann").rated == before.rated
    assert np.array_equal(one.state("ann").belief.mean, before.belief.mean)
    fresh = Memory(fitted.model, told=two.told)
    assert np.array_equal(fresh.state("ann").belief.mean, two.state("ann").belief.mean)


def test_a_repeat_of_a_key_changes_nothing(fitted: Memory) -> None:
    first, second = fitted.model.catalogue.ids[:2]
    once = fitted.tell(rate("ann", first, 5.0, key="k")).see(events("ann", [first, second], key="e"))
    twice = once.tell(rate("ann", first, 5.0, key="k")).see(events("ann", [first, second], key="e"))
    assert (dict(twice.told), dict(twice.seen)) == (dict(once.told), dict(once.seen))
    gone = once.undo("ann", "k")
    assert not gone.tell(rate("ann", first, 5.0, key="k")).told


def test_what_a_log_took_back_is_gone_and_stays_gone(fitted: Memory) -> None:
    first, second = fitted.model.catalogue.ids[:2]
    seen = events("ann", [first, second], key="e")
    told = fitted.tell(rate("ann", first, 5.0, key="k")).see(seen)
    rows = [Record(3, rate("ann", first, 5.0), 0.0, retracts="k"), Record(4, seen[1], 0.0, retracts="e:1")]
    back = told.retracted(rows)
    assert not back.told
    assert [event.item_id for event in back.seen["ann"]] == [first]
    assert dict(fitted.retracted(rows).tell(rate("ann", first, 5.0, key="k")).see(seen).seen) == dict(back.seen)


def test_users_come_in_the_order_of_their_first_word(fitted: Memory) -> None:
    item = fitted.model.catalogue.ids[0]
    memory = fitted
    for number in (3, 1, 2):
        memory = memory.tell(rate(f"n{number}", item, 3.0, key=f"k{number}"))
    assert memory.users == ["n3", "n1", "n2"]
    assert memory.undo("n1").users == ["n3", "n2"]


def test_what_is_no_answer_or_event_is_refused_in_one_line(fitted: Memory) -> None:
    with pytest.raises(AnswerError, match=r"^'ann' is a str\. Give what question\.answer\(\.\.\.\) or palate\.rate"):
        fitted.tell(("ann", "i1", 4.0))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"^3 is a int\. Give what palate\.events\(\.\.\.\) makes\.$"):
        fitted.see(3)  # type: ignore[arg-type]


def test_what_cannot_be_taken_as_others_taught_the_items_is_told_once(
    fitted: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = fitted.model.catalogue.ids[0]
    memory = Memory(fitted.model).tell(rate(user, item, 5.0) for user in ("n1", "n2"))
    under_the_fit = memory.held("n1", memory.parts("n1")).fitted

    def refuse(*_: object) -> None:
        raise RuntimeError("sick")

    monkeypatch.setattr("palate.loop.others.as_others_say", refuse)
    for _ in range(2):
        assert memory.state("n1").belief is under_the_fit.belief
    assert [(one.key, one.reason.split(":")[0]) for one in memory.guard.unsaid()] == [("", "RuntimeError")]


def test_of_people_who_go_on_answering_the_log_is_not_read_again(
    fitted: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palate.loop.past.CACHED_ROWS", 6)  # those of one user
    users, ids = ("n1", "n2", "n3"), fitted.model.catalogue.ids
    with LabelLog.open(tmp_path / "labels.sqlite") as log:
        log.append([rate(user, item, 4.0, key=f"{user} {item}") for user in users for item in ids[:5]])
        log.append([Consent("n2", ("serve",), "1", key="c")])
        log.retract("n3 " + ids[0])
        memory = Memory(fitted.model).left_in(Past(fitted.model, log, log.last_seq, 0))
        for user in users:
            memory = memory.tell(rate(user, ids[5], 3.0))
        read, whole = list[object](), log.records
        monkeypatch.setattr(log, "records", lambda *of, **more: read.append(more) or whole(*of, **more))
        for n in (6, 7):
            for user in users:
                memory = memory.tell(rate(user, ids[n], 3.0)).tell(rate("n3", ids[0], 4.0, key="n3 " + ids[0]))
                memory.parts(user)
        assert [len(memory.parts(user)[0]) for user in users] == [8, 8, 7] and read == []
        assert memory.consent("n2") is not None and memory.consent("n1") is None and read == []
