"""One JSON object a line. It says what happened and never about whom: routes as patterns, no ids, no texts, no keys."""

from __future__ import annotations

import contextlib
import sys
import time
from datetime import UTC, datetime
from typing import IO, Any

from pydantic_core import to_json

from palate.service.keys import Principal

LONGEST = 200  # characters of any text


class RequestLog:
    """Lines on a stream.

    Args:
        stream: Standard error if None.
        requests: Whether there is a line for each request.
        buffered: Whether lines wait until somebody calls :meth:`flush`.
    """

    def __init__(self, stream: IO[str] | None = None, *, requests: bool = True, buffered: bool = False) -> None:
        self._stream, self._requests, self.buffered = sys.stderr if stream is None else stream, requests, buffered

    def request(
        self, request_id: str, method: str, route: str, status: int, seconds: float, of: Principal | None
    ) -> None:
        """A request that was answered."""
        if not self._requests:
            return
        who = {"tenant": of.tenant, "role": of.role, "key": of.key} if of is not None else {}
        level = "error" if status >= 500 and status != 503 else "info"
        self._write(
            level,
            "request",
            request_id=request_id,
            method=method[:16],
            route=route,
            status=status,
            ms=round(1e3 * seconds, 3),
            **who,
        )

    def error(self, request_id: str, kind: str, places: list[str]) -> None:
        """Something that nobody had foreseen."""
        self._write("error", "exception", request_id=request_id, kind=kind, places=places)

    def alert(self, event: str, **facts: Any) -> None:
        """Something that somebody should look at."""
        self._write("error", event, **facts)

    def say(self, event: str, **facts: Any) -> None:
        """Something of the service itself."""
        self._write("info", event, **facts)

    def _write(self, level: str, event: str, **facts: Any) -> None:
        at = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        short = {name: value[:LONGEST] if isinstance(value, str) else value for name, value in facts.items()}
        line = to_json({"time": at, "level": level, "event": event, **short}).decode()
        try:
            self._stream.write(line + "\n")
            if not self.buffered:
                self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            return

    def flush(self) -> None:
        """What waits is written."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()
