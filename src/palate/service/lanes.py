"""Two lanes, so that neither holds up the other: labels wait for the disk, lists and questions for a thread.

Labels that wait together are kept in one commit. Each lane has room for so much; what comes after that is told to come
again. Nothing in the lane of lists can take room from that of labels.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from palate.errors import InputError
from palate.records import Record
from palate.service.faults import busy

T = TypeVar("T")
AT_ONCE = 2_000  # contents of one commit, at most


@dataclass(slots=True)
class _Waiting:
    """Contents of one kind that are kept all or none."""

    tell: Callable[[list[Any]], list[Record]]
    contents: Sequence[Any]
    future: asyncio.Future[list[Record]]
    since: float = field(default_factory=time.monotonic)


class LabelLane:
    """One thread that keeps what waits, as much at once as there is.

    Args:
        room: Contents that may wait.
        after: Called in the thread after each commit, with its records, before they are acknowledged.
    """

    def __init__(self, *, room: int, after: Callable[[list[Record]], None]) -> None:
        self._room, self._after = room, after
        self._waiting: deque[_Waiting | Callable[[], None]] = deque()
        self._count = 0
        self._some = threading.Condition()
        self._closed = False
        self._oldest = 0.0  # when what is being kept had come
        self.fault = ""  # why the last commit failed; empty if it did not
        self._thread = threading.Thread(target=self._run, name="palate-labels", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Contents that wait."""
        return self._count

    @property
    def waited(self) -> float:
        """Seconds that the oldest of them has waited."""
        oldest = self._oldest
        return time.monotonic() - oldest if oldest else 0.0

    async def keep(self, tell: Callable[[list[Any]], list[Record]], contents: Sequence[Any]) -> list[Record]:
        """The rows, once they are on the disk.

        Args:
            tell: A recommender's ``tell`` or ``see``, or another that takes a list, all or none.
        Raises:
            HTTPFault: If there is no room.
            PalateError: As ``tell`` does.
        """
        one = _Waiting(tell, contents, asyncio.get_running_loop().create_future())
        with self._some:
            if self._closed or self._count + len(contents) > self._room:
                raise busy("labels")
            self._count += len(contents)
            self._waiting.append(one)
            self._some.notify()
        return await one.future

    def soon(self, work: Callable[[], None]) -> None:
        """Something else that only this thread may do."""
        with self._some:
            self._waiting.append(work)
            self._some.notify()

    def close(self) -> None:
        """Keep what waits, then end."""
        with self._some:
            self._closed = True
            self._some.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._some:
                while not self._waiting and not self._closed:
                    self._some.wait()
                if not self._waiting:
                    return
                taken = self._take()
            self._oldest = min((one.since for one in taken if isinstance(one, _Waiting)), default=0.0)
            for work in taken:
                if not isinstance(work, _Waiting):
                    self._guarded(work)
            labels = [one for one in taken if isinstance(one, _Waiting)]
            for tell in dict.fromkeys(one.tell for one in labels):
                self._keep(tell, [one for one in labels if one.tell == tell])
            self._oldest = 0.0
            with self._some:
                self._count -= sum(len(one.contents) for one in labels)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - this thread must not end
            self.fault = type(error).__name__

    def _take(self) -> list[_Waiting | Callable[[], None]]:
        taken, size = [], 0
        while self._waiting and size < AT_ONCE:
            one = self._waiting.popleft()
            taken.append(one)
            size += len(one.contents) if isinstance(one, _Waiting) else 0
        return taken

    def _keep(self, tell: Callable[[list[Any]], list[Record]], group: list[_Waiting]) -> None:
        """All in one commit; if one of them cannot be taken, each in its own."""
        try:
            records = tell([content for one in group for content in one.contents])
        except InputError as error:
            if len(group) == 1:
                return _fail(group[0], error)
            for one in group:
                self._keep(tell, [one])
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those who wait
            self.fault = type(error).__name__
            for one in group:
                _fail(one, error)
            return None
        self.fault = ""
        self._guarded(lambda: self._after(records))  # whatever comes of it, these are on the disk
        found, at = [], 0
        for one in group:
            end = at + len(one.contents) if len(group) > 1 else len(records)  # attributes are several rows of one call
            found.append((one.future, records[at:end]))
            at = end
        group[0].future.get_loop().call_soon_threadsafe(_tell_all, found)
        return None


def _tell_all(found: list[tuple[asyncio.Future[list[Record]], list[Record]]]) -> None:
    for future, records in found:
        if not future.done():
            future.set_result(records)


def _fail(one: _Waiting, error: Exception) -> None:
    def tell() -> None:
        if not one.future.done():
            one.future.set_exception(error)

    one.future.get_loop().call_soon_threadsafe(tell)


class ScoreLane:
    """A few threads for lists and questions, with so many who may wait for them, and so long.

    Args:
        room: Calls that may wait or be worked on beyond the threads.
        seconds: That one may wait.
    """

    def __init__(self, *, threads: int, room: int, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="palate-scores")
        self._most, self._seconds = threads + room, seconds
        self.waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What the work gives.

        Raises:
            HTTPFault: If too many wait, or it would have waited too long.
        """
        if self.waiting >= self._most:
            raise busy("lists")
        self.waiting += 1
        until = time.monotonic() + self._seconds

        def in_time() -> T:
            if time.monotonic() > until:
                raise busy("lists")
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, in_time)
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Wait for what is being worked on."""
        self._pool.shutdown(cancel_futures=True)
