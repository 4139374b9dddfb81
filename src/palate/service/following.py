"""How far the log is, and of whom its new rows are: this service writes some of them, other processes the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from itertools import islice

from palate.errors import PalateError
from palate.recommender import Recommender
from palate.records import Record

MOST_ROWS = 1_000  # that are looked at one by one
WAIT_SECONDS = 2.0  # for a database that does not answer; lists are then those of the rows known before


class Following:
    """Knows the model and the last row of a log. Safe to share between threads, but for :meth:`look_now`.

    Args:
        moved: Called in any thread with the users of new rows, or None if they may be about anybody, and the last row.

    Attributes:
        model: Changes with the model.
        seq: The last row that is known.
        fault: Why the log could not be read; empty if it could.
    """

    def __init__(self, recommender: Recommender, moved: Callable[[set[str] | None, int], None]) -> None:
        self._recommender, self._moved = recommender, moved
        self.model, self.seq = recommender.stamp()
        self.fault = ""
        self._turn = threading.Lock()
        self._next: asyncio.Task[None] | None = None  # a look that has not begun
        self._looking = asyncio.Lock()

    def look(self) -> bool:
        """What others told, or whether the model is another; which is returned.

        Raises:
            PalateError: If the log or the model cannot be read.
        """
        with self._turn:
            try:
                model, seq = self._recommender.stamp()
                is_other = model != self.model
                if is_other or seq > self.seq:
                    users = None if is_other else self._users_up_to(seq)
                    self.model = model
                    self._reached(users, seq)
            except PalateError as error:
                self.fault = type(error).__name__
                raise
            self.fault = ""
            return is_other

    async def look_now(self) -> None:
        """Every row that was on the disk when this was called is known when it returns. On the event loop.

        Calls that come while a look runs share the next one.
        """
        if self.fault:  # who asks for readiness is told; the looks that go on will end it
            return
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._look_next())
        _, waiting = await asyncio.wait({self._next}, timeout=WAIT_SECONDS)
        if waiting:
            self.fault = "the log does not answer"

    async def _look_next(self) -> None:
        async with self._looking:
            self._next = None
            try:
                await asyncio.to_thread(self.look)
            except PalateError:
                return  # it is in the fault

    def wrote(self, records: Iterable[Record]) -> None:
        """These are on the disk, written here.

        Raises:
            PalateError: If rows of others came between, and the log cannot be read.
        """
        with self._turn:
            ours = {record.seq: record.user_id for record in records if record.seq > self.seq}
            if ours:
                is_whole = len(ours) == max(ours) - self.seq
                users = set(ours.values()) if is_whole else self._users_up_to(max(ours))
                self._reached(users, max(ours))

    def _users_up_to(self, seq: int) -> set[str] | None:
        """Of the rows after the last that is known; None if they are many, or one of them is about everybody."""
        n = seq - self.seq
        if n > MOST_ROWS:
            return None
        rows = list(islice(self._recommender.log.records(self.seq), n))
        is_whole = len(rows) == n and rows[-1].seq == seq  # else one cannot be read, or was erased
        return {row.user_id for row in rows} if is_whole else None

    def _reached(self, users: set[str] | None, seq: int) -> None:
        self._moved(users if users and all(users) else None, max(seq, self.seq))
        self.seq = max(seq, self.seq)
