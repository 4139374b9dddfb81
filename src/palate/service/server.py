"""Model folders served by one process, until a signal comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from palate.service.app import create_app
from palate.service.logs import RequestLog
from palate.service.process import run
from palate.service.settings import Settings
from palate.store.lock import exclusive
from palate.store.open_store import is_url

OWNER = "served-by"  # in a model folder: the process that serves it


def serve(
    models: Mapping[str, Path],
    settings: Settings,
    *,
    store: str = "",
    log: RequestLog | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve model folders until a signal comes; then end well. One process serves a folder that holds its log.

    Args:
        models: By the name of the tenant.
        store: URL or path of the log, in the place of the one in the folder.
        started: Called with the address once it is listened to.
    Raises:
        StoreBusy: If another process serves one of them.
    """
    log = log or RequestLog(requests=settings.log_requests)
    with ExitStack() as held:
        if not is_url(store):
            for folder in models.values():
                held.enter_context(exclusive(folder / OWNER, wait_seconds=0.0, held=partial(_served, folder)))
        app = create_app(models, settings, store=store, log=log)
        run(app, settings, log, started)


def _served(folder: Path, holder: str) -> str:
    return (
        f"{folder} is served by process {holder}. Stop that one, or keep the log in PostgreSQL for several (--store)."
    )
