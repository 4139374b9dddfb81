"""The application of a federated line, behind the gate of the service, and the process that serves it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from fastapi import Depends, FastAPI, Request
from numpy.random import Generator

from palate._version import __version__
from palate.entities import Item
from palate.errors import PalateError
from palate.federated.options import FederatedOptions
from palate.service.fault_handlers import say_faults
from palate.service.faults import places
from palate.service.federated import routes
from palate.service.federated.attempt import Clock
from palate.service.federated.device_page import Site, build_site, device_router
from palate.service.federated.line import Line
from palate.service.federated.rounds import Rounds
from palate.service.federated.settings import RoundSettings
from palate.service.gate import Gate
from palate.service.logs import RequestLog
from palate.service.metrics import Metrics
from palate.service.process import run
from palate.service.routing import TELEMETRY_OFF
from palate.service.settings import Settings


def create_app(rounds: Rounds, settings: Settings, log: RequestLog) -> FastAPI:
    """An ASGI application that runs the rounds of a line."""

    async def at_work() -> None:
        try:
            await rounds.run()
        except Exception as error:  # noqa: BLE001 - it goes on answering, and says that somebody has to look after it
            log.alert("rounds halted", kind=type(error).__name__, why=_line(error), places=places(error))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(at_work())
        yield
        work.cancel()
        await asyncio.wait({work})
        log.say("stopped")

    app = FastAPI(
        title="Palate, federated",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        telemetry=TELEMETRY_OFF,
    )
    app.state.rounds, app.state.settings, app.state.stopping = rounds, settings, False
    app.router.routes.extend(routes.router.routes)
    app.include_router(device_router(_Page(rounds)), dependencies=[Depends(_own_headers)])
    say_faults(app)
    app.add_middleware(Gate, settings=settings, metrics=Metrics(), log=log)
    return app


class _Page:
    """The page for browsers, made anew when there is another public model."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds, self._digest = rounds, ""
        self._site: Site = {}

    def __call__(self) -> Site:
        line = self._rounds.line
        if line.public.digest != self._digest:
            items = {row["item_id"]: Item(row["item_id"], title=row["title"]) for row in line.items}
            self._site = build_site(line.public, items, levels_of(line.state.options))
            self._digest = line.public.digest
        return self._site


def levels_of(options: FederatedOptions) -> list[float]:
    """The answers that the page offers: the whole numbers of a scale, or five steps of one that has too many."""
    low, high = options.low, options.high
    whole = np.arange(np.ceil(low), np.floor(high) + 1.0)
    return (whole if 2 <= len(whole) <= 10 else np.linspace(low, high, 5)).tolist()  # type: ignore[no-any-return]


def _own_headers(request: Request) -> None:
    """The page brings all headers, and the gate adds none."""
    request.scope["palate"].headers = []


def serve(
    folder: Path,
    settings: Settings,
    rounds: RoundSettings,
    *,
    rng: Generator | None = None,
    clock: Clock = time.monotonic,
    log: RequestLog | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the line in a folder until a signal comes. It stops in the middle of a round, and goes on from there.

    Args:
        rng: Draws the noise in tests; None: the system's secure generator.
        clock: Seconds, that only go forward.
        started: Called with the address once it is listened to.
    Raises:
        LedgerError: If another process serves it, or its ledger is older than what was published.
    """
    log = log or RequestLog(requests=settings.log_requests)
    with Line.open(folder) as line:
        work = Rounds(line, rounds, say=log.say, rng=rng, clock=clock)
        body_bytes = max(settings.body_bytes, work.largest_bytes)
        run(create_app(work, replace(settings, body_bytes=body_bytes), log), settings, log, started)


def _line(error: Exception) -> str:
    return str(error) if isinstance(error, PalateError) else ""
