"""What the items learn from what users told since they were looked at last, and what others than a user taught them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol

from palate.entities import Form
from palate.loop.company import Company, Move, met_since
from palate.loop.guard import Guard
from palate.loop.learned import Change, Learnt, answered_more, changes, learning_of, sums_of
from palate.loop.past import Contents
from palate.loop.replay import data_of, replay
from palate.loop.source import Parts, Source
from palate.loop.states import Held
from palate.model.model import Model
from palate.posteriors.item_evidence import Sums

_AT_ONCE = 1_000  # users whose answers are in memory together


class Memory(Protocol):
    """What was told, as :class:`palate.loop.memory.Memory` holds it."""

    @property
    def fitted(self) -> Model: ...
    @property
    def base(self) -> Learnt: ...
    @property
    def contents(self) -> Contents: ...
    @property
    def guard(self) -> Guard: ...
    def unfolded(self) -> Iterable[str]: ...
    def parts(self, user_id: str) -> Parts: ...
    def source_of(self, user_id: str, parts: Parts) -> Source: ...
    def holds(self, user_id: str) -> bool: ...
    def held(self, user_id: str, parts: Parts) -> Held: ...


def folded(memory: Memory) -> Learnt:
    """What the items had learnt, with what users told since."""
    total, company, users = dict[int, Sums](), memory.base.company, iter(memory.unfolded())
    while some := list(islice(users, _AT_ONCE)):
        moved = {user: _both(memory, user) for user in some}
        moved = {user: both for user, both in moved.items() if both[0] != both[1]}
        for item, row in _said(memory, moved).items():
            total[item] = total[item] + row if item in total else row
        company = _company(memory, company, {user: _both(memory, user) for user in moved})
    return memory.base.with_sums(memory.contents, total, company)


def _both(memory: Memory, user: str) -> tuple[Parts | None, Parts]:
    """What a user had told when the items were looked at last, and has told now, as far as it counts."""
    before = memory.base.parts(user)
    return None if before is None else memory.guard.left(user, before), memory.parts(user)


def _said(memory: Memory, users: Mapping[str, tuple[Parts | None, Parts]]) -> dict[int, Sums]:
    """What users say of items now, less what they said before."""
    read, model = list[tuple[Mapping[int, Sums], int]](), memory.fitted

    def changed() -> Iterator[tuple[Change, int]]:
        for user, (before, parts) in users.items():
            if memory.holds(user):
                held = memory.held(user, parts)
                read.append((held.said, 1))
                if before is not None:
                    read.append((_said_when(memory, user, before, held), -1))
                continue
            more = None if before is None else _more(memory, user, before, parts)
            if more is not None:
                yield from ((change, 1) for change in more)
                continue
            for one, times in [(parts, 1)] if before is None else [(before, -1), (parts, 1)]:
                yield from ((change, times) for change in _changes(memory, user, one))

    total = sums_of(learning_of(model), changed())
    for said, times in read:
        for item, row in said.items():
            total[item] = total[item] + times * row if item in total else times * row
    return total


def _more(memory: Memory, user: str, before: Parts, parts: Parts) -> list[Change] | None:
    """What answers since say, where each is to a question that had none; None where that is not so."""
    if not before[0] or before[1:] != parts[1:]:
        return None
    try:
        state = replay(memory.fitted, memory.source_of(user, before))
        found = answered_more(memory.fitted, memory.source_of(user, parts), state, before[0])
    except Exception:  # noqa: BLE001 - all of it is worked out again, under guard
        return None
    return None if found is None else found[0]


def _company(memory: Memory, company: Company, users: Mapping[str, tuple[Parts | None, Parts]]) -> Company:
    """What users met together, with what these have come to meet since."""
    if memory.fitted.list_model is None:
        return company

    def move(user: str, before: Parts | None, parts: Parts) -> Move:
        base, after = met_since(memory.fitted, memory.source_of(user, parts))
        earlier = {} if before is None else met_since(memory.fitted, memory.source_of(user, before))[1]
        return frozenset(base.tolist()), earlier, after

    return company.moved_all(move(user, *both) for user, both in users.items())


def said_when(memory: Memory, user_id: str, held: Held, learnt: Learnt) -> Mapping[int, Sums]:
    """What a user said of items as far as these have learnt it."""
    parts = learnt.parts(user_id)
    return held.said if parts is None else _said_when(memory, user_id, memory.guard.left(user_id, parts), held)


def _said_when(memory: Memory, user_id: str, parts: Parts, held: Held) -> Mapping[int, Sums]:
    """What a user said of items when this was all that they had told."""
    if parts == held.parts:
        return held.said
    model, (told, *did), (now, *does) = memory.fitted, parts, held.parts
    more, subjects = now[len(told) :], {answer.subject for answer in told}
    later = {model.catalogue.position(answer.item_id) for answer in more if answer.form is Form.RATE}
    of_fit = {*data_of(model, model.rows.get(user_id)), *model.labels.get(user_id, ())}
    is_same = did == does and told == now[: len(told)] and not (held.parts[1] and model.taste.likelihood.events_only)
    if is_same and not later & of_fit and not any(answer.subject in subjects for answer in more):
        return {item: row for item, row in held.said.items() if item not in later}  # which say nothing of those before
    return sums_of(learning_of(model), ((change, 1) for change in _changes(memory, user_id, parts)))


def _changes(memory: Memory, user_id: str, parts: Parts) -> list[Change]:
    """What a user says otherwise than the fit was told, without the rows with which that fails."""

    def work(of: Parts) -> list[Change]:
        return changes(memory.fitted, memory.source_of(user_id, of), to_end=False)[0]

    return memory.guard.tried(user_id, parts, work)[1]
