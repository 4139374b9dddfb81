"""A process that serves: uvicorn with time-outs for slow clients, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from palate.service.faults import HTTPFault
from palate.service.logs import RequestLog
from palate.service.settings import Settings

SWITCH_SECONDS = (
    0.001  # a thread that works out a list gives way to the loop after so long, five times as soon as usual
)


def run(app: FastAPI, settings: Settings, log: RequestLog, started: Callable[[str], None] | None) -> None:
    """Serve an application that has ``settings`` and ``stopping`` in its state, until a signal comes."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # the model is there to stay: a collection that walks over it would hold up labels for long
    if threading.current_thread() is threading.main_thread():
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # what counts again after the server's own: a second one is no crash
    Server(app, settings, log, started).run()


class Protocol(HttpToolsProtocol):
    """One connection, of which is known when its head, its body and its reading began."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.head_since = self.body_since = self.unread_since = 0.0
        self.unread_bytes = 0  # of an answer, as far as the system has not taken them
        self.head_bytes, self.most_head = 0, self.config.app.state.settings.head_bytes  # type: ignore[union-attr]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_since = time.monotonic()

    def data_received(self, data: bytes) -> None:
        if not self.head_since and (self.cycle is None or self.cycle.response_complete):
            self.head_since = time.monotonic()
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.head_since, self.head_bytes = time.monotonic(), 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self.head_bytes += size
        if self.head_bytes > self.most_head:
            raise ValueError("the head is too large")  # the parser's error: 400, and the connection is closed

    def send_400_response(self, msg: str) -> None:
        """In the contract's form, too."""
        fault = HTTPFault(400, "bad_request", "this is not HTTP, or its head is too large.")
        body = fault.body(secrets.token_hex(8))
        head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    def on_headers_complete(self) -> None:
        self.head_since, self.body_since = 0.0, time.monotonic()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.body_since = 0.0
        super().on_message_complete()

    def is_slow(self, settings: Settings, now: float) -> bool:
        """Whether the client has taken longer than it may."""
        unread = self.transport.get_write_buffer_size()
        if unread != self.unread_bytes:
            self.unread_bytes, self.unread_since = unread, now if unread else 0.0
        limits = (self.head_since, settings.head_seconds), (self.body_since, settings.body_seconds)
        return any(
            since and now - since > seconds for since, seconds in (*limits, (self.unread_since, settings.write_seconds))
        )


class Server(uvicorn.Server):
    """uvicorn, which after the signal to stop still answers for a while and then exits with 0."""

    def __init__(
        self, app: FastAPI, settings: Settings, log: RequestLog, started: Callable[[str], None] | None = None
    ) -> None:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(settings.idle_seconds) or 1,
            timeout_graceful_shutdown=int(settings.stop_seconds) or 1,
            backlog=settings.connections,
        )
        super().__init__(config)
        self._app, self._settings, self._log, self._tell = app, settings, log, started
        self._stops_at = 0.0

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._log.buffered = True
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            where = f"[{host}]" if ":" in host else host
            self._log.say("serving", address=f"http://{where}:{port}")
            self._log.flush()
            if self._tell is not None:
                self._tell(f"http://{where}:{port}")

    async def shutdown(self, sockets: Any = None) -> None:
        await super().shutdown(sockets)
        self._log.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._stops_at and sig == signal.SIGINT:
            self.should_exit = self.force_exit = True
            return
        self._app.state.stopping = True
        self._stops_at = self._stops_at or time.monotonic() + self._settings.drain_seconds
        self.should_exit = not self._settings.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        now = time.monotonic()
        self._log.flush()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol) and connection.is_slow(self._settings, now):
                connection.transport.abort()
        if self._stops_at and now >= self._stops_at:
            self.should_exit = True
        return await super().on_tick(counter)
