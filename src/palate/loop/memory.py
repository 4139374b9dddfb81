"""What was told since the fit, in persistent maps: a memory with one answer more shares all the rest with the old one.

So a ``tell`` costs the same however many users have ever answered, and every earlier memory still works.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from immutables import Map

from palate.encoders.histories.events import History
from palate.encoders.histories.history import kind_codes
from palate.entities import USER, Answer, Form
from palate.errors import AnswerError, DataError, InputError, OptionError
from palate.errors.checks import normalise_id, shown
from palate.loop import replay
from palate.loop.state import UserState, check_form
from palate.model.model import Model
from palate.oracles.pseudo_labels import is_pseudo, weight_of
from palate.posteriors.attribute_coding import Coding
from palate.records import Attribute, Event, Record

CACHE_BYTES = 1 << 27  # of states, about
T = TypeVar("T", bound=Answer | Event | Attribute)
Parts = tuple[tuple[Answer, ...], tuple[Event, ...], tuple[Attribute, ...]]


class States:
    """The states that were asked for last, at most ``size``. A cache: replay gives the same.

    A state is kept with the very parts it was made of, so memories that differ may share one cache. Safe to share
    between threads.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: OrderedDict[str, tuple[Parts, UserState]] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def for_model(cls, model: Model) -> States:
        """As many as fit into :data:`CACHE_BYTES`, by their covariances."""
        dims = (model.taste.items.dim, model.answerability.loadings.shape[1])
        return cls(max(16, CACHE_BYTES // (16 * sum(dim * (dim + 1) for dim in dims) + 2048)))

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, user_id: str, parts: Parts) -> UserState | None:
        """The state of a user, if it was made of these parts."""
        with self._lock:
            found = self._kept.get(user_id)
            if found is None or any(mine is not theirs for mine, theirs in zip(found[0], parts, strict=True)):
                return None
            self._kept.move_to_end(user_id)
            return found[1]

    def keep(self, user_id: str, parts: Parts, state: UserState) -> UserState:
        """Keep a state in the place of the user's last; of too many the one not asked for the longest goes."""
        with self._lock:
            self._kept[user_id] = parts, state
            self._kept.move_to_end(user_id)
            if len(self._kept) > self.size:
                self._kept.popitem(last=False)
        return state


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """A model and what was told since its fit.

    Attributes:
        told: Answers by user, in order.
        seen: Events by user, in order.
        known: Attributes by user, in order; of one name the last counts.
        undone: Keys of what was taken back; a repeat of one changes nothing.
        arrivals: Users of whom something was told, numbered in the order of their first word.
    """

    model: Model
    told: Map[str, tuple[Answer, ...]] = field(default_factory=Map)
    seen: Map[str, tuple[Event, ...]] = field(default_factory=Map)
    known: Map[str, tuple[Attribute, ...]] = field(default_factory=Map)
    undone: Map[str, bool] = field(default_factory=Map)
    arrivals: Map[str, int] = field(default_factory=Map)
    states: States | None = field(default=None, repr=False)  # made for the model

    def __post_init__(self) -> None:
        if self.states is None:
            object.__setattr__(self, "states", States.for_model(self.model))

    @property
    def _cache(self) -> States:
        assert self.states is not None
        return self.states

    @property
    def users(self) -> list[str]:
        """Those of whom something was told, in the order of their first word."""
        return sorted(filter(lambda user: any(self._parts(user)), self.arrivals), key=self.arrivals.__getitem__)

    def state(self, user_id: str) -> UserState:
        """What is held about a user; a stranger has the population's belief, and is not kept."""
        user_id = normalise_id(user_id, USER)
        parts = self._parts(user_id)
        state = self._cache.get(user_id, parts)
        if state is None:
            told = {**self.model.described(user_id), **{one.name: one.value for one in parts[2]}}
            state = replay.replay(self.model, self.model.rows.get(user_id), self.history(user_id), told, parts[0])
            if self.knows(user_id):
                self._cache.keep(user_id, parts, state)
        return state

    def knows(self, user_id: str) -> bool:
        """Whether anything is held about a user."""
        user_id = normalise_id(user_id, USER)
        return user_id in self.model.rows or any(self._parts(user_id)) or bool(self.model.described(user_id))

    def history(self, user_id: str) -> History | None:
        """What a user did, in the data and since, beside answering; None if nothing."""
        row, seen = self.model.rows.get(user_id), self.seen.get(user_id, ())
        before = self.model.events.of(row) if row is not None and self.model.events is not None else None
        since = self._since(seen) if seen else None
        if before is None or since is None:
            return since if before is None else before
        return before + since

    def _since(self, seen: tuple[Event, ...]) -> History:
        return History(
            self.model.catalogue.positions([event.item_id for event in seen]),
            np.array([event.liking for event in seen], dtype=np.float64),
            np.array([np.nan if event.at is None else event.at for event in seen], dtype=np.float64),
            kind_codes([event.kind for event in seen]),
        )

    def _parts(self, user_id: str) -> Parts:
        return self.told.get(user_id, ()), self.seen.get(user_id, ()), self.known.get(user_id, ())

    def tell(self, answers: Answer | Iterable[Answer]) -> Memory:
        """With one answer more, or several.

        An answer without a key gets one; one whose key was told before changes nothing, even if it was undone since.

        Raises:
            UnknownItem, AnswerError: If one of them cannot be taken; then none is.
        """
        given = [self.check(answer) for answer in several(answers, Answer)]
        return self._with(given, told=self._added(self.told, given, self._follow))

    def _added(
        self,
        kept: Map[str, tuple[T, ...]],
        contents: Iterable[T],
        follow: Callable[[T, tuple[T, ...], tuple[T, ...]], None] | None = None,
    ) -> Map[str, tuple[T, ...]]:
        """With these, but for repeats. ``follow`` is told of each, with what the user had told before and after it."""
        added = kept.mutate()
        for one in contents:
            before: tuple[T, ...] = added.get(one.user_id, ())
            if one.key in self.undone or any(one.key == earlier.key for earlier in before):
                continue
            added[one.user_id] = (*before, one)
            if follow is not None:
                follow(one, before, added[one.user_id])
        return added.finish()

    def _follow(self, answer: Answer, before: tuple[Answer, ...], after: tuple[Answer, ...]) -> None:
        """Move a state that is at hand, if the question is new: an answer to one that had an answer is replayed."""
        user, (_, seen, known) = answer.user_id, self._parts(answer.user_id)
        state = self._cache.get(user, (before, seen, known))
        if state is not None and not self._answered(state, before, answer):
            self._cache.keep(user, (after, seen, known), replay.told(self.model, state, answer))

    def _answered(self, state: UserState, before: tuple[Answer, ...], answer: Answer) -> bool:
        if answer.form is Form.RATE and self.model.catalogue.position(answer.item_id) in state.asked:
            return True
        return any(answer.subject == earlier.subject for earlier in before)

    def _with(self, contents: Iterable[Answer | Event | Attribute], **parts: Any) -> Memory:
        arrivals, number = self.arrivals.mutate(), count(len(self.arrivals))
        for one in contents:
            if one.user_id not in arrivals:
                arrivals[one.user_id] = next(number)
        return replace(self, arrivals=arrivals.finish(), **parts)

    def check(self, answer: Answer) -> Answer:
        """The answer with a key, if this model can take it.

        Raises:
            UnknownItem: If the model does not hold an item, or cannot read a concept.
            AnswerError: If the rating is off the scale, or the model knows events and cannot take this kind of answer.
        """
        if not isinstance(answer, Answer):
            raise _strange(answer, Answer)
        self.model.catalogue.positions(answer.items)
        if answer.form is Form.RATE and answer.value is not None:
            self.model.scale.check(answer.value)
        if answer.form is not Form.RATE:
            check_form(self.model, answer)
        if is_pseudo(answer):
            weight_of(answer)
        return with_key(answer)

    def undo(self, user_id: str, key: str | None = None) -> Memory:
        """As if an answer had never been given: by replay, so exactly.

        Args:
            key: Of the answer; the user's last one if None.
        Raises:
            AnswerError: If there is nothing to undo.
        """
        key = self.to_undo(user_id, key)
        user_id = normalise_id(user_id, USER)
        return replace(self, told=_without(self.told, user_id, key), undone=self.undone.set(key, True))

    def to_undo(self, user_id: str, key: str | None) -> str:
        """Key of the answer that an undo takes back."""
        answers = self.told.get(normalise_id(user_id, USER), ())
        key = None if key is None else normalise_id(key, "key")
        if key is not None and key in self.undone:
            raise AnswerError(f"the answer {key!r} has already been undone. There is nothing left to undo.")
        if not answers:
            raise AnswerError(f"user {user_id!r} has told nothing that could be undone. Tell an answer first.")
        key = answers[-1].key if key is None else key
        if all(answer.key != key for answer in answers):
            raise AnswerError(
                f"user {user_id!r} has no answer with the key {key!r}. Undo one of {len(answers)} there are."
            )
        return key

    def under(self, model: Model) -> Memory:
        """The same told, under another model that holds the same items and more."""
        return replace(self, model=model, states=States.for_model(model))

    def retracted(self, rows: Iterable[Record]) -> Memory:
        """As if what these rows of a log take back had never been there, told before or later."""
        told, seen, known, undone = self.told, self.seen, self.known, self.undone.mutate()
        for row in rows:
            user, key = row.content.user_id, row.retracts
            told, seen, known = _without(told, user, key), _without(seen, user, key), _without(known, user, key)
            undone[key] = True
        return replace(self, told=told, seen=seen, known=known, undone=undone.finish())

    def see(self, events: Event | Iterable[Event]) -> Memory:
        """With events more. A repeat of a key changes nothing.

        Raises:
            UnknownItem: If the model does not hold an item; then none is taken.
        """
        given = [with_key(event) for event in several(events, Event)]
        self.model.catalogue.positions([event.item_id for event in given])
        return self._with(given, seen=self._added(self.seen, given))

    def know(self, attributes: Iterable[Attribute]) -> Memory:
        """With attributes more; of one name the last counts. A model that knows none leaves them to the next fit.

        Raises:
            OptionError: If none is given, or a name or a value cannot be taken.
        """
        given = self.check_attributes(several(attributes, Attribute))
        return self._with(given, known=self._added(self.known, given))

    def check_attributes(self, attributes: Iterable[Attribute]) -> list[Attribute]:
        """Attributes with keys and with values as they are kept, if this model can take them.

        Raises:
            OptionError: If not (:meth:`know`).
        """
        given, fitted = list(attributes), self.model.attributes
        if not given:
            names = "one, such as age=31" if fitted is None else f"one of {', '.join(fitted.coding.names)}"
            raise OptionError(f"0 attributes are given. Give at least {names}.")
        coding = Coding(()) if fitted is None else fitted.coding
        return [replace(with_key(one), value=coding.check({one.name: one.value})[one.name]) for one in given]


def _without(kept: Map[str, tuple[T, ...]], user_id: str, key: str) -> Map[str, tuple[T, ...]]:
    """Without what a user told under a key; the same map where there is no such thing."""
    before = kept.get(user_id, ())
    left = tuple(one for one in before if one.key != key)
    if len(left) == len(before):
        return kept
    return kept.set(user_id, left) if left else kept.delete(user_id)


def with_key(content: T) -> T:
    """The same with a key; a new one where it has none."""
    return content if content.key else replace(content, key=uuid.uuid4().hex)


def several(given: T | Iterable[T], kind: type[T]) -> list[T]:
    """One or several, as a list.

    Raises:
        AnswerError, DataError: If something else is among them.
    """
    if isinstance(given, kind):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes, type)):
        raise _strange(given, kind)
    found = list(given)
    for one in found:
        if not isinstance(one, kind):
            raise _strange(one, kind)
    return found


def _strange(one: object, kind: type) -> InputError:
    said = f"{shown(one)} is a {type(one).__name__}. Give what"
    if kind is Answer:
        return AnswerError(f"{said} question.answer(...) or palate.rate(...) makes.")
    return DataError(f"{said} palate.events(...) makes.")
