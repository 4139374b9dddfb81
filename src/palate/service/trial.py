"""Another version of the model beside the one that serves: in the shadow, or for a share of the users.

It works in a thread of its own. Whatever goes wrong there, a user gets what the model that serves says. Both are judged
on what all users rate meanwhile; a version that does worse is ended, and so is one that fails three times. Then every
user is served as before. A trial is not kept: after a start of the service there is none.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from pydantic_core import from_json

from palate.errors import InputError
from palate.recommender import Recommender
from palate.recommender.trials import judged
from palate.recommender.versions import TOLERANCE
from palate.service.faults import HTTPFault
from palate.service.keys import KeyRing
from palate.service.lanes import ScoreLane
from palate.service.scoring import Call, Scored, Scoring
from palate.service.settings import Settings

MOST_FAULTS = 3
LEAST_LABELS = 20  # on which a version may be ended for doing worse
DEVIATIONS = 3.0  # of the mean difference, by which it must be worse: it is looked at again and again
LATE_SECONDS = 1.0  # after which a user no longer waits for it
JUDGE_SECONDS = 0.5  # between two looks at what users have said
ROOM = 8  # calls that may wait in it; a shadow misses the others


class Trial:
    """One version on trial. Its methods belong to the event loop.

    Args:
        beside: A recommender on the version; closed with the trial.
        share: Of the users who see it, in [0, 1]; 0 for a shadow, which is asked what users ask and shown to nobody.

    Attributes:
        reason: Why it was ended; empty while it runs.
        shown: Answers that users got from it.
        compared: Lists and questions that it was asked in the shadow.
        labels: Ratings on which it was judged.
    """

    def __init__(
        self,
        version: str,
        beside: Recommender,
        live: Recommender,
        share: float,
        ring: KeyRing,
        settings: Settings,
        say: Callable[..., None],
    ) -> None:
        self.version, self.share, self.reason = version, share, ""
        self.shown = self.compared = self.faults = self.labels = 0
        self._alike = 0.0
        self._beside, self._live, self._say = beside, live, say
        self._scoring = Scoring(beside, ring, settings.fresh_seconds)
        self._lane = ScoreLane(threads=1, room=ROOM, seconds=LATE_SECONDS)
        self._sums = np.zeros(4)  # of the errors of both, of their differences and those squared
        self._seq = beside.last_seq
        self._tasks = set[asyncio.Task[None]]()
        self._closing: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Judge it from now on."""
        self._keep(self._judge_again())

    def end(self, reason: str) -> None:
        """Show it to nobody any more."""
        if self.reason:
            return
        self.reason = reason
        for task in self._tasks:
            task.cancel()
        self._say("trial ended", version=self.version, reason=reason)
        self._closing = asyncio.get_running_loop().run_in_executor(None, self._close)

    async def closed(self) -> None:
        """Until it has let the log go; after its end."""
        if self._closing is not None:
            await self._closing

    def _close(self) -> None:
        self._lane.close()
        self._beside.close()

    def facts(self) -> dict[str, Any]:
        """What is known of it, for whoever decides."""
        error, live_error = (float(total / self.labels) if self.labels else None for total in self._sums[:2])
        return {
            "version": self.version,
            "share": self.share,
            "is_running": not self.reason,
            "reason": self.reason,
            "shown": self.shown,
            "compared": self.compared,
            "alike": self._alike / self.compared if self.compared else None,
            "faults": self.faults,
            "labels": self.labels,
            "error": error,
            "live_error": live_error,
        }

    async def answer(self, call: Call) -> bytes | None:
        """What a user of the trial gets; None where the model that serves is to answer."""
        if self.reason or call.what == "profile" or self._place(call.user_id) >= self.share:
            return None
        found = await self._scored(call)
        if found is None or self.reason:
            return None
        self.shown += 1
        return found.body

    def compare(self, call: Call, body: bytes) -> None:
        """Ask a shadow what a user was told just now, while nobody waits for it.

        Args:
            body: What the model that serves said, without its first brace.
        """
        if not self.reason and not self.share and call.what != "profile" and len(self._tasks) <= ROOM:
            self._keep(self._compared(call, body))

    def _place(self, user_id: str) -> float:
        """Of a user in [0, 1), always the same for one version."""
        digest = hashlib.sha256(f"{self.version}\0{user_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2.0**64

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _scored(self, call: Call) -> Scored | None:
        try:
            found = await asyncio.wait_for(self._lane.run(lambda: self._scoring.answer(call)), LATE_SECONDS)
        except (HTTPFault, InputError):  # it is busy; or the call is wrong, which the model that serves will say
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, no user is to see it
            self._failed(type(error).__name__)
            return None
        if found.dropped:
            self._failed("a number that is not finite")
            return None
        return found

    def _failed(self, what: str) -> None:
        self.faults += 1
        if self.faults >= MOST_FAULTS:
            self.end(f"it failed {self.faults} times, the last time with {what}")

    async def _compared(self, call: Call, body: bytes) -> None:
        found = await self._scored(call)
        if found is None:
            return
        ours, theirs = (_items(one) for one in (found.body, body))
        self.compared += 1
        self._alike += len(ours & theirs) / max(1, len(theirs))

    async def _judge_again(self) -> None:
        while not self.reason:
            await asyncio.sleep(JUDGE_SECONDS)
            with suppress(HTTPFault):  # it is busy
                await self._judge()

    async def _judge(self) -> None:
        try:
            found = await self._lane.run(lambda: judged(self._live, self._beside, self._seq))
        except HTTPFault:
            raise
        except Exception as error:  # noqa: BLE001 - such as that its folder is gone
            return self._failed(type(error).__name__)
        self._seq = found.seq
        apart = found.errors - found.live_errors
        self.labels += len(apart)
        self._sums += [part.sum() for part in (found.errors, found.live_errors, apart, apart**2)]
        if self.labels >= LEAST_LABELS and not self._is_as_good():
            ours, theirs = self._sums[:2] / self.labels
            its = f"its mean error on {self.labels} labels is {ours:.4g}"
            self.end(f"{its}, that of the one that serves {theirs:.4g}")

    def _is_as_good(self) -> bool:
        _, live_error, mean, square = self._sums / self.labels
        deviation = math.sqrt(max(0.0, square - mean**2) / self.labels)
        return bool(mean - DEVIATIONS * deviation <= TOLERANCE * live_error)  # false for NaN too


def _items(body: bytes) -> set[str]:
    document = from_json(b"{" + body)
    return {one["item_id"] for one in document.get("items", document.get("questions", ()))}
