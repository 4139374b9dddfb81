"""Questions to annotators: those who ask at the same time are answered together, in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from numpy.random import default_rng

from palate.campaign import Campaigns, Given
from palate.campaign.giving import Want
from palate.service.faults import busy
from palate.service.lanes import ScoreLane

AT_ONCE = 64  # annotators
_Waiting = tuple[str, Want, asyncio.Future[Given]]


class Asking:
    """One lane for all campaigns of a tenant.

    Args:
        lane: Of one thread.
        room: Annotators who may wait.
    """

    def __init__(self, campaigns: Campaigns, lane: ScoreLane, room: int) -> None:
        self._campaigns, self._lane, self._room, self._rng = campaigns, lane, room, default_rng()
        self._waiting: list[_Waiting] = []
        self._working: asyncio.Task[None] | None = None

    async def next(self, campaign: str, source: str, k: int, held: tuple[str, ...]) -> Given:
        """What the annotator is to answer.

        Raises:
            HTTPFault: If too many wait.
            PalateError: As :meth:`palate.campaign.Campaigns.next` does.
        """
        if len(self._waiting) >= self._room:
            raise busy("annotators")
        future: asyncio.Future[Given] = asyncio.get_running_loop().create_future()
        self._waiting.append((campaign, Want(source, k, held), future))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._waiting:
            campaign = self._waiting[0][0]
            some = [one for one in self._waiting if one[0] == campaign][:AT_ONCE]
            self._waiting = [one for one in self._waiting if one not in some]
            try:
                found = await self._lane.run(partial(self._give, campaign, some))
            except BaseException as error:
                _tell_fault(some, error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, _, future), given in zip(some, found, strict=True):
                if not future.done():
                    future.set_result(given)

    def _give(self, campaign: str, some: Sequence[_Waiting]) -> list[Given]:
        return self._campaigns.next_all(campaign, [want for _, want, _ in some], rng=self._rng)


def _tell_fault(waiting: Sequence[_Waiting], error: BaseException) -> None:
    for _, _, future in waiting:
        if not future.done():
            future.set_exception(error if isinstance(error, Exception) else busy("annotators"))
