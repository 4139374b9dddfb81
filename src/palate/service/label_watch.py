"""Looks at the quality of campaigns' labels, and revises what sources count. No label waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from palate.campaign.campaign import CLOSED
from palate.campaign.campaigns import Campaigns
from palate.campaign.quality import Quality, quality, revisions
from palate.errors import PalateError
from palate.loop.checkpoint import calibrations_in
from palate.recommender import Recommender
from palate.records import Calibration, Record
from palate.service.faults import HTTPFault
from palate.service.metrics import Metrics
from palate.store.sql_log import SqlLog

LONGEST_SHARE = 20.0  # times as long as a look takes is waited for the next one
_COUNTS = """SELECT c.id, count(*) FROM campaigns c JOIN leases l ON l.campaign = c.id
    WHERE c.state <> {0} AND l.state = 'answered' GROUP BY c.id"""


class LabelWatch:
    """Of one tenant. Several services on one database find the same, and write the same rows once.

    Args:
        write: Keeps rows of a kind in the log, in the labels' thread.
        seconds: Between two looks, at least.
        say, alert: Write a line to the service's log, of what happened and of what somebody should look at.
    """

    def __init__(
        self,
        recommender: Recommender,
        write: Callable[[str, Callable[[], list[Record]]], Awaitable[list[Record]]],
        metrics: Metrics,
        seconds: float,
        *,
        say: Callable[..., None],
        alert: Callable[..., None],
    ) -> None:
        self._recommender, self._write, self._metrics = recommender, write, metrics
        self._seconds, self._say, self._alert = seconds, say, alert
        self._seen: dict[str, int] = {}  # labels of each campaign when it was looked at last
        self._drift: dict[str, int] = {}  # the last label at which a change of rates was said

    async def run(self) -> None:
        """Look again and again, until it is cancelled."""
        took = 0.0
        while True:
            await asyncio.sleep(max(self._seconds, LONGEST_SHARE * took))
            began = time.monotonic()
            with suppress(PalateError, HTTPFault):  # the next look finds it again
                await self._look()
            took = time.monotonic() - began

    async def _look(self) -> None:
        for id, n in (await asyncio.to_thread(self._counts)).items():
            if self._seen.get(id) != n:
                found, rows = await asyncio.to_thread(self._judge, id)
                for row in rows:
                    await self._revise(row, next(one.flags for one in found.annotators if one.source == row.source))
                self._tell_drift(id, found)
                self._seen[id] = n

    def _counts(self) -> dict[str, int]:
        """Labels of each campaign that is not closed."""
        log = self._recommender.log
        if not isinstance(log, SqlLog):
            return {}
        rows = log.select(_COUNTS, (CLOSED,))
        return {id: int(n) for id, n in rows}

    def _judge(self, id: str) -> tuple[Quality, list[Calibration]]:
        campaigns, log, scale = Campaigns(self._recommender), self._recommender.log, self._recommender.fitted.scale
        found = quality(campaigns, id, (scale.low, scale.high))
        return found, revisions(campaigns.get(id), found.annotators, calibrations_in(log, log.last_seq))

    async def _revise(self, row: Calibration, flags: Sequence[str]) -> None:
        def calibrate() -> list[Record]:
            given = {"subject": row.subject, "key": row.key}
            return [self._recommender.calibrate(row.source, row.reliability, at=time.time(), **given)]

        (kept,) = await self._write("calibration", calibrate)
        if not kept.is_repeat:
            for flag in flags:
                self._metrics.flagged.labels(flag).inc()
            tell = self._alert if flags else self._say
            tell("source calibrated", weight=row.reliability, flags=list(flags))

    def _tell_drift(self, id: str, found: Quality) -> None:
        last = max((one.place for one in found.drift), default=-1)
        if last > self._drift.get(id, -1):
            self._drift[id] = last
            self._metrics.label_drift.inc()
            self._alert("label rates drift", changes=len(found.drift))
