"""The one way to a log, wherever it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TypeGuard

from palate.store.sql_log import SqlLog

LOG = "labels.sqlite"


def is_url(place: str | Path) -> TypeGuard[str]:
    """Whether a place is a database by its URL, and no path."""
    return isinstance(place, str) and place.startswith(("postgresql://", "postgres://"))


def open_store(place: str | Path, *, read_only: bool = False, head: Path | None = None) -> SqlLog:
    """Open the log at a place: the path of an SQLite file, or ``postgresql://...``.

    Args:
        read_only: Whether nothing is written.
        head: Of a log in PostgreSQL, where this machine keeps its last row; one in SQLite keeps it beside its file.
    """
    if is_url(place):
        from palate.store.postgres_log import PostgresLog

        return PostgresLog(place, read_only=read_only, head=head)
    from palate.store.sqlite_log import LabelLog

    return LabelLog.open(place, read_only=read_only)


def database_of(place: str | Path) -> str:
    """In what a log at this place is kept: of SQLite with its version, and what that means for who writes."""
    if is_url(place):
        return "PostgreSQL"
    from palate.store.sqlite_connection import DATABASE

    return DATABASE
