"""Versions 1 to 4 of the log in SQLite, before there were revisions, and the move to it; the table of version 5."""

from __future__ import annotations

import sqlite3

from palate.store import schema

TABLE_5 = schema.table("INTEGER", "REAL", "BLOB", slates=False) + " STRICT"
COLUMNS = (
    "seq, key, content, user_id, item_id, kind, value, source, propensity, question, asked_at, answered_at, "
    "form, others, tapped, at, name, text, recorded_at, retracts"
)
_REFUSE = "SELECT RAISE(ABORT, 'the label log only grows')"
_KINDS = "'rating', 'no-opinion', 'unknown', 'skipped'"
_FORMS = "'rate', 'pair', 'group', 'concept', 'preview', 'recall', 'pick', 'slate'"
VERSION_4 = (
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
    """
    CREATE TRIGGER records_no_replace BEFORE INSERT ON records
    WHEN EXISTS (SELECT 1 FROM records WHERE seq = NEW.seq OR key = NEW.key OR retracts = NEW.retracts)
    BEGIN SELECT RAISE(ABORT, 'the label log only grows'); END
    """,
    "PRAGMA application_id = 1346456660",
    "PRAGMA user_version = 4",
)
DROP_TRIGGERS = tuple(f"DROP TRIGGER records_no_{change}" for change in ("update", "delete", "replace"))

_OF_LABELS = (
    "seq, key, user_id, item_id, kind, value, source, propensity, question, asked_at, answered_at, "
    "recorded_at, retracts"
)


def _moved(form: str, others: str, tapped: str) -> tuple[str, ...]:
    """The statements that make the table of labels one of records. They drop the old one, not its rows."""
    return (
        *VERSION_4,
        f"INSERT INTO records ({_OF_LABELS}, content, form, others, tapped) "
        f"SELECT {_OF_LABELS}, 'label', {form}, {others}, {tapped} FROM labels ORDER BY seq",
        "DROP TABLE labels",
    )


# Version 1 had labels of one form, version 2 labels of several, version 3 all three contents, and fewer forms.
_FROM = {
    1: _moved("'rate'", "'[]'", "'[]'"),
    2: _moved("form", "others", "tapped"),
    3: (
        *DROP_TRIGGERS,
        "ALTER TABLE records RENAME TO older",
        *VERSION_4,
        f"INSERT INTO records ({COLUMNS}) SELECT {COLUMNS} FROM older ORDER BY seq",
        "DROP TABLE older",
    ),
}


def move(connection: sqlite3.Connection, version: int) -> None:
    """Move a log of version 1, 2 or 3 to version 4, in the transaction that is open."""
    for statement in _FROM.get(version, ()):
        connection.execute(statement)
