"""What was told since the fit, in persistent maps: a memory with one answer more shares all the rest with the old one.

So a ``tell`` costs the same however many users have ever answered, and every earlier memory still works. What a log
holds can be left there (:mod:`palate.loop.past`), so that nobody is in memory of whom nobody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import Any, cast

from immutables import Map

from palate.encoders.histories.events import History
from palate.entities import USER, Answer
from palate.errors import AnswerError
from palate.errors.checks import normalise_id
from palate.loop.fade import until
from palate.loop.folding import folded
from palate.loop.guard import Guard
from palate.loop.learned import Learnt, answered_more, as_others_say, changes, learning_of, sums_of
from palate.loop.others import under_others
from palate.loop.past import Contents, Kept, Past, contents_of
from palate.loop.source import Parts, Source, history_of
from palate.loop.state import UserState
from palate.loop.states import Held, States, Under
from palate.loop.taken import T, check_answer, check_attributes, check_events, several, with_key
from palate.model.counted import Weights, weights_of
from palate.model.model import Model
from palate.records import Attribute, Calibration, Consent, Event, Record


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """A model and what was told since its fit.

    Attributes:
        fitted: The model as the fit left it.
        told: Answers by user, in order.
        seen: Events by user, in order.
        known: Attributes by user, in order; of one name the last counts.
        undone: Keys of what was taken back, as far as no log holds them; a repeat of one changes nothing.
        arrivals: Users of whom something was told that no log holds, numbered in the order of their first word.
        base: What the items had learnt when they were last read.
        since: Of whom something was told or taken back after that; None: of all.
        time: Until when everything has faded, seconds since the epoch; None: of each user until they were heard last.
        past: The log that holds what was told before; None: all is here.
        unread: Row of it after which nothing is in the base.
        consents: What users allow, as far as no log holds it.
        calibrations: How reliable sources turned out to be, all of them, in order.
        weights: What answers of each source count by that.
        items: What the items are to have learnt, which may be less than is told; None: all.
    """

    fitted: Model
    told: Kept[Answer] = field(default_factory=Kept)
    seen: Kept[Event] = field(default_factory=Kept)
    known: Kept[Attribute] = field(default_factory=Kept)
    undone: Map[str, bool] = field(default_factory=Map)
    arrivals: Map[str, int] = field(default_factory=Map)
    states: States | None = field(default=None, repr=False)  # made for the model
    base: Learnt = field(default_factory=Learnt, repr=False)
    since: Map[str, bool] | None = field(default=None, repr=False)
    time: float | None = None
    past: Past | None = field(default=None, repr=False)
    unread: int | None = None
    consents: Map[str, Consent] = field(default_factory=Map)
    calibrations: tuple[Calibration, ...] = ()
    weights: Weights = field(default_factory=dict)
    items: Learnt | None = field(default=None, repr=False)
    _now: list[Learnt] = field(default_factory=list, init=False, repr=False)  # once worked out

    def __post_init__(self) -> None:
        if self.states is None:
            object.__setattr__(self, "states", States.for_model(self.fitted))

    @classmethod
    def after(cls, learnt: Learnt, past: Past, calibrations: Iterable[Calibration]) -> Memory:
        """Of all that a log holds up to a row, from which the items have learnt this."""
        memory = cls(past.model).calibrated(calibrations)
        told, seen, known, _ = contents = contents_of(past, memory.weights)
        base = learnt.holding(contents)
        return replace(memory, told=told, seen=seen, known=known, base=base, since=Map(), past=past)

    @property
    def model(self) -> Model:
        """The model with its items as all answers since the fit have taught them."""
        return self.learnt.model(self.fitted)

    @property
    def learnt(self) -> Learnt:
        """What the items have learnt; worked out when first read."""
        if self.items is not None:
            return self.items
        if not self._now:
            with cast("States", self.states).folding:
                if not self._now:
                    self._now.append(folded(self))
        return self._now[0]

    def with_items_of(self, learnt: Learnt) -> Memory:
        """The same told, under items that have learnt no more than they had earlier."""
        return replace(self, items=learnt)

    def unfolded(self) -> Iterable[str]:
        """Of whom something was told or taken back that is not in the base, and perhaps others."""
        first = {*self.told.changed, *self.seen.changed, *self.fitted.labels}
        here, unread = (first, 0) if self.since is None else (self.since, self.unread)
        return dict.fromkeys([*([] if self.past is None or unread is None else self.past.users(unread)), *here])

    @property
    def contents(self) -> Contents:
        """All that was told."""
        return self.told, self.seen, self.known, self.weights

    def source(self, user_id: str) -> Source:
        """All that is known of a user."""
        user_id = normalise_id(user_id, USER)
        return self.source_of(user_id, self.parts(user_id))

    def source_of(self, user_id: str, parts: Parts) -> Source:
        told, seen, known, weights = parts
        told_of = {one.name: one.value for one in known if one.friends is None}
        attributes = {**self.fitted.described(user_id), **told_of}
        row = self.fitted.rows.get(user_id)
        return Source(user_id, row, history_of(self.fitted, row, seen), attributes, told, seen, dict(weights))

    @property
    def users(self) -> list[str]:
        """Those of whom something was told, in the order of their first word."""
        here = sorted(self.arrivals, key=self.arrivals.__getitem__)
        users = here if self.past is None else dict.fromkeys([*self.past.users(), *here])
        return [user for user in users if any(self.parts(user))]

    def state(self, user_id: str) -> UserState:
        """What is held about a user; a stranger has the population's belief, and is not kept."""
        user_id = normalise_id(user_id, USER)
        return until(self.fitted, self._under(user_id).state, self.time)

    def _under(self, user_id: str) -> Under:
        """The state under the items as all others have taught them, kept for those of whom anything is held."""
        held, learnt = self.held(user_id, self.parts(user_id)), self.learnt
        under = under_others(self, user_id, held, learnt)
        if under is not held.under and self.knows(user_id):
            cast("States", self.states).keep(user_id, replace(held, under=under))
        return under

    def hold(self, users: Iterable[str]) -> None:
        """Work out what users say, as far as there is room for it: before :attr:`learnt`, which needs it too."""
        for user in islice(users, cast("States", self.states).size):
            self.held(user, self.parts(user))

    def held(self, user_id: str, parts: Parts) -> Held:
        """What is held of a user who told, did and is this, under the model of the fit."""
        found = cast("States", self.states).get(user_id)
        if found is not None and found.parts == parts:
            return found
        held = None if found is None else self.moved(found, user_id, parts)
        if held is None:
            held = self.guard.tried(user_id, parts, lambda of: self._worked_out(user_id, of))[1]
        return cast("States", self.states).keep(user_id, held) if self.knows(user_id) else held

    def _worked_out(self, user_id: str, parts: Parts) -> Held:
        changed, state = changes(self.fitted, self.source_of(user_id, parts))
        assert state is not None
        return Held(parts, state, sums_of(learning_of(self.fitted), ((change, 1) for change in changed)))

    def holds(self, user_id: str) -> bool:
        """Whether something of a user is at hand."""
        return cast("States", self.states).get(user_id) is not None

    def moved(self, held: Held, user_id: str, parts: Parts) -> Held | None:
        """The same after more answers, if each is to a question that had none."""
        if held.parts[1:] != parts[1:]:
            return None
        try:
            found = answered_more(self.fitted, self.source_of(user_id, parts), held.fitted, held.parts[0])
        except Exception:  # noqa: BLE001 - all of it is worked out again, under guard
            return None
        if found is None:
            return None
        new, state = found
        said = sums_of(learning_of(self.fitted), ((change, 1) for change in new))
        return Held(parts, state, {**held.said, **said}, held.under)

    @contextmanager
    def view(self, user_id: str) -> Iterator[Model]:
        """The model under which a user's state is made, while the block runs: the items that they answered as others
        have taught them.
        """
        user_id = normalise_id(user_id, USER)
        others = self._under(user_id).others
        with as_others_say(self.fitted, others) if others else nullcontext(self.fitted) as model:
            yield model

    def knows(self, user_id: str) -> bool:
        """Whether anything is held about a user."""
        user_id = normalise_id(user_id, USER)
        return user_id in self.fitted.rows or any(self.parts(user_id)) or bool(self.fitted.described(user_id))

    def history(self, user_id: str) -> History | None:
        """What a user did, in the data and since, beside answering; None if nothing."""
        return history_of(self.fitted, self.fitted.rows.get(user_id), self.seen.get(user_id, ()))

    def parts(self, user_id: str) -> Parts:
        """What of all that a user told counts."""
        told, seen, known = self.told.get(user_id, ()), self.seen.get(user_id, ()), self.known.get(user_id, ())
        return self.guard.left(user_id, cast("States", self.states).weighed(user_id, told, seen, known, self.weights))

    @property
    def guard(self) -> Guard:
        """What of all this the model could not take."""
        return cast("States", self.states).guard

    def tell(self, answers: Answer | Iterable[Answer]) -> Memory:
        """With one answer more, or several.

        An answer without a key gets one; one whose key was told before changes nothing, even if it was undone since.
        Raises:
            UnknownItem, AnswerError: If one of them cannot be taken; then none is.
        """
        given = [check_answer(self.fitted, answer) for answer in several(answers, Answer)]
        return self._with(given, told=self._added(self.told, given))

    def _added(self, kept: Kept[T], contents: Iterable[T]) -> Kept[T]:
        """With these, but for repeats."""
        changed, keys = dict[str, list[T]](), dict[str, set[str]]()
        for one in contents:
            user = one.user_id
            if user not in changed:
                changed[user] = list(kept.get(user, ()))
                keys[user] = {earlier.key for earlier in changed[user]}
            if one.key not in keys[user] and not self._is_undone(user, one.key):
                changed[user].append(one)
                keys[user].add(one.key)
        return kept.updated({user: tuple(rows) for user, rows in changed.items()})

    def _is_undone(self, user_id: str, key: str) -> bool:
        return key in self.undone or (self.past is not None and key in self.past.beside(user_id).undone)

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
            "unread": None if known else self.unread,
        }

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
        if key is not None and self._is_undone(normalise_id(user_id, USER), key):
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
        now = self._touched(())
        now["base"] = replace(now["base"])  # without what was worked out for the other model
        return replace(self, fitted=model, states=States.for_model(model), **now)

    def left_in(self, past: Past) -> Memory:
        """The same told, all of which a log holds now: it is read there again."""
        contents, now = contents_of(past, self.weights), self._touched(())
        if self._now:
            now["base"] = self._now[0].holding(contents)
        return self._in(past, contents, **now)

    def unread_in(self, past: Past, after_seq: int) -> Memory:
        """With the rows of a log after one, which are read when somebody asks; all before it are known."""
        unread = after_seq if self._now or self.unread is None else min(self.unread, after_seq)
        return self._in(past, contents_of(past, self.weights), **{**self._touched(()), "unread": unread})

    def _in(self, past: Past, contents: Contents, **now: Any) -> Memory:
        (told, seen, known, _), none = contents, Map[str, Any]()
        same = replace(self, told=told, seen=seen, known=known, undone=none, arrivals=none, consents=none, past=past)
        return replace(same, **now)

    def pinned(self, user_id: str) -> Memory:
        """The same, with all that a user told here, and no longer only in a log."""
        told, seen, known, _ = here = self._told_by(user_id, self.parts(user_id))
        now: dict[str, Any] = {"base": self.learnt.holding(here), "since": Map(), "unread": None}
        return replace(self, told=told, seen=seen, known=known, **now)

    def dropped(self, user_id: str) -> Memory:
        """As if a user had never told anything."""
        told, seen, known, _ = self._told_by(user_id, ((), (), (), ()))
        consents = Map({user: one for user, one in self.consents.items() if user != user_id})
        return replace(self, told=told, seen=seen, known=known, consents=consents, **self._touched([user_id]))

    def _told_by(self, user: str, parts: Parts) -> Contents:
        told, seen, known, _ = parts
        same = self.told.updated({user: told}), self.seen.updated({user: seen}), self.known.updated({user: known})
        return *same, self.weights

    def consented(self, consents: Iterable[Consent]) -> Memory:
        """With what users allow from now on."""
        return replace(self, consents=self.consents.update({one.user_id: one for one in consents}))

    def calibrated(self, calibrations: Iterable[Calibration]) -> Memory:
        """The same told, where these are all calibrations there are: who was answered about is read anew."""
        rows = tuple(calibrations)
        weights = weights_of(rows)
        other = {one for one in {*weights, *self.weights} if weights.get(one, 1.0) != self.weights.get(one, 1.0)}
        users = [user for user, told in self.told.changed.items() if any(one.source in other for one in told)]
        users += [] if self.past is None else self.past.users_of(other)
        return replace(self, calibrations=rows, weights=weights, **(self._touched(users) if other else {}))

    def consent(self, user_id: str) -> Consent | None:
        """What a user allows; None where they were not asked."""
        user_id = normalise_id(user_id, USER)
        past = None if self.past is None else self.past.beside(user_id).consent
        return self.consents.get(user_id, past)

    def retracted(self, rows: Iterable[Record]) -> Memory:
        """As if what these rows of a log take back had never been there, told before or later."""
        told, seen, known, undone = self.told, self.seen, self.known, self.undone.mutate()
        for row in (rows := [row for row in rows if row.user_id]):
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
        given = check_attributes(self.fitted, several(attributes, Attribute))
        return self._with(given, known=self._added(self.known, given))


def _without(kept: Kept[T], user_id: str, key: str) -> Kept[T]:
    """Without what a user told under a key; the same map where there is no such thing."""
    before = kept.get(user_id, ())
    left = tuple(one for one in before if one.key != key)
    return kept if len(left) == len(before) else kept.updated({user_id: left})
