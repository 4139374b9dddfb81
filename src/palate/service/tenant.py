"""One model folder in service: its recommender, its keys, its two lanes, and what is kept of its answers."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path

from pydantic_core import to_json

from palate.campaign import Campaigns, Submission
from palate.entities import Answer
from palate.errors import OlderLog, PalateError, StoreError
from palate.learner import Learner
from palate.model.model import Model
from palate.recommender import Recommender
from palate.recommender.refitting import Refits
from palate.recommender.trials import beside
from palate.records import Event, Record
from palate.service.asking import Asking
from palate.service.desk_watch import DeskWatch
from palate.service.following import Following
from palate.service.kept import KeptAnswers
from palate.service.keys import KeyRing
from palate.service.label_watch import LabelWatch
from palate.service.lanes import LabelLane, ScoreLane
from palate.service.metrics import Metrics
from palate.service.scorers import Scorers
from palate.service.scoring import Call, Scored, Scoring
from palate.service.settings import Settings
from palate.service.trial import Trial
from palate.service.webhooks import TOPIC, Webhooks
from palate.store.audit import AuditTrail
from palate.store.open_store import is_url
from palate.store.outbox import end_topic
from palate.store.sql_log import SqlLog

MOST_ASIDE = 10_000
LOOK_SECONDS = 0.25  # between two looks at what other processes have told
WHY = {"OlderLog": "a migration is pending", "StoreFull": "the disk is full", "StoreBusy": "the write lock is held"}
SLOW_SECONDS = 2.0  # that a label waits, from which on the service is not ready for labels
NEVER_SECONDS = 1e12  # between two refits, where none is asked for


class Tenant:
    """What belongs to one group of users and to no other: every read and every write goes through it.

    Args:
        name: In the service.
        folder: Of the model.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        recommender: Recommender,
        ring: KeyRing,
        settings: Settings,
        metrics: Metrics,
        *,
        say: Callable[..., None],
        alert: Callable[..., None],
        store: str = "",
    ) -> None:
        self.name, self.folder, self.recommender, self.ring, self.settings = name, folder, recommender, ring, settings
        self.metrics, self._say, self._alert = metrics, say, alert
        self.audit = AuditTrail(folder)
        self.aside: dict[str, str] = {}  # rows that the model could not take, by key: the reason
        self.kept = KeptAnswers(most_bytes=settings.kept_bytes, seconds=settings.fresh_seconds)
        self.labels = LabelLane(room=settings.waiting_labels, after=self._after)
        self.scoring: Scoring | Scorers = (
            Scorers(settings.scorers, self._given(store), say)
            if settings.scorers
            else Scoring(recommender, ring, settings.fresh_seconds)
        )
        threads = settings.scorers or settings.threads
        self.scores = ScoreLane(threads=threads, room=settings.waiting_scores, seconds=settings.wait_seconds)
        self.finds = ScoreLane(threads=1, room=settings.waiting_scores, seconds=settings.wait_seconds)  # titles
        self.asks = ScoreLane(threads=1, room=settings.waiting_scores, seconds=60.0)  # what annotators are given
        self.changes = ScoreLane(threads=1, room=16, seconds=60.0)  # exports, erasures, items, models
        self.following = Following(recommender, self._moved)
        self._is_shared = is_url(store)  # other services may write to the log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._working: dict[tuple[Call, int], asyncio.Future[Scored]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.desks = DeskWatch(recommender, partial(say, tenant=name), partial(alert, tenant=name))
        self._taking: asyncio.Task[None] | None = None
        self._refits: Refits | None = None
        self.trial: Trial | None = None
        self._webhooks: Webhooks | None = None

    @cached_property
    def drawing(self) -> Scoring:
        """Draws lists: each has to be in the log before it is shown, so it is drawn where the log is written.

        Made when one is drawn: to read the log to its end takes long where it is long.
        """
        if isinstance(self.scoring, Scoring):
            return self.scoring
        return Scoring(self.recommender, self.ring, self.settings.fresh_seconds)

    @cached_property
    def campaigns(self) -> Campaigns:
        """Labelling jobs. They value pairs here, as lists are drawn here, and read the log for it when one is begun."""
        return Campaigns(self.recommender)

    @cached_property
    def asking(self) -> Asking:
        """Who is given which pair."""
        return Asking(self.campaigns, self.asks, self.settings.waiting_labels)

    def _given(self, store: str) -> dict[str, object]:
        """What a scoring process is told at its start."""
        fresh = self.settings.fresh_seconds
        return {"folder": str(self.folder), "store": store, "tenant": self.name, "fresh_seconds": fresh}

    @property
    def learner(self) -> Learner:
        """With all that was told up to now; not for what labels wait for."""
        return self.recommender.learner

    @property
    def fitted(self) -> Model:
        """The model as the fit left it; what its items have learnt since is worked out by reads, never by writes."""
        return self.recommender.fitted

    @property
    def scoring_fault(self) -> str:
        """Why lists are not worked out, or not from what is in the folder now; empty if all is well."""
        return self.following.fault or self.scoring.fault

    @property
    def seq(self) -> int:
        """The last row of the log that is known here."""
        return self.following.seq

    # ---- life ----

    def start(self) -> None:
        """On the event loop that serves."""
        self._loop = asyncio.get_running_loop()
        self.kept.clear(self.seq)
        self._prepare()
        self._looking = self._loop.create_task(self._look())
        tell = {"say": partial(self._say, tenant=self.name), "alert": partial(self._alert, tenant=self.name)}
        watch = LabelWatch(self.recommender, self.write, self.metrics, self.settings.quality_seconds, **tell)
        self._watching = self._loop.create_task(watch.run())
        self._taking = self._loop.create_task(self.desks.run())
        self._start_webhooks()
        seconds, rows = self.settings.refit_seconds, self.settings.refit_rows
        if seconds is not None or rows is not None:
            self._refits = self.recommender.refit_regularly(every_seconds=seconds, after_labels=rows)

    def _start_webhooks(self) -> None:
        log = self.recommender.log
        if not isinstance(log, SqlLog):
            return
        if self.settings.webhook:
            told, secret = self.metrics.webhooks, self.ring.webhook_secret()
            self._webhooks = Webhooks(
                log,
                self.settings.webhook,
                secret,
                tenant=self.name,
                alert=self._alert,
                count=lambda outcome, n: told.labels(outcome).inc(n),
            )
        elif dropped := end_topic(log, TOPIC):
            self._alert("webhook ended", tenant=self.name, events=dropped)

    def _prepare(self) -> None:
        """What the first search of a model needs, which takes seconds of a large catalogue, in a thread of its own."""
        titles = self.fitted.titles
        threading.Thread(target=titles.search, args=("a", 1), name="palate-titles", daemon=True).start()

    async def stop(self) -> None:
        """Keep what waits, and let the folder go."""
        for task in (self._looking, self._watching, self._taking):
            if task is not None:
                task.cancel()
        if self.trial is not None:
            self.trial.end("the service stopped")
            await self.trial.closed()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._refits is not None:
            self._refits.stop(now=True)
        self.labels.close()
        if self._webhooks is not None:
            self._webhooks.close()
        if isinstance(self.scoring, Scorers):
            self.scoring.stop()  # before the lane, which waits for it
        for lane in (self.scores, self.finds, self.asks, self.changes):
            lane.close()
        if isinstance(self.scoring, Scorers):
            self.scoring.close()
        self.recommender.close()

    def refit_soon(self) -> None:
        """Refit in the background, besides what is due."""
        if self._refits is None:
            self._refits = self.recommender.refit_regularly(every_seconds=NEVER_SECONDS)
        self._refits.soon()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._count_refits()
            if not self.labels.waiting:
                self.labels.soon(self._look_at_log)
            with suppress(PalateError):  # who asks for a list is told
                await asyncio.to_thread(self.scoring.refresh)

    def _count_refits(self) -> None:
        while self._refits is not None and self._refits.done:
            found = self._refits.done.pop(0)
            outcome = "failed" if isinstance(found, PalateError) else "worse" if found.faults else "promoted"
            self.metrics.refits.labels(outcome).inc()
            if outcome == "promoted":
                self.keep_action("the service", "refit promoted", is_read=True)  # it serves already

    def keep_action(self, who: str, what: str, about: str = "", *, is_read: bool = False) -> None:
        """Keep who does what.

        Args:
            is_read: Whether it goes on all the same where the disk is full; the service's log says so then.
        Raises:
            StoreError: If it cannot be kept, and changes something.
        """
        try:
            self.audit.add(who, what, about)
        except StoreError as error:
            if not is_read:
                raise
            self._alert("action not kept", tenant=self.name, kind=type(error).__name__)

    def _look_at_log(self) -> None:
        """What other processes told, or whether the model is another. In the labels' thread."""
        try:
            is_other = self.following.look()
        except PalateError as error:
            if isinstance(error, OlderLog):
                self.labels.fault = type(error).__name__
            return
        if self.labels.fault:  # nobody may send a label to a service that is not ready for them
            with suppress(PalateError):
                self.recommender.log.check_writable()
                self.labels.fault = ""
        if is_other:
            with suppress(PalateError):  # who searches is told
                self._prepare()

    def _after(self, records: list[Record]) -> None:
        """These are on the disk; what is read from now on has seen them."""
        try:
            self.following.wrote(records)
        except PalateError:  # rows of others came between; nobody knows about whom
            self._moved(None, max(record.seq for record in records))

    def _moved(self, users: set[str] | None, seq: int) -> None:
        """The log has new rows, of these users or of anybody, or the model is another."""
        self._on_loop(lambda: self.kept.clear(seq) if users is None else self.kept.moved(users, seq))

    def _on_loop(self, work: Callable[[], None]) -> None:
        if self._loop is None or self._loop.is_closed():
            work()
        else:
            self._loop.call_soon_threadsafe(work)

    # ---- writes ----

    async def tell(self, answers: Sequence[Answer]) -> list[Record]:
        """Keep answers, all or none; returns once they are synced."""
        return self._counted("label", await self.labels.keep(self.recommender.tell, answers))

    async def submit(self, labels: Sequence[Submission]) -> list[Record]:
        """Keep annotators' labels with their leases, all or none."""
        return self._counted("label", await self.labels.keep(self.campaigns.submit, labels))

    async def see(self, events: Sequence[Event]) -> list[Record]:
        """Keep events, all or none."""
        return self._counted("event", await self.labels.keep(self.recommender.see, events))

    async def write(self, content: str, work: Callable[[], list[Record]]) -> list[Record]:
        """Another write, in the labels' thread."""
        return self._counted(content, await self.labels.keep(lambda _none: work(), [None]))

    def _counted(self, content: str, rows: list[Record]) -> list[Record]:
        new = sum(not row.is_repeat for row in rows)
        self.metrics.rows.labels(content, "no").inc(new)
        self.metrics.rows.labels(content, "yes").inc(len(rows) - new)
        return rows

    # ---- reads ----

    async def answer(self, call: Call) -> bytes:
        """What a read gives: as kept, or worked out once however many ask at the same time.

        A few users may get it from another version of the model first (:class:`Trial`).
        """
        head, trial = b'{"user_id":' + to_json(call.user_id) + b",", self.trial
        if self._is_shared:  # what was kept here may be older than what the user told another process
            await self.following.look_now()
        tried = await trial.answer(call) if trial is not None else None
        if tried is not None:
            return head + tried
        body = self.kept.get(call.user_id, call)
        if body is not None:
            self.metrics.kept.inc()
        else:
            body = await self._worked_out(call)
        if trial is not None:
            trial.compare(call, body)
        return head + body

    async def start_trial(self, version: str, share: float) -> Trial:
        """Ask another version the same, and let a share of the users see what it says. One at a time."""
        if self.trial is not None:
            self.trial.end("another trial began")
        found = await self.changes.run(lambda: beside(self.recommender, version))
        self.trial = Trial(version, found, self.recommender, share, self.ring, self.settings, self._say)
        self.trial.start()
        return self.trial

    async def _worked_out(self, call: Call) -> bytes:
        at = call, self.seq
        working = self._working.get(at)
        if working is None:
            working = asyncio.ensure_future(self.scores.run(lambda: self.scoring.answer(call)))
            self._working[at] = working
            working.add_done_callback(lambda _done: self._working.pop(at, None))
        found = await asyncio.shield(working)
        self.metrics.not_finite.inc(found.dropped)
        self.tell_of_rows_set_aside(found.aside)
        self.kept.put(call.user_id, call, found.body, found.seq)
        return found.body

    def tell_of_rows_set_aside(self, rows: Iterable[tuple[str, str]]) -> None:
        for key, reason in rows:
            if key not in self.aside and len(self.aside) < MOST_ASIDE:  # each scoring process finds it
                self.aside[key] = reason
                self.metrics.set_aside.inc()
                self._alert("row set aside", tenant=self.name, kind=reason.partition(":")[0])

    async def changed(self) -> None:
        """The model, its items or its people are others now: what was kept no longer counts."""

        def look() -> list[Record]:
            self._look_at_log()
            self._on_loop(lambda: self.kept.clear(self.seq))
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
