"""What every request passes before any route: its number, its size, its time, one line in the log, and no traceback.

Plain ASGI: nothing here reads a body that is not wanted or makes a task, so that a client that goes away is seen.
"""

from __future__ import annotations

import re
import secrets
import time
from itertools import count
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palate.service.faults import HTTPFault, busy, places, unforeseen
from palate.service.keys import Principal
from palate.service.logs import RequestLog
from palate.service.metrics import Metrics
from palate.service.settings import Settings
from palate.service.traces import Traces

# Nothing of ours is to be framed, sniffed or kept by a proxy.
HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
KEPT_PATHS = ("/v1/labels", "/v1/events")  # what is sent there is kept
_KEY_IN_URL = re.compile(rb"(?:^|&)(?:key|token|api_key|apikey|access_token|authorization)=", re.IGNORECASE)
_TAKEN_IDS = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class Passage:
    """One request on its way. ``scope["palate"]``."""

    __slots__ = ("begun", "headers", "principal", "request_id", "span", "status")

    def __init__(self, request_id: str) -> None:
        self.request_id, self.begun, self.status = request_id, time.perf_counter(), 0
        self.principal: Principal | None = None
        self.span: Any = None
        self.headers = HEADERS  # pages have others


class Gate:
    """An application behind the gate."""

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, log: RequestLog, traces: Traces | None = None
    ) -> None:
        self._app, self._settings, self._metrics, self._log = app, settings, metrics, log
        self._traces = traces
        start = secrets.token_hex(6)  # once: a draw for each request would wait for the system
        self._numbers = (f"{start}{number:08x}" for number in count())
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        passage = Passage(given.decode() if given and _TAKEN_IDS.fullmatch(given) else next(self._numbers))
        scope["palate"] = passage
        if self._traces is not None:
            passage.span = self._traces.start(scope["headers"])
        number = (b"x-request-id", passage.request_id.encode())

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                passage.status = message["status"]
                message = {**message, "headers": [*message["headers"], number, *passage.headers]}
            await send(message)

        self.inside += 1
        try:
            scope["path"] = self._path(scope)
            await self._app(scope, self._counted(scope, receive), answer)
        except HTTPFault as fault:
            await self._say(fault, passage, answer)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a number, and no trace
            self._log.error(passage.request_id, type(error).__name__, places(error))
            await self._say(unforeseen(), passage, answer)
        finally:
            self.inside -= 1
            self._done(scope, passage)

    def _path(self, scope: Scope) -> str:
        """The path, in which a slash that was sent as %2F is part of an id."""
        most = self._settings.connections
        if self.inside > (most if scope["path"] in KEPT_PATHS else most - most // 4):  # some room is for labels alone
            raise busy("requests")
        if scope["query_string"] and _KEY_IN_URL.search(scope["query_string"]):
            raise HTTPFault(400, "key_in_url", "a key does not belong into an address. Send Authorization: Bearer KEY.")
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        if b"%" not in raw:
            path: str = scope["path"]
            return path
        if re.search(rb"%00", raw):
            raise HTTPFault(404, "not_found", "there is no such address.")
        return unquote(re.sub(rb"%2[fF]", b"%00", raw).decode("ascii", "replace"), errors="replace")

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        """The body as it comes, up to a limit of bytes; of seconds the server takes care."""
        most = self._settings.body_bytes
        too_large = HTTPFault(413, "too_large", f"the body has more than {most:,} bytes. Send less at once.")
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length[:20]) > most:
            raise too_large
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise too_large
            return message

        return counted

    async def _say(self, fault: HTTPFault, passage: Passage, answer: Send) -> None:
        if passage.status:  # too late: half of an answer is out
            return
        body = fault.body(passage.request_id)
        headers = {"content-type": "application/json", "content-length": str(len(body)), **fault.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await answer({"type": "http.response.start", "status": fault.status, "headers": raw})
        await answer({"type": "http.response.body", "body": body})

    def _done(self, scope: Scope, passage: Passage) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        took = time.perf_counter() - passage.begun
        status = passage.status or 499  # the client went away
        self._metrics.requests.labels(scope["method"], route, status).inc()
        self._metrics.seconds.labels(route).observe(took)
        if self._traces is not None:
            self._traces.end(passage.span, passage.request_id, scope["method"], route, status)
        if status in (429, 503):
            self._metrics.shed.labels(route).inc()
        self._log.request(passage.request_id, scope["method"], route, status, took, passage.principal)
