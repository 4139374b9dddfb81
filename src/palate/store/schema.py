"""The log's table as SQLite keeps it, and the check that a file holds it and nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from palate.entities import AnswerKind, Form
from palate.errors import NEWER, StoreError
from palate.store import side_tables
from palate.store.transaction import ERASED

APPLICATION_ID = 0x50414C54  # "PALT", in the file's header: tells our database from anybody's
VERSION = 7

_KINDS = ", ".join(f"'{kind.value}'" for kind in AnswerKind)
_FORMS = ", ".join(f"'{form.value}'" for form in Form if form is not Form.PAGE)  # whose answers rate one item each
_REFUSE = "SELECT RAISE(ABORT, 'the label log only grows')"
_TEXTS = "source question form others tapped name text family channel subject model question_id slate consent"
_NUMBERS = "value propensity asked_at answered_at at score shown_at cost tokens"
_COLUMNS = frozenset(f"{_TEXTS} {_NUMBERS} user_id item_id kind retracts salt erased_by".split())


def _only(has: str, may_have: str = "") -> str:
    """That these columns are set, and all but these and those are not."""
    is_set = sorted(has.split())
    is_not = sorted(_COLUMNS - {*is_set, *may_have.split(), "retracts"})
    return " AND ".join([*(f"{name} IS NOT NULL" for name in is_set), *(f"{name} IS NULL" for name in is_not)])


_OF_LABELS = (
    "value propensity asked_at answered_at family channel subject model question_id score slate shown_at cost tokens "
    "consent"
)
_SLATE = f"        WHEN 'slate' THEN {_only('user_id others tapped text score salt', 'model name at')}\n"


def says(*, slates: bool = True) -> str:
    """What the columns of each kind of row hold; version 5 had no slates."""
    return f"""coalesce(CASE content
        WHEN 'label' THEN kind IN ({_KINDS}) AND (value IS NOT NULL) = (kind = 'rating') AND form IN ({_FORMS})
            AND {_only("user_id item_id kind source question form others tapped salt", _OF_LABELS)}
        WHEN 'event' THEN value BETWEEN -1 AND 1 AND {_only("user_id item_id kind value salt", "at slate")}
        WHEN 'attribute' THEN (value IS NULL OR text IS NULL) AND {_only("user_id name salt", "value text")}
        WHEN 'consent' THEN {_only("user_id name others salt", "at")}
        WHEN 'calibration' THEN value BETWEEN 0 AND 1 AND {_only("source value salt", "subject at")}
{_SLATE if slates else ""}        WHEN 'erasure' THEN retracts IS NULL AND {_only("value text salt")}
        WHEN 'erased' THEN retracts IS NULL AND {_only("erased_by")}
    END, FALSE)"""


def table(whole: str, number: str, octets: str, *, slates: bool = True) -> str:
    """The table, in the types of a database.

    One table of rows of several kinds, so that one sequence orders them all. "value" is the rating of a label, the
    liking of an event, the number that an attribute is, the reliability of a source, how many rows an erasure took,
    and "score" the temperature of a slate, whose items are "others", their probabilities "text", and what was left out
    "tapped". An unknown kind of event is found when it is read: their list grows.
    """
    return f"""CREATE TABLE records (
    seq {whole} PRIMARY KEY,
    key TEXT NOT NULL UNIQUE CHECK (key <> ''),
    content TEXT NOT NULL,
    user_id TEXT,
    item_id TEXT,
    kind TEXT,
    value {number},
    source TEXT,
    propensity {number} CHECK (propensity BETWEEN 0 AND 1),
    question TEXT,
    asked_at {number},
    answered_at {number},
    form TEXT,
    others TEXT,
    tapped TEXT,
    at {number},
    name TEXT,
    text TEXT,
    family TEXT,
    channel TEXT,
    subject TEXT,
    model TEXT,
    question_id TEXT,
    score {number},
    slate TEXT,
    shown_at {number},
    cost {number},
    tokens {whole},
    consent TEXT,
    recorded_at {number} NOT NULL,
    retracts TEXT UNIQUE,
    erased_by {whole},
    salt {octets},
    digest {octets} NOT NULL,
    chain {octets} NOT NULL,
    CHECK ({says(slates=slates)})
)"""


# The triggers make "nothing is changed" hold for every program that opens the file, not only for ours; an erasure is
# the one change, and needs the row that says so. The trigger on INSERT is there for INSERT OR REPLACE, which deletes
# without asking the trigger on DELETE.
TABLE = table("INTEGER", "REAL", "BLOB") + " STRICT"
GUARDS: tuple[str, ...] = (
    "CREATE INDEX records_of_user ON records (user_id, seq) WHERE user_id IS NOT NULL",
    "CREATE INDEX records_of_erasures ON records (seq) WHERE content = 'erasure'",
    f"""CREATE TRIGGER records_no_update BEFORE UPDATE ON records
WHEN NOT coalesce(
    NEW.content = 'erased' AND OLD.user_id IS NOT NULL AND NEW.seq = OLD.seq AND NEW.recorded_at = OLD.recorded_at
    AND NEW.digest = OLD.digest AND NEW.chain = OLD.chain AND NEW.key = '{ERASED}' || lower(hex(OLD.digest))
    AND EXISTS (SELECT 1 FROM records WHERE seq = NEW.erased_by AND content = 'erasure'), FALSE)
BEGIN {_REFUSE}; END""",
    f"CREATE TRIGGER records_no_delete BEFORE DELETE ON records BEGIN {_REFUSE}; END",
    f"""CREATE TRIGGER records_no_replace BEFORE INSERT ON records
WHEN EXISTS (SELECT 1 FROM records WHERE seq = NEW.seq OR key = NEW.key OR retracts = NEW.retracts)
BEGIN {_REFUSE}; END""",
)

# What is to be done after a row (outbox.py).
OUTBOX = (
    "CREATE TABLE topics (topic TEXT NOT NULL PRIMARY KEY)",
    """CREATE TABLE outbox (
    topic TEXT NOT NULL,
    seq {whole} NOT NULL,
    tries {whole} NOT NULL,
    due {number} NOT NULL,
    fault TEXT,
    PRIMARY KEY (topic, seq)
)""",
)
STATEMENTS = (
    TABLE,
    *GUARDS,
    *(statement.format(whole="INTEGER", number="REAL") + " STRICT" for statement in OUTBOX),
)

_TYPES = {"whole": "INTEGER", "number": "REAL"}
SIDE = tuple(one.format(**_TYPES) + " STRICT" * one.startswith("CREATE TABLE") for one in side_tables.CAMPAIGNS)

ALEMBIC = "CREATE TABLE alembic_version (version_num TEXT NOT NULL PRIMARY KEY) STRICT"


def make(connection: sqlite3.Connection) -> None:
    """Make the table in an empty file: all of it or, when the process dies, nothing."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in (*STATEMENTS, *SIDE, ALEMBIC, f"INSERT INTO alembic_version VALUES ('{VERSION:04d}')"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


# In one statement, so that all three are of one moment: another process may be making the table.
_MARKS = """SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
FROM pragma_application_id, pragma_user_version"""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the log in a file; 0 of an empty file.

    Raises:
        StoreError: If the file is another program's database, or a log of a newer version.
        sqlite3.Error: If it is not a database, or cannot be read.
    """
    application, version, tables = connection.execute(_MARKS).fetchone()
    if tables == 0 and application == 0:
        return 0
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database (application_id {application:#x}). Give another path.")
    if version > VERSION:
        raise StoreError(f"{path} is a label log of version {version}; this Palate reads version {VERSION}. {NEWER}")
    if version < 1:
        raise StoreError(f"{path} has version {version}, which no Palate has written. Restore it from a backup.")
    return int(version)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """That a file holds our table, indexes and triggers, and nothing else.

    A trigger of another program could drop what is kept while every call says that it was.

    Raises:
        StoreError: If it holds something else.
    """
    found = set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    expected = {_named(statement) for statement in (*STATEMENTS, *SIDE, ALEMBIC)}
    expected |= {("index", f"sqlite_autoindex_records_{number}", "records", None) for number in (1, 2)}
    beside = ("alembic_version", "topics", "outbox", *side_tables.NAMES)
    expected |= {("index", f"sqlite_autoindex_{name}_1", name, None) for name in beside}
    wrong = sorted(f"{kind} {name}" for kind, name, *_ in found ^ expected)
    if wrong:
        raise StoreError(
            f"{path} does not have the schema of a label log: {wrong[0][:60]} is foreign, changed or missing. "
            "Remove what another program has made in it, or restore it from a backup."
        )


def _named(statement: str) -> tuple[str, str, str, str | None]:
    """A statement as SQLite lists it."""
    _, kind, name = statement.split()[:3]
    of = statement.partition(" ON ")[2].split()[0] if kind == "INDEX" else "records"
    return kind.lower(), name, name if kind == "TABLE" else of, statement
