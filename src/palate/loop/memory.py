"""What was told since the fit, in persistent maps: a memory with one answer more shares all the rest with the old one.

So a ``tell`` costs the same however many users have ever answered, and every earlier memory still works.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

import numpy as np
from immutables import Map

from palate.encoders.histories.events import History
from palate.encoders.histories.history import kind_codes
from palate.entities import USER, Answer, Form
from palate.errors import AnswerError, DataError, InputError, OptionError
from palate.errors.checks import normalise_id, shown
from palate.loop import replay
from palate.loop.company import Company, met_since
from palate.loop.fade import until
from palate.loop.learned import Learnt, as_others_say, changes, changes_of, learning_of, sums_of
from palate.loop.source import Parts, Source
from palate.loop.state import UserState, check_events, check_form, check_value
from palate.loop.states import Held, States, is_same
from palate.model.model import Model
from palate.oracles.pseudo_labels import is_pseudo, weight_of
from palate.posteriors.attribute_coding import Coding
from palate.posteriors.item_evidence import Sums
from palate.records import Attribute, Event, Record

T = TypeVar("T", bound=Answer | Event | Attribute)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """A model and what was told since its fit.

    Attributes:
        fitted: The model as the fit left it.
        told: Answers by user, in order.
        seen: Events by user, in order.
        known: Attributes by user, in order; of one name the last counts.
        undone: Keys of what was taken back; a repeat of one changes nothing.
        arrivals: Users of whom something was told, numbered in the order of their first word.
        base: What the items had learnt when they were last read.
        since: Of whom something was told or taken back after that; None: of all.
        time: Until when everything has faded, seconds since the epoch; None: of each user until they were heard last.
    """

    fitted: Model
    told: Map[str, tuple[Answer, ...]] = field(default_factory=Map)
    seen: Map[str, tuple[Event, ...]] = field(default_factory=Map)
    known: Map[str, tuple[Attribute, ...]] = field(default_factory=Map)
    undone: Map[str, bool] = field(default_factory=Map)
    arrivals: Map[str, int] = field(default_factory=Map)
    states: States | None = field(default=None, repr=False)  # made for the model
    base: Learnt = field(default_factory=Learnt, repr=False)
    since: Map[str, bool] | None = field(default=None, repr=False)
    time: float | None = None
    _now: list[Learnt] = field(default_factory=list, init=False, repr=False)  # once worked out

    def __post_init__(self) -> None:
        if self.states is None:
            object.__setattr__(self, "states", States.for_model(self.fitted))

    @property
    def _cache(self) -> States:
        assert self.states is not None
        return self.states

    @property
    def model(self) -> Model:
        """The model with its items as all answers since the fit have taught them."""
        return self.learnt.model(self.fitted)

    @property
    def learnt(self) -> Learnt:
        """What the items have learnt; worked out when first read."""
        if not self._now:
            users = {*self.told, *self.seen, *self.fitted.labels} if self.since is None else self.since
            self._now.append(self._folded(users))
        return self._now[0]

    def _folded(self, users: Iterable[str]) -> Learnt:
        """The base, with what these users told since."""
        before, after = self.base.folded, {user: self._parts(user) for user in users}
        moved = {user: parts for user, parts in after.items() if not is_same(parts, before.get(user))}
        learning, read, others = learning_of(self.fitted), list[tuple[Mapping[int, Sums], int]](), []
        for user, parts in moved.items():
            held = self._cache.get(user)
            of = [(parts, 1)] if user not in before else [(before[user], -1), (parts, 1)]
            for one, times in of if held is not None else ():
                read.append((self._held(user, one).said, times))
            others += [(user, one, times) for one, times in of] if held is None else []
        changed = (
            (change, times)
            for user, one, times in others
            for change in changes(self.fitted, self._source(user, one), to_end=False)[0]
        )
        total = sums_of(learning, changed)
        for said, times in read:
            for item, row in said.items():
                total[item] = total[item] + times * row if item in total else times * row
        return self.base.with_sums(moved, total, self._company(moved))

    def _company(self, users: Mapping[str, Parts]) -> Company:
        """What users met together, with what these have come to meet since."""
        company = self.base.company
        if self.fitted.list_model is None:
            return company
        for user, parts in users.items():
            base, after = met_since(self.fitted, self._source(user, parts))
            folded = self.base.folded.get(user)
            before = [] if folded is None else met_since(self.fitted, self._source(user, folded))[1]
            known = frozenset(base.tolist())
            company = company.moved(known, frozenset(before) - known, frozenset(after) - known)
        return company

    def source(self, user_id: str) -> Source:
        """All that is known of a user."""
        user_id = normalise_id(user_id, USER)
        return self._source(user_id, self._parts(user_id))

    def _source(self, user_id: str, parts: Parts) -> Source:
        told, seen, known = parts
        attributes = {**self.fitted.described(user_id), **{one.name: one.value for one in known}}
        row = self.fitted.rows.get(user_id)
        return Source(user_id, row, self._history(row, seen), attributes, told, seen)

    @property
    def users(self) -> list[str]:
        """Those of whom something was told, in the order of their first word."""
        return sorted(filter(lambda user: any(self._parts(user)), self.arrivals), key=self.arrivals.__getitem__)

    def state(self, user_id: str) -> UserState:
        """What is held about a user; a stranger has the population's belief, and is not kept."""
        user_id = normalise_id(user_id, USER)
        learnt, held = self.learnt, self._held(user_id, self._parts(user_id))
        if held.state is None or held.learnt is not learnt:
            others = self._others(user_id, held, learnt)
            state = held.fitted if not others else self._under(others, user_id, held)
            held = replace(held, others=others, state=state, learnt=learnt)
            if self.knows(user_id):
                self._cache.keep(user_id, held)
        assert held.state is not None
        return until(self.fitted, held.state, self.time)

    def _held(self, user_id: str, parts: Parts) -> Held:
        """What is held of a user who told, did and is this, under the model of the fit."""
        found = self._cache.get(user_id)
        if found is not None and is_same(found.parts, parts):
            return found
        held = None if found is None else self._moved(found, user_id, parts)
        if held is None:
            changed, state = changes(self.fitted, self._source(user_id, parts))
            assert state is not None
            held = Held(parts, state, sums_of(learning_of(self.fitted), ((change, 1) for change in changed)))
        return self._cache.keep(user_id, held) if self.knows(user_id) else held

    def _moved(self, held: Held, user_id: str, parts: Parts) -> Held | None:
        """The same after more answers, if each is to a question that had none."""
        (before, *_), (after, *_) = held.parts, parts
        if held.parts[1] is not parts[1] or held.parts[2] is not parts[2] or after[: len(before)] != before:
            return None
        state, said, labels = held.fitted, dict(held.said), self.fitted.labels.get(user_id, {})
        for place, answer in enumerate(after[len(before) :], len(before)):
            if self._answered(state, after[:place], answer) or (labels and answer.form is Form.RATE):
                return None
            new = changes_of(self.fitted, user_id, state, answer)
            said |= sums_of(learning_of(self.fitted), ((change, 1) for change in new))
            state = replay.told(self.fitted, state, answer)
        return Held(parts, state, said)

    def _others(self, user_id: str, held: Held, learnt: Learnt) -> dict[int, Sums]:
        """What others say of the items that a user's answers are about."""
        if not learnt.sums:
            return {}
        items = {self.fitted.catalogue.position(item) for answer in held.parts[0] for item in answer.items}
        items.update(self.fitted.catalogue.positions([event.item_id for event in held.parts[1]]).tolist())
        row = self.fitted.rows.get(user_id)
        items.update(() if row is None else self.fitted.answers[row].indices.tolist())
        both = {item: learnt.sums[item] for item in items if item in learnt.sums}
        left = {item: row - held.said[item] if item in held.said else row for item, row in both.items()}
        return {item: row for item, row in left.items() if row.any()}

    def _under(self, others: Mapping[int, Sums], user_id: str, held: Held) -> UserState:
        """The state under items as others have taught them; the one that is at hand if they have not changed."""
        same = held.others.keys() == others.keys() and all(map(np.array_equal, held.others.values(), others.values()))
        if held.state is not None and same:
            return held.state
        return replay.replay(as_others_say(self.fitted, others), self._source(user_id, held.parts))

    def view(self, user_id: str) -> Model:
        """The model under which a user's state is made: the items that they answered as others have taught them."""
        user_id = normalise_id(user_id, USER)
        others = self._others(user_id, self._held(user_id, self._parts(user_id)), self.learnt)
        return as_others_say(self.fitted, others) if others else self.fitted

    def knows(self, user_id: str) -> bool:
        """Whether anything is held about a user."""
        user_id = normalise_id(user_id, USER)
        return user_id in self.fitted.rows or any(self._parts(user_id)) or bool(self.fitted.described(user_id))

    def history(self, user_id: str) -> History | None:
        """What a user did, in the data and since, beside answering; None if nothing."""
        return self._history(self.fitted.rows.get(user_id), self.seen.get(user_id, ()))

    def _history(self, row: int | None, seen: tuple[Event, ...]) -> History | None:
        before = self.fitted.events.of(row) if row is not None and self.fitted.events is not None else None
        since = self._since(seen) if seen else None
        if before is None or since is None:
            return since if before is None else before
        return before + since

    def _since(self, seen: tuple[Event, ...]) -> History:
        vocabulary = self.fitted.vocabulary
        return History(
            self.fitted.catalogue.positions([event.item_id for event in seen]),
            np.array([(event.liking or 0.0) * vocabulary.strength(event.kind) for event in seen], dtype=np.float64),
            np.array([np.nan if event.at is None else event.at for event in seen], dtype=np.float64),
            kind_codes([event.kind for event in seen], vocabulary),
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
        return self._with(given, told=self._added(self.told, given))

    def _added(self, kept: Map[str, tuple[T, ...]], contents: Iterable[T]) -> Map[str, tuple[T, ...]]:
        """With these, but for repeats."""
        added = kept.mutate()
        for one in contents:
            before: tuple[T, ...] = added.get(one.user_id, ())
            if one.key in self.undone or any(one.key == earlier.key for earlier in before):
                continue
            added[one.user_id] = (*before, one)
        return added.finish()

    def _answered(self, state: UserState, before: tuple[Answer, ...], answer: Answer) -> bool:
        if answer.form is Form.RATE and self.fitted.catalogue.position(answer.item_id) in state.asked:
            return True
        return any(answer.subject == earlier.subject for earlier in before)

    def _with(self, contents: Iterable[Answer | Event | Attribute], **parts: Any) -> Memory:
        arrivals, number = self.arrivals.mutate(), count(len(self.arrivals))
        users = {one.user_id for one in contents}
        for one in contents:
            if one.user_id not in arrivals:
                arrivals[one.user_id] = next(number)
        return replace(self, arrivals=arrivals.finish(), **parts, **self._touched(users))

    def _touched(self, users: Iterable[str]) -> dict[str, Any]:
        """What the items have learnt so far, and of whom something was told or taken back since."""
        known = bool(self._now)
        before = Map[str, bool]() if known else self.since
        return {
            "base": self._now[0] if known else self.base,
            "since": None if before is None else before.update(dict.fromkeys(users, True)),
        }

    def check(self, answer: Answer) -> Answer:
        """The answer with a key, if this model can take it.
        Raises:
            UnknownItem: If the model does not hold an item, or cannot read a concept.
            AnswerError: If the rating is off the scale, or the model knows events and cannot take this kind of answer.
        """
        if not isinstance(answer, Answer):
            raise _strange(answer, Answer)
        self.fitted.catalogue.positions(answer.items)
        if answer.form is Form.RATE and answer.value is not None:
            check_value(self.fitted, answer.value)
        if answer.form is not Form.RATE:
            check_form(self.fitted, answer)
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
        told, undone = _without(self.told, user_id, key), self.undone.set(key, True)
        return replace(self, told=told, undone=undone, **self._touched([user_id]))

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

    def at(self, time: float) -> Memory:
        """The same told, as it has faded until a time."""
        return replace(self, time=time, **self._touched(()))

    def under(self, model: Model) -> Memory:
        """The same told, under another model that holds the same items and more."""
        base, since = self._touched(()).values()
        return replace(self, fitted=model, states=States.for_model(model), base=replace(base), since=since)

    def retracted(self, rows: Iterable[Record]) -> Memory:
        """As if what these rows of a log take back had never been there, told before or later."""
        told, seen, known, undone = self.told, self.seen, self.known, self.undone.mutate()
        rows = list(rows)
        for row in rows:
            user, key = row.user_id, row.retracts
            told, seen, known = _without(told, user, key), _without(seen, user, key), _without(known, user, key)
            undone[key] = True
        touched = self._touched({row.user_id for row in rows})
        return replace(self, told=told, seen=seen, known=known, undone=undone.finish(), **touched)

    def see(self, events: Event | Iterable[Event]) -> Memory:
        """With events more. A repeat of a key changes nothing.
        Raises:
            UnknownItem, DataError: If the model does not hold an item, or knows no such kind; then none is taken.
        """
        given = [with_key(event) for event in check_events(self.fitted, several(events, Event))]
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
        given, fitted = list(attributes), self.fitted.attributes
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
