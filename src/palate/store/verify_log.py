"""Whether a log is whole, also one that is refused when it is opened; and how to go on with what there is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from palate.errors import StoreBusy, StoreError
from palate.store import chain, schema, sqlite_connection
from palate.store.lock import exclusive
from palate.store.open_store import is_url, open_store
from palate.store.protocol import Report
from palate.store.sql_log import PAGE_ROWS
from palate.store.verifying import verified


def verify_log(place: str | Path, *, accept: bool = False) -> Report:
    """Read every row of a log, and compare it with its digest, the chain, and the head that is kept beside the log.

    A log in SQLite that had stopped after a disk error and is whole may be written to again.

    Args:
        accept: Take the log as it is now, whatever is missing at its end: its last row is the head from now on. What
            was changed in it stays so, and is found again.
    Raises:
        StoreError: If it is no log, or cannot be read.
    """
    if is_url(place):
        with open_store(place, read_only=True) as log:
            return log.verify()
    path = Path(place)
    if not path.is_file():
        raise StoreError(f"{path} is no label log. Give the path of one, or of a model folder.")
    with sqlite_connection.told(path), closing(_reader(path)) as connection:
        sqlite_connection.refuse_older(connection, path)
        report = verified(lambda after: _page(connection, after), _head(path), lambda: _faults(connection, path))
        report = replace(report, database=sqlite_connection.DATABASE)
    if report.is_whole or accept:
        with exclusive(sqlite_connection.beside(path, "lock"), wait_seconds=sqlite_connection.WAIT_SECONDS):
            if not report.is_whole:
                chain.write_head(sqlite_connection.beside(path, "head"), _last(path), sync=True)
            _write_again(path)
            sqlite_connection.beside(path, "stopped").unlink(missing_ok=True)
    return report


def _write_again(path: Path) -> None:
    """After a failed sync the rows that were read may be in memory alone: all of them are written and synced anew."""
    if sqlite_connection.beside(path, "stopped").exists():
        with sqlite_connection.told(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StoreBusy(f"another program reads {path}. End it, then verify again.")


def _reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    # a text that is none has another digest than the one that was kept
    connection.text_factory = lambda text: text.decode(errors="surrogateescape")
    return connection


def _page(connection: sqlite3.Connection, after: int) -> list[tuple[Any, ...]]:
    return connection.execute(sqlite_connection.sqlite_statements().sealed_page, (after, PAGE_ROWS)).fetchall()


def _head(path: Path) -> chain.Head | None:
    try:
        return chain.read_head(sqlite_connection.beside(path, "head"))
    except StoreError:
        return None


def _last(path: Path) -> chain.Head:
    with sqlite_connection.told(path), closing(_reader(path)) as connection:
        found = connection.execute("SELECT seq, chain FROM records ORDER BY seq DESC LIMIT 1").fetchone()
    return chain.Head() if found is None else chain.Head(*found)


def _faults(connection: sqlite3.Connection, path: Path) -> list[str]:
    found = [f"SQLite finds: {text}"[:200] for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
    if _head(path) is None and _last(path).seq:
        found.append(f"nothing beside {path.name} says which row was its last: rows may be missing at its end")
    try:
        schema.check(connection, path)
    except StoreError as error:
        found.append(str(error))
    return found
