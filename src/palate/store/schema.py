"""The tables of the label log, and the check that a file holds them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from palate.entities import AnswerKind, Form
from palate.errors import NEWER, StoreError

APPLICATION_ID = 0x50414C54  # "PALT", in the file's header: tells our database from anybody's
VERSION = 2

_KINDS = ", ".join(f"'{kind.value}'" for kind in AnswerKind)
_FORMS = ", ".join(f"'{form.value}'" for form in Form if form is not Form.PAGE)  # whose answers rate one item each
_REFUSE = "SELECT RAISE(ABORT, 'the label log only grows')"

# The triggers make "nothing is changed" hold for every program that opens the file, not only for ours. The one on
# INSERT is there for INSERT OR REPLACE, which deletes without asking the trigger on DELETE.
_STATEMENTS = (
    f"""
    CREATE TABLE labels (
        seq INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE CHECK (key <> ''),
        user_id TEXT NOT NULL,
        item_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ({_KINDS})),
        value REAL CHECK ((value IS NOT NULL) = (kind = 'rating')),
        source TEXT NOT NULL,
        propensity REAL CHECK (propensity BETWEEN 0 AND 1),
        question TEXT NOT NULL,
        asked_at REAL,
        answered_at REAL,
        recorded_at REAL NOT NULL,
        retracts TEXT UNIQUE,
        form TEXT NOT NULL DEFAULT 'rate' CHECK (form IN ({_FORMS})),
        others TEXT NOT NULL DEFAULT '[]',
        tapped TEXT NOT NULL DEFAULT '[]'
    ) STRICT
    """,
    f"CREATE TRIGGER labels_no_update BEFORE UPDATE ON labels BEGIN {_REFUSE}; END",
    f"CREATE TRIGGER labels_no_delete BEFORE DELETE ON labels BEGIN {_REFUSE}; END",
    f"""
    CREATE TRIGGER labels_no_replace BEFORE INSERT ON labels
    WHEN EXISTS (SELECT 1 FROM labels WHERE seq = NEW.seq OR key = NEW.key OR retracts = NEW.retracts)
    BEGIN {_REFUSE}; END
    """,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)


# What version 2 has that version 1 had not; every answer of version 1 rates one item.
_FROM_1 = (
    f"ALTER TABLE labels ADD COLUMN form TEXT NOT NULL DEFAULT 'rate' CHECK (form IN ({_FORMS}))",
    "ALTER TABLE labels ADD COLUMN others TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE labels ADD COLUMN tapped TEXT NOT NULL DEFAULT '[]'",
    f"PRAGMA user_version = {VERSION}",
)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables in an empty file, add the new columns to a log of version 1; write nothing into any other file.

    A process that opened the log before it got its columns can go on writing: they have defaults.

    Raises:
        StoreError: If the file is another program's database, or a log of another version.
        sqlite3.Error: If it is not a database, or cannot be read or written.
    """
    application, version, tables = _header(connection)
    if tables == 0 and application == 0:
        _change(connection, _STATEMENTS)
    elif application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database (application_id {application:#x}). Give another path.")
    elif version > VERSION:
        raise StoreError(f"{path} is a label log of version {version}; this Palate reads version {VERSION}. {NEWER}")
    elif version == 1:
        _change(connection, _FROM_1)
    elif version < VERSION:
        raise StoreError(f"{path} has version {version}, which no Palate has written. Restore it from a backup.")


def _header(connection: sqlite3.Connection) -> tuple[int, int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application, version, tables


def _change(connection: sqlite3.Connection, statements: tuple[str, ...]) -> None:
    """All of the statements or, when the process dies, none."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")
