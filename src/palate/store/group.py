"""Group commit: of the threads that wait to write, one does the work of all of them in one commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from palate.errors import StoreError

T = TypeVar("T")
MOST_JOBS = 512  # of one commit, so that a full queue cannot make one that takes long


class Job(Generic[T]):
    """One call that writes.

    Args:
        run: What it does in a transaction; all or nothing of it is kept.
        keys: Of the rows that it looks for.
        deadline: Until when it may wait for its turn, by the monotonic clock.
    """

    def __init__(self, run: Callable[[Any], T], keys: Sequence[str], deadline: float) -> None:
        self.run, self.keys, self.deadline = run, keys, deadline
        self.is_done = False
        self.gate = threading.Lock()  # closed while its thread has to wait
        self.gate.acquire()
        self.error: BaseException | None = None
        self._result: list[T] = []

    def did(self, result: T) -> None:
        """Keep what it gave."""
        self._result = [result]

    def result(self) -> T:
        """What it gave, or its error."""
        if self.error is not None:
            raise self.error
        return self._result[0]


class Group:
    """Jobs in the order in which they came, done by whichever of their threads has the turn.

    While one thread waits for the disk others join the queue. When it is done it wakes those whose jobs it did, and
    gives the turn to the first of the others, who does them all: nobody is overtaken.
    """

    def __init__(self, work: Callable[[list[Job[Any]], float], None]) -> None:
        self._work = work
        self._waiting: list[Job[Any]] = []
        self._queue, self._turn = threading.Lock(), threading.Lock()
        self._is_led = False

    def do(self, run: Callable[[Any], T], keys: Sequence[str], wait_seconds: float) -> T:
        """Do this, with what others wait for, and give what it gave."""
        job = Job(run, keys, time.monotonic() + wait_seconds)
        with self._queue:
            self._waiting.append(job)
            leads, self._is_led = not self._is_led, True
        if not leads:
            job.gate.acquire()  # until it is done, or has the turn
        if not job.is_done:
            self._lead(job)
        return job.result()

    def alone(self) -> threading.Lock:
        """Held while nobody writes."""
        return self._turn

    def _lead(self, mine: Job[Any]) -> None:
        with self._queue:
            jobs, self._waiting = self._waiting[:MOST_JOBS], self._waiting[MOST_JOBS:]
        try:
            with self._turn:
                self._work(jobs, min(job.deadline for job in jobs))
        except BaseException as error:  # noqa: BLE001 - whose thread waits must hear of it
            for job in jobs:
                job.error = _told(error, job is mine)
        for job in jobs:
            job.is_done = True
        with self._queue:
            following = self._waiting[:1]
            self._is_led = bool(following)
        for job in (*following, *jobs):
            if job is not mine:
                job.gate.release()


def _told(error: BaseException, is_mine: bool) -> BaseException:
    if isinstance(error, Exception) or is_mine:
        return error
    return StoreError("the thread that wrote for this one was interrupted. Send the same again.")
