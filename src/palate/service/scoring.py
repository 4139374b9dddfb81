"""Lists, questions and profiles: what a scoring process works out, or a thread where there is none.

What a user told is in the next answer. What others taught the items is at most some time behind: to work that out anew
for each row that anybody sends would take longer than the list itself.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import NamedTuple

from numpy.random import default_rng
from pydantic_core import to_json

from palate.acquisition import DEFAULT
from palate.errors import ConsentError, PalateError
from palate.learner import Learner
from palate.loop.learned import Learnt
from palate.loop.lists import Recommendation
from palate.model.model import Model
from palate.recommender import Recommender
from palate.recommender.calls import NOBODY
from palate.recommender.live import Snapshot
from palate.recommender.privacy import allows
from palate.recommender.slates import drawn
from palate.records import Slate
from palate.service.keys import KeyRing
from palate.service.question_ids import question_id

MOST_STRANGERS = 1_000  # lists for those of whom nothing is known


class Call(NamedTuple):
    """What is to be worked out.

    Attributes:
        what: ``list``, ``questions`` or ``profile``.
        k: How many.
        names: Items that a list leaves out, or forms of questions.
        word: Category of a list, or strategy of questions.
        language: Of the reasons in a list.
    """

    what: str
    user_id: str
    k: int = 0
    names: tuple[str, ...] = ()
    word: str | None = None
    language: str = "en"


class Scored(NamedTuple):
    """What was worked out.

    Attributes:
        body: An object's JSON without its first brace, to which the user's id comes.
        seq: Row of the log up to which the items have learnt; what the user told later is in it, too.
        dropped: Items left out for a number that is not finite.
        aside: Rows that the model could not take, not told before, as key and reason.
        slate: What is to be kept before it is shown.
    """

    body: bytes
    seq: int
    dropped: int = 0
    aside: tuple[tuple[str, str], ...] = ()
    slate: Slate | None = None


class _Items(NamedTuple):
    """What the items of a model had learnt, and lists for those of whom nothing is known.

    Attributes:
        seq: From the rows of the log up to this one.
        at: By the monotonic clock.
    """

    model: Model
    learnt: Learnt
    seq: int
    at: float
    strangers: dict[Call, Scored]


class Scoring:
    """Works calls out, one after another or in several threads.

    Args:
        fresh_seconds: That what others taught the items may be behind.

    Attributes:
        fault: Why the log or the model cannot be read now, while the last ones serve; empty if they can.
    """

    def __init__(self, recommender: Recommender, ring: KeyRing, fresh_seconds: float) -> None:
        self._recommender, self._ring, self._fresh_seconds = recommender, ring, fresh_seconds
        self.fault = ""
        self._now = recommender.snapshot()
        self._items: _Items | None = None
        self._is_wanted = False

    def answer(self, call: Call) -> Scored:
        """What there is to say.

        Raises:
            PalateError: As the learner does.
        """
        now, learner, items = self._as_it_is()
        found = self._answer(call, learner, now, items.strangers)
        return found._replace(seq=items.seq, aside=_aside(learner))

    def _answer(self, call: Call, learner: Learner, now: Snapshot, strangers: dict[Call, Scored]) -> Scored:
        if call.what != "list" or learner.knows(call.user_id):
            return _WORK[call.what](call, learner, now, self._ring)
        every = call._replace(user_id=NOBODY)
        found = strangers.get(every)
        if found is None:
            found = _list(every, learner, now, self._ring)
            if len(strangers) < MOST_STRANGERS:
                strangers[every] = found
        return found

    def draw(self, call: Call, explore: float) -> Scored:
        """A list that is drawn at a temperature, and what is to be kept of it before it is shown."""
        now, learner, _ = self._as_it_is()
        found = drawn(
            learner,
            call.user_id,
            call.k,
            explore=explore,
            exclude=call.names,
            category=call.word,
            language=call.language,
            model=now.version,
            rng=default_rng(),
        )
        items = _said(found.items)
        body = {"model": now.version, "seq": now.seq, "slate": found.id, "items": items}
        return _scored(body, now, len(found.items) - len(items))._replace(slate=found.slate, aside=_aside(learner))

    def _as_it_is(self) -> tuple[Snapshot, Learner, _Items]:
        """The log as it is, and a learner whose items are fresh enough."""
        now = self._read()
        items, self._is_wanted = self._items, True
        if items is None or items.model is not now.learner.memory.fitted or self._age(items) > self._fresh_seconds:
            items = self._learn(now)
        return now, Learner(now.learner.memory.with_items_of(items.learnt), now.learner.seed), items

    def refresh(self) -> None:
        """Work out what the items have learnt while nobody waits for it; of use only if somebody will call."""
        items = self._items
        if self._is_wanted and (items is None or self._age(items) > self._fresh_seconds):
            self._is_wanted = False
            self._learn(self._read())

    def _read(self) -> Snapshot:
        try:
            self._now, self.fault = self._recommender.snapshot(), ""
        except PalateError as error:
            self.fault = type(error).__name__
        return self._now

    def _learn(self, now: Snapshot) -> _Items:
        at, memory, before = time.monotonic(), now.learner.memory, self._items
        learnt = memory.learnt
        strangers = before.strangers if before is not None and before.learnt is learnt else {}
        self._items = items = _Items(memory.fitted, learnt, now.seq, at, strangers)
        return items

    def _age(self, items: _Items) -> float:
        return time.monotonic() - items.at


def _list(call: Call, learner: Learner, now: Snapshot, _ring: KeyRing) -> Scored:
    named = call.user_id if allows(learner.memory.consent(call.user_id), "serve") else NOBODY
    shown = learner.recommend(named, call.k, exclude=call.names, category=call.word, language=call.language)
    items = _said(shown)
    return _scored({"model": now.version, "seq": now.seq, "items": items}, now, len(shown) - len(items))


def _said(shown: list[Recommendation]) -> list[dict[str, object]]:
    finite = [one for one in shown if math.isfinite(one.score + one.std + one.chance)]
    return [
        {"item_id": one.item_id, "title": one.title, "score": one.score, "std": one.std}
        | {"chance": one.chance, "reason": one.reason}
        for one in finite
    ]


def _questions(call: Call, learner: Learner, now: Snapshot, ring: KeyRing) -> Scored:
    if not allows(learner.memory.consent(call.user_id), "ask"):
        raise ConsentError("a user who does not allow it is not asked. Record a new consent.")
    asked = learner.ask(call.user_id, k=call.k, forms=call.names, strategy=call.word or DEFAULT)
    finite = [one for one in asked if math.isfinite(one.value)]
    questions = [
        {"question_id": question_id(ring, one, now.version), "form": one.form.value, "item_id": one.item_id}
        | {"others": one.others, "title": one.title, "text": one.text, "value": one.value}
        | {"why": one.why, "propensity": one.propensity}
        for one in finite
    ]
    return _scored({"model": now.version, "seq": now.seq, "questions": questions}, now, len(asked) - len(finite))


def _profile(call: Call, learner: Learner, now: Snapshot, _ring: KeyRing) -> Scored:
    return _scored({"interests": [asdict(one) for one in learner.profile(call.user_id)]}, now, 0)


_WORK = {"list": _list, "questions": _questions, "profile": _profile}


def _aside(learner: Learner) -> tuple[tuple[str, str], ...]:
    return tuple((row.key, row.reason) for row in learner.memory.guard.unsaid())


def _scored(document: dict[str, object], now: Snapshot, dropped: int) -> Scored:
    return Scored(to_json(document)[1:], now.seq, dropped)
