"""One model folder in service: its recommender, its keys, its two lanes, and what is kept of its answers."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic_core import to_json

from palate.acquisition import DEFAULT
from palate.entities import Answer
from palate.errors import ConsentError, OlderLog, PalateError
from palate.learner import Learner
from palate.model.model import Model
from palate.recommender import Recommender
from palate.recommender.calls import NOBODY
from palate.recommender.privacy import allows
from palate.recommender.refitting import Refits
from palate.records import Event, Record
from palate.service.kept import KeptAnswers
from palate.service.keys import KeyRing
from palate.service.lanes import Kept, LabelLane, ScoreLane
from palate.service.metrics import Metrics
from palate.service.question_ids import question_id
from palate.service.settings import Settings

STRANGER = "\0"  # no user's id
LOOK_SECONDS = 0.25  # between two looks at what other processes have told
WHY = {"OlderLog": "a migration is pending", "StoreFull": "the disk is full", "StoreBusy": "the write lock is held"}
SLOW_SECONDS = 2.0  # that a label waits, from which on the service is not ready for labels


class Now(NamedTuple):
    """A learner, and the last row of the log that it has seen: read together."""

    learner: Learner
    seq: int
    version: str  # of the model


class Tenant:
    """What belongs to one group of users and to no other: every read and every write goes through it.

    Args:
        name: In the service.
        folder: Of the model.
    """

    def __init__(
        self, name: str, folder: Path, recommender: Recommender, ring: KeyRing, settings: Settings, metrics: Metrics
    ) -> None:
        self.name, self.folder, self.recommender, self.ring, self.settings = name, folder, recommender, ring, settings
        self.metrics = metrics
        self.now = Now(recommender.learner, recommender.last_seq, recommender.versions()[0].id)
        self.kept = KeptAnswers(most_bytes=settings.kept_bytes, seconds=settings.fresh_seconds)
        self.labels = LabelLane(room=settings.waiting_labels, last=lambda: self.recommender.last_seq, after=self._after)
        self.scores = ScoreLane(threads=settings.threads, room=settings.waiting_scores, seconds=settings.wait_seconds)
        self.changes = ScoreLane(threads=1, room=16, seconds=60.0)  # exports, erasures, items, models
        self.scoring_fault = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._working: dict[Hashable, asyncio.Future[bytes]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._refits: Refits | None = None

    @property
    def learner(self) -> Learner:
        """As of the last commit that this process knows of."""
        return self.now.learner

    @property
    def seq(self) -> int:
        """The last row that the learner has seen."""
        return self.now.seq

    @property
    def fitted(self) -> Model:
        """The model as the fit left it; what its items have learnt since is worked out by reads, never by writes."""
        return self.now.learner.memory.fitted

    # ---- life ----

    def start(self) -> None:
        """On the event loop that serves."""
        self._loop = asyncio.get_running_loop()
        self.kept.clear(self.seq)
        self._looking = self._loop.create_task(self._look())
        seconds, rows = self.settings.refit_seconds, self.settings.refit_rows
        if seconds is not None or rows is not None:
            self._refits = self.recommender.refit_regularly(every_seconds=seconds, after_labels=rows)

    async def stop(self) -> None:
        """Keep what waits, and let the folder go."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._refits is not None:
            self._refits.stop(now=True)
        self.labels.close()
        self.scores.close()
        self.changes.close()
        self.recommender.close()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._count_refits()
            if not self.labels.waiting:
                self.labels.soon(self._catch_up)

    def _count_refits(self) -> None:
        while self._refits is not None and self._refits.done:
            found = self._refits.done.pop(0)
            outcome = "failed" if isinstance(found, PalateError) else "worse" if found.faults else "promoted"
            self.metrics.refits.labels(outcome).inc()

    def _catch_up(self) -> None:
        """What other processes told. In the labels' thread."""
        try:
            self._read()
            self.scoring_fault = ""
        except PalateError as error:
            self.scoring_fault = type(error).__name__
            if isinstance(error, OlderLog):
                self.labels.fault = type(error).__name__
        if self.labels.fault:  # nobody may send a label to a service that is not ready for them
            with suppress(PalateError):
                self.recommender.check_writable()
                self.labels.fault = ""

    def _read(self) -> None:
        before = self.now
        self._move()
        if self.seq != before.seq or self.fitted is not before.learner.memory.fitted:
            seq = self.seq
            self._on_loop(lambda: self.kept.clear(seq))

    def _move(self) -> None:
        """To the learner as it is now."""
        before, learner = self.now, self.recommender.learner
        is_same = learner.memory.fitted is before.learner.memory.fitted
        version = before.version if is_same else self.recommender.versions()[0].id
        self.now = Now(learner, self.recommender.last_seq, version)

    def _after(self, records: list[Record]) -> None:
        """These are on the disk; what is read from now on has seen them."""
        before, fitted = self.seq, self.fitted
        self._move()
        seq = self.seq
        ours = {record.seq for record in records if record.seq > before}
        if len(ours) == seq - before and self.fitted is fitted:
            users = {record.user_id for record in records}
            self._on_loop(lambda: self.kept.moved(users, seq))
        else:  # rows of other processes, or another model, came between
            self._on_loop(lambda: self.kept.clear(seq))

    def _on_loop(self, work: Callable[[], None]) -> None:
        if self._loop is None or self._loop.is_closed():
            work()
        else:
            self._loop.call_soon_threadsafe(work)

    # ---- writes ----

    async def tell(self, answers: Sequence[Answer]) -> list[Kept]:
        """Keep answers, all or none; returns once they are synced."""
        return self._counted("label", await self.labels.keep(self.recommender.tell, answers))

    async def see(self, events: Sequence[Event]) -> list[Kept]:
        """Keep events, all or none."""
        return self._counted("event", await self.labels.keep(self.recommender.see, events))

    async def write(self, content: str, work: Callable[[], list[Record]]) -> list[Kept]:
        """Another write, in the labels' thread."""
        return self._counted(content, await self.labels.keep(lambda _none: work(), [None]))

    def _counted(self, content: str, rows: list[Kept]) -> list[Kept]:
        new = sum(not row.repeated for row in rows)
        self.metrics.rows.labels(content, "no").inc(new)
        self.metrics.rows.labels(content, "yes").inc(len(rows) - new)
        return rows

    # ---- reads ----

    async def answer(self, user_id: str, call: Hashable, work: Callable[[Now], bytes], *, alike: bool = False) -> bytes:
        """What a read gives: as kept, or worked out once however many ask at the same time.

        Args:
            alike: Whether all get the same of whom nothing is known, so that it is worked out once for all of them.
        """
        of = STRANGER if alike and not self.learner.knows(user_id) else user_id
        return b'{"user_id":' + to_json(user_id) + b"," + await self._answer(of, call, work)

    async def _answer(self, user_id: str, call: Hashable, work: Callable[[Now], bytes]) -> bytes:
        found = self.kept.get(user_id, call)
        if found is not None:
            self.metrics.kept.inc()
            return found
        now = self.now
        at = (user_id, call, now.seq)
        working = self._working.get(at)
        if working is None:
            working = asyncio.ensure_future(self.scores.run(lambda: work(now)))
            self._working[at] = working
            working.add_done_callback(lambda _done: self._working.pop(at, None))
        body = await asyncio.shield(working)
        self.kept.put(user_id, call, body, now.seq)
        return body

    def list_of(self, user_id: str, k: int, exclude: tuple[str, ...], category: str | None) -> Callable[[Now], bytes]:
        """Works out a list."""

        def work(now: Now) -> bytes:
            learner = now.learner
            named = user_id if allows(learner.memory.consent(user_id), "serve") else NOBODY
            shown = learner.recommend(named, k, exclude=exclude, category=category)
            finite = [
                one
                for one in shown
                if math.isfinite(one.score) and math.isfinite(one.std) and math.isfinite(one.chance)
            ]
            self.metrics.not_finite.inc(len(shown) - len(finite))
            items = [
                {"item_id": one.item_id, "title": one.title, "score": one.score, "std": one.std}
                | {"chance": one.chance, "reason": one.reason}
                for one in finite
            ]
            return _tail({"model": now.version, "seq": now.seq, "items": items})

        return work

    def questions_for(
        self, user_id: str, k: int, forms: tuple[str, ...], strategy: str | None
    ) -> Callable[[Now], bytes]:
        """Works out questions."""

        def work(now: Now) -> bytes:
            learner = now.learner
            if not allows(learner.memory.consent(user_id), "ask"):
                raise ConsentError("a user who does not allow it is not asked. Record a new consent.")
            asked = learner.ask(user_id, k=k, forms=forms, strategy=strategy or DEFAULT)
            finite = [one for one in asked if math.isfinite(one.value)]
            self.metrics.not_finite.inc(len(asked) - len(finite))
            questions = [
                {
                    "question_id": question_id(self.ring, one, now.version),
                    "form": one.form.value,
                    "item_id": one.item_id,
                }
                | {"others": one.others, "title": one.title, "text": one.text, "value": one.value}
                | {"why": one.why, "propensity": one.propensity}
                for one in finite
            ]
            return _tail({"model": now.version, "seq": now.seq, "questions": questions})

        return work

    async def changed(self) -> None:
        """The model, its items or its people are others now: what was kept no longer counts."""

        def look() -> list[Record]:
            self._read()
            return []

        await self.labels.keep(lambda _none: look(), [None])

    # ---- is it well ----

    def not_ready(self, purpose: str | None) -> list[str]:
        """Why it is not ready for labels, for scoring or for either; empty if it is."""
        reasons = []
        if purpose != "scoring":
            reasons += self._not_ready_for_labels()
        if purpose != "labels" and self.scoring_fault:
            reasons.append(f"scoring: {WHY.get(self.scoring_fault, self.scoring_fault)}")
        return reasons

    def _not_ready_for_labels(self) -> list[str]:
        reasons = []
        if self.labels.fault:
            reasons.append(f"labels: {WHY.get(self.labels.fault, self.labels.fault)}")
        if self.labels.waited > SLOW_SECONDS:
            reasons.append("labels: the write lock is held")
        try:
            if shutil.disk_usage(self.folder).free < self.settings.free_bytes:
                reasons.append("labels: the disk is nearly full")
            if not os.access(self.folder, os.W_OK | os.X_OK):
                reasons.append("labels: the folder is read-only")
        except OSError:
            reasons.append("labels: the folder is gone")
        return reasons


def _tail(document: dict[str, object]) -> bytes:
    """An object's JSON without its first brace."""
    return to_json(document)[1:]
