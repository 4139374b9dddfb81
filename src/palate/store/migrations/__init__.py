"""The log's schema from one version to the next and back, by Alembic.

A revision is a version of the log. Moving to it is one transaction: a process that dies leaves the version before.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.pool import StaticPool

from palate.store.chain import Head
from palate.store.migrations import older
from palate.store.schema import ALEMBIC

LATEST = "0007"


def migrate(connection: sa.Connection, revision: str = LATEST, *, down: bool = False) -> None:
    """Run the revisions up to one, or down to one, in the transaction of a connection.

    Raises:
        StoreError: If a row has what the revision below cannot keep. Nothing is changed.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    (command.downgrade if down else command.upgrade)(config, revision)


def upgrade(connection: sqlite3.Connection, version: int) -> Head:
    """Move a log of an older version in SQLite to this one, in the transaction that is open, and give its last row."""
    older.move(connection, version)
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
        connection.execute(ALEMBIC)
        connection.execute("INSERT INTO alembic_version VALUES ('0004')")
    _in_sqlite(connection, LATEST)
    found = connection.execute("SELECT seq, chain FROM records ORDER BY seq DESC LIMIT 1").fetchone()
    return Head() if found is None else Head(*found)


def downgrade(connection: sqlite3.Connection, version: int) -> None:
    """Move a log in SQLite to an older version, in the transaction that is open.

    Raises:
        StoreError: If a row has what the older version cannot keep.
    """
    _in_sqlite(connection, f"{version:04d}", down=True)


def _in_sqlite(connection: sqlite3.Connection, revision: str, *, down: bool = False) -> None:
    engine = sa.create_engine("sqlite://", creator=lambda: _Borrowed(connection), poolclass=StaticPool)
    with engine.connect() as wrapped:
        migrate(wrapped, revision, down=down)


class _Borrowed:
    """A connection whose transaction belongs to the caller: SQLAlchemy would end it with its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        """Nothing."""

    rollback = close = commit
