"""What a log held up to a row, read user by user when somebody asks: nobody else takes memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from threading import Lock
from typing import NamedTuple

from immutables import Map

from palate.entities import Answer
from palate.errors import InputError
from palate.loop.source import Parts
from palate.loop.taken import T, check_answer, check_attributes, check_events
from palate.model.counted import Weights, is_of_taste
from palate.model.model import Model
from palate.records import Attribute, Consent, Event, Record
from palate.store.protocol import LabelStore, active

CACHED_ROWS = 50_000  # of the users who were asked for last
_FEW, _MOST_BESIDE = 20, 10_000  # rows beside answers of a user that are kept longer; users of whom they are


class OfUser(NamedTuple):
    """What a log holds of a user.

    Attributes:
        parts: As far as the model can take it, not weighed.
        undone: Keys of what was taken back.
        consent: The last one; None where there is none.
    """

    parts: Parts
    undone: frozenset[str]
    consent: Consent | None


class Past:
    """The rows of a log up to one of them, for a model. Safe to share between threads.

    Args:
        seq: The last row.
        fitted_seq: Events and attributes up to this row are in the fit.
    """

    def __init__(self, model: Model, store: LabelStore, seq: int, fitted_seq: int) -> None:
        self.model, self.store, self.seq, self.fitted_seq = model, store, seq, fitted_seq
        self.refused: dict[str, str] = {}  # of whom the model cannot take a row, and why
        self._kept: OrderedDict[str, OfUser] = OrderedDict()
        self._beside: OrderedDict[str, OfUser] = OrderedDict()  # without answers
        self._rows, self._lock = 0, Lock()

    def of(self, user_id: str) -> OfUser:
        """What there is of a user; the same object as long as it is kept."""
        with self._lock:
            found = self._kept.get(user_id)
            if found is not None:
                self._kept.move_to_end(user_id)
                return found
        rows = list(takewhile(lambda row: row.seq <= self.seq, self.store.records(user_id=user_id))) if self.seq else []
        parts, refused = taken(self.model, rows, self.fitted_seq)
        if refused:
            self.refused[user_id] = refused[0]
        consents = [row.content for row in active(rows) if isinstance(row.content, Consent)]
        undone = frozenset(row.retracts for row in rows if row.retracts)
        return self._keep(user_id, OfUser(parts, undone, consents[-1] if consents else None))

    def beside(self, user_id: str) -> OfUser:
        """What there is of a user, perhaps without their answers: of who goes on answering it is asked for each time,
        and what they answered before is not.
        """
        with self._lock:
            found = self._kept.get(user_id) or self._beside.get(user_id)
        return self.of(user_id) if found is None else found

    def _keep(self, user_id: str, found: OfUser) -> OfUser:
        without = found._replace(parts=((), *found.parts[1:]))
        with self._lock:
            if _size(without) <= _FEW:
                self._beside[user_id] = without
                self._beside.move_to_end(user_id)
            if len(self._beside) > _MOST_BESIDE:
                self._beside.popitem(last=False)
            if user_id not in self._kept:
                self._kept[user_id] = found
                self._rows += _size(found)
            while self._rows > CACHED_ROWS and len(self._kept) > 1:
                self._rows -= _size(self._kept.popitem(last=False)[1])
            return self._kept.get(user_id, found)

    def users(self, after_seq: int = 0) -> list[str]:
        """Of whom there are rows after one, in the order of their first."""
        if self.seq <= after_seq:
            return []
        rows = takewhile(lambda row: row.seq <= self.seq, self.store.records(after_seq))
        return list(dict.fromkeys(row.user_id for row in rows if row.user_id))

    def users_of(self, sources: Iterable[str]) -> list[str]:
        """Users about whom one of these sources answered, and perhaps others."""
        return [user for source in sources for user in self.store.users_of(source)]


def _size(found: OfUser) -> int:
    return 1 + sum(map(len, found.parts))


def taken(model: Model, rows: Iterable[Record], fitted_seq: int) -> tuple[Parts, list[str]]:
    """What a user told, did and is by their rows, and why a model cannot take the others."""
    told, seen, known, refused = list[Answer](), list[Event](), list[Attribute](), list[str]()
    for row in active(rows):
        one = row.timed
        try:
            if is_of_taste(one):
                told.append(check_answer(model, one))
            elif row.seq > fitted_seq and isinstance(one, Event):
                seen += check_events(model, [one])
            elif row.seq > fitted_seq and isinstance(one, Attribute):
                known += check_attributes(model, [one])
        except InputError as error:
            refused.append(str(error))
    return (tuple(told), tuple(seen), tuple(known), ()), refused


@dataclass(frozen=True, slots=True, eq=False)
class Kept(Mapping[str, tuple[T, ...]]):
    """One kind of what users told: as a log holds it, and what has changed since.

    A persistent map: with a user changed it shares all the rest with the old one.

    Attributes:
        changed: By user, all there is of them.
        past: Of everybody else; None: nothing.
        part: Which of :data:`~palate.loop.source.Parts` this is.
    """

    changed: Map[str, tuple[T, ...]] = field(default_factory=Map)
    past: Past | None = None
    part: int = 0

    def __getitem__(self, user_id: str) -> tuple[T, ...]:
        found = self.changed.get(user_id)
        if found is None and self.past is not None:
            of = self.past.beside(user_id) if self.part else self.past.of(user_id)
            found = of.parts[self.part]  # type: ignore[assignment]
        if not found:
            raise KeyError(user_id)
        return found

    def __iter__(self) -> Iterator[str]:
        users: dict[str, None] = dict.fromkeys(self.past.users() if self.past is not None else ())
        return (user for user in [*users, *(user for user in self.changed if user not in users)] if user in self)

    def __len__(self) -> int:
        return len(self.changed) if self.past is None else sum(1 for _ in self)

    def updated(self, by: Mapping[str, tuple[T, ...]]) -> Kept[T]:
        """With these users' in the place of what there was of them."""
        changed = self.changed.mutate()
        for user, of_user in by.items():
            if of_user or self.past is not None:
                changed[user] = of_user
            elif user in changed:
                del changed[user]
        return Kept(changed.finish(), self.past, self.part)


Contents = tuple[Kept[Answer], Kept[Event], Kept[Attribute], Weights]


def contents_of(past: Past, weights: Weights) -> Contents:
    """All that a log holds, and what the answers of its sources count."""
    return Kept(past=past), Kept(past=past, part=1), Kept(past=past, part=2), weights
