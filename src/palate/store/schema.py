"""The table of the log, and the check that a file holds it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from palate.entities import AnswerKind, Form
from palate.errors import NEWER, StoreError
from palate.store.rows import COLUMNS

APPLICATION_ID = 0x50414C54  # "PALT", in the file's header: tells our database from anybody's
VERSION = 4

_KINDS = ", ".join(f"'{kind.value}'" for kind in AnswerKind)
_FORMS = ", ".join(f"'{form.value}'" for form in Form if form is not Form.PAGE)  # whose answers rate one item each
_REFUSE = "SELECT RAISE(ABORT, 'the label log only grows')"

# One table of rows of three kinds, so that one sequence orders them all. "value" is the rating of a label, the liking
# of an event, the number that an attribute is. An unknown kind of event is found when it is read: their list grows.
# The triggers make "nothing is changed" hold for every program that opens the file, not only for ours. The one on
# INSERT is there for INSERT OR REPLACE, which deletes without asking the trigger on DELETE.
_STATEMENTS = (
    f"""
    CREATE TABLE records (
        seq INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE CHECK (key <> ''),
        content TEXT NOT NULL,
        user_id TEXT NOT NULL,
        item_id TEXT,
        kind TEXT,
        value REAL,
        source TEXT,
        propensity REAL CHECK (propensity BETWEEN 0 AND 1),
        question TEXT,
        asked_at REAL,
        answered_at REAL,
        form TEXT,
        others TEXT,
        tapped TEXT,
        at REAL,
        name TEXT,
        text TEXT,
        recorded_at REAL NOT NULL,
        retracts TEXT UNIQUE,
        CHECK (coalesce(CASE content
            WHEN 'label' THEN item_id IS NOT NULL AND kind IN ({_KINDS}) AND (value IS NOT NULL) = (kind = 'rating')
                AND source IS NOT NULL AND question IS NOT NULL AND form IN ({_FORMS})
                AND others IS NOT NULL AND tapped IS NOT NULL AND coalesce(at, name, text) IS NULL
            WHEN 'event' THEN item_id IS NOT NULL AND kind IS NOT NULL AND value BETWEEN -1 AND 1
                AND coalesce(source, propensity, question, asked_at, answered_at, form, others, tapped) IS NULL
                AND coalesce(name, text) IS NULL
            WHEN 'attribute' THEN name IS NOT NULL AND (value IS NULL OR text IS NULL)
                AND coalesce(item_id, kind, source, propensity, question, asked_at, answered_at) IS NULL
                AND coalesce(form, others, tapped, at) IS NULL
        END, 0))
    ) STRICT
    """,
    f"CREATE TRIGGER records_no_update BEFORE UPDATE ON records BEGIN {_REFUSE}; END",
    f"CREATE TRIGGER records_no_delete BEFORE DELETE ON records BEGIN {_REFUSE}; END",
    f"""
    CREATE TRIGGER records_no_replace BEFORE INSERT ON records
    WHEN EXISTS (SELECT 1 FROM records WHERE seq = NEW.seq OR key = NEW.key OR retracts = NEW.retracts)
    BEGIN {_REFUSE}; END
    """,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)

_OF_LABELS = (
    "seq, key, user_id, item_id, kind, value, source, propensity, question, asked_at, answered_at, "
    "recorded_at, retracts"
)


def _moved(form: str, others: str, tapped: str) -> tuple[str, ...]:
    """The statements that make the table of an older version this one. They drop the old one, not its rows."""
    return (
        *_STATEMENTS,
        f"INSERT INTO records ({_OF_LABELS}, content, form, others, tapped) "
        f"SELECT {_OF_LABELS}, 'label', {form}, {others}, {tapped} FROM labels ORDER BY seq",
        "DROP TABLE labels",
    )


# Version 1 had labels of one form, version 2 labels of several, version 3 all three contents, and fewer forms.
_FROM = {
    1: _moved("'rate'", "'[]'", "'[]'"),
    2: _moved("form", "others", "tapped"),
    3: (
        *(f"DROP TRIGGER records_no_{change}" for change in ("update", "delete", "replace")),
        "ALTER TABLE records RENAME TO older",
        *_STATEMENTS,
        f"INSERT INTO records ({COLUMNS}) SELECT {COLUMNS} FROM older ORDER BY seq",
        "DROP TABLE older",
    ),
}


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the table in an empty file, move the rows of an older log into it; write nothing into any other file.

    A process of the first or second version that has the log open finds its table gone: it can neither write nor read,
    and says so; one of the third goes on in the new table.

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
    elif version in _FROM:
        _change(connection, _FROM[version])
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
