"""Takes what is answered at the desks of a model: soon after a hint, and in any case from time to time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from palate.errors import PalateError
from palate.recommender import Recommender
from palate.recommender.desk_folders import ACCESS_VARIABLE, desk_names, take_from

POLL_SECONDS = 60.0  # without a hint: one may be lost
SETTLE_SECONDS = 0.2  # after one: more may follow


class DeskWatch:
    """Runs until it is cancelled. Without a token in the environment nothing is taken.

    Args:
        say, alert: Write a line of the service's log.
    """

    def __init__(self, recommender: Recommender, say: Callable[..., None], alert: Callable[..., None]) -> None:
        self._recommender, self._say, self._alert = recommender, say, alert
        self._token = os.environ.get(ACCESS_VARIABLE, "")
        self._hinted = asyncio.Event()

    def hint(self) -> None:
        """Something may be there. On the event loop."""
        self._hinted.set()

    async def run(self) -> None:
        while self._token:
            try:
                await asyncio.wait_for(self._hinted.wait(), POLL_SECONDS)
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                pass
            self._hinted.clear()
            for name in desk_names(self._recommender.folder):
                await self._take(name)

    async def _take(self, name: str) -> None:
        try:
            kept, left_out = await asyncio.to_thread(take_from, self._recommender, name, self._token)
        except PalateError as error:
            self._alert("desk not taken", desk=name, kind=type(error).__name__)
            return
        new = sum(not row.is_repeat for row in kept.told)
        if new or kept.taken_back or left_out:
            self._say("desk taken", desk=name, told=new, taken_back=len(kept.taken_back), left_out=len(left_out))
