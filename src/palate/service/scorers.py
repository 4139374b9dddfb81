"""Processes that work out lists and questions, so that no label waits for them: run as ``python -m`` by the service.

Each opens the model folder and its log as any reader does, and ends when the service closes its standard input, however
the service ends.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from pydantic_core import to_json

from palate.errors import PalateError
from palate.recommender import Recommender
from palate.service.faults import HTTPFault, busy, of_error, places, unforeseen
from palate.service.keys import KeyRing
from palate.service.scoring import Call, Scored, Scoring

NICE = 5  # labels come first
ANSWER_SECONDS = 60.0  # after which a process that has not answered is ended
START_SECONDS = 600.0  # likewise, of one that reads its model
FIRST_SECONDS = 20.0  # that a call waits for a process to start
_AGAIN_SECONDS = 1.0  # between two starts of one
_SIZE = struct.Struct("!I")


class Scorers:
    """So many processes, of which each works one call out at a time.

    Args:
        given: Folder, store and tenant, as of :func:`main`.
        say: Told what happens, for the log of the service.
    """

    def __init__(self, n: int, given: dict[str, Any], say: Callable[..., None]) -> None:
        self._all = [_Child(given, say) for _ in range(n)]
        self._free: SimpleQueue[_Child] = SimpleQueue()
        for child in self._all:
            self._free.put(child)

    @property
    def fault(self) -> str:
        """Why calls are not worked out as they should be; empty if they are."""
        return next((child.fault for child in self._all if child.fault), "")

    def answer(self, call: Call) -> Scored:
        """What a process says; of as many threads as there are processes.

        Raises:
            HTTPFault: As the learner refuses, or if the process has ended.
        """
        child = self._free.get()
        try:
            return child.answer(call)
        finally:
            self._free.put(child)

    def refresh(self) -> None:
        """Start what has ended, of those that have no work."""
        idle = []
        with suppress(Empty):
            while True:
                idle.append(self._free.get_nowait())
                idle[-1].look()
        for child in idle:
            self._free.put(child)

    def stop(self) -> None:
        """Give up what is being worked on: it may take long, and nobody waits for it any more."""
        for child in self._all:
            child.stop()

    def close(self) -> None:
        for child in self._all:
            child.close()


class _Child:
    """A process, started again when it has ended."""

    def __init__(self, given: dict[str, Any], say: Callable[..., None]) -> None:
        self._given, self._say = given, say
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._is_closed = -_AGAIN_SECONDS, False
        self.fault = "starting"
        self.look()

    def look(self) -> None:
        """Start it if it does not run, and see whether it is ready."""
        process = self._process
        if process is not None and process.poll() is not None:
            self._ended(process)
        if self._process is None and not self._is_closed and time.monotonic() - self._started >= _AGAIN_SECONDS:
            self._start()
        process = self._process
        if process is not None and self.fault == "starting" and _has_come(process.stdout, 0.0):
            self._read_ready(process)

    def answer(self, call: Call) -> Scored:
        self.look()
        process = self._process
        if process is None:
            raise busy("lists")
        try:
            if self.fault == "starting":
                if _has_come(process.stdout, FIRST_SECONDS):
                    self._read_ready(process)
                if self.fault:
                    raise busy("lists")
            _write(process.stdin, to_json(call))
            meta, body = json.loads(_read(process.stdout, ANSWER_SECONDS)), _read(process.stdout, ANSWER_SECONDS)
        except (OSError, EOFError):
            self._ended(process)
            raise busy("lists") from None
        self.fault = meta["state"]
        if "places" in meta:
            self._say("scoring error", kind=meta["kind"], places=meta["places"])
        if "fault" in meta:
            raise HTTPFault(**meta["fault"])
        return Scored(body, meta["seq"], meta["dropped"], tuple((key, reason) for key, reason in meta["aside"]))

    def _start(self) -> None:
        self._started, self.fault = time.monotonic(), "starting"
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as many processes as there are cores
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **one_thread, "PYTHONPATH": paths},
            start_new_session=True,  # Ctrl-C is for the service, which ends it when all is answered
        )
        _write(process.stdin, to_json(self._given))

    def _read_ready(self, process: subprocess.Popen[bytes]) -> None:
        try:
            said = _read(process.stdout, START_SECONDS).decode()
        except (OSError, EOFError):
            return self._ended(process)
        if said:
            return self._ended(process, said)
        self.fault = ""
        return None

    def _ended(self, process: subprocess.Popen[bytes], why: str = "") -> None:
        code = _end(process)
        self._process, self.fault = None, f"a scoring process ended: {why or code}"
        if not self._is_closed:
            self._say("scoring process ended", code=code, kind=why)

    def stop(self) -> None:
        self._is_closed = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        self._is_closed = True
        if self._process is not None:
            _end(self._process)  # it keeps nothing that would be lost
            self._process = None


def _end(process: subprocess.Popen[bytes]) -> int:
    process.kill()
    code = process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with suppress(OSError):  # of what was not sent
            pipe.close()
    return code


def _write(to: IO[bytes] | None, message: bytes) -> None:
    assert to is not None
    to.write(_SIZE.pack(len(message)) + message)
    to.flush()


def _read(of: IO[bytes] | None, seconds: float) -> bytes:
    """A message.

    Raises:
        EOFError: If there is none, or none in time.
    """
    assert of is not None
    (size,) = _SIZE.unpack(_exactly(of, _SIZE.size, time.monotonic() + seconds))
    return _exactly(of, size, time.monotonic() + seconds)


def _has_come(of: IO[bytes] | None, seconds: float) -> bool:
    assert of is not None
    return bool(select.select([of], [], [], seconds)[0])


def _exactly(of: IO[bytes], size: int, until: float) -> bytes:
    found = b""
    while len(found) < size:
        if not _has_come(of, max(0.0, until - time.monotonic())):
            raise EOFError
        more = os.read(of.fileno(), size - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def main() -> None:
    """Answer calls from standard input on standard output until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(NICE)
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    given = json.loads(_exactly_or_end(calls))
    folder = Path(given["folder"])
    try:
        recommender = Recommender.open(folder, store=given["store"] or None)
        scoring = Scoring(recommender, KeyRing(folder, tenant=given["tenant"]), given["fresh_seconds"])
    except PalateError as error:
        _write(answers, type(error).__name__.encode())
        sys.exit(1)
    gc.collect()
    gc.freeze()  # as in the service
    with recommender:
        _write(answers, b"")  # ready
        while True:
            while not _has_come(calls, given["fresh_seconds"]):
                scoring.refresh()
            call = Call(*json.loads(_exactly_or_end(calls)))
            meta: dict[str, Any]
            try:
                found = scoring.answer(call._replace(names=tuple(call.names)))
                meta, body = {"seq": found.seq, "dropped": found.dropped, "aside": found.aside}, found.body
            except (HTTPFault, PalateError) as error:
                fault = error if isinstance(error, HTTPFault) else of_error(error)
                meta, body = {"fault": asdict(fault)}, b""
            except Exception as error:  # noqa: BLE001 - where it happened, and none of what a user said
                meta, body = {"fault": asdict(unforeseen()), "kind": type(error).__name__, "places": places(error)}, b""
            _write(answers, to_json({**meta, "state": scoring.fault}))
            _write(answers, body)


def _exactly_or_end(of: IO[bytes]) -> bytes:
    try:
        return _read(of, ANSWER_SECONDS)
    except EOFError:
        sys.exit(0)


if __name__ == "__main__":
    main()
