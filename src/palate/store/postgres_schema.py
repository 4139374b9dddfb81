"""The table of the log in PostgreSQL, and the check that a database holds it and nothing that changes what it says."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy.dialects import postgresql

from palate.errors import NEWER, StoreError
from palate.store import schema, side_tables
from palate.store.schema import VERSION
from palate.store.tables import records
from palate.store.transaction import ERASED

# What the table holds of people: kept out of the planner's statistics, where an erasure would not find it.
_OF_PEOPLE = ("key", "user_id", "item_id", "source", "text", "name", "others", "tapped", "slate", "retracts")

# An erasure is the one change, and needs the row that says so. The table's CHECK holds what an erased row has left.
_GROWS = f"""
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.content = 'erased' AND OLD.user_id IS NOT NULL AND NEW.key = '{ERASED}' || encode(OLD.digest, 'hex')
            AND (NEW.seq, NEW.recorded_at, NEW.digest, NEW.chain) = (OLD.seq, OLD.recorded_at, OLD.digest, OLD.chain)
            AND EXISTS (SELECT FROM records WHERE seq = NEW.erased_by AND content = 'erasure')
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the label log only grows';
END
"""
STATEMENTS = (
    schema.table("bigint", "double precision", "bytea"),
    "CREATE INDEX records_of_user ON records (user_id, seq) WHERE user_id IS NOT NULL",
    "CREATE INDEX records_of_erasures ON records (seq) WHERE content = 'erasure'",
    *(f"ALTER TABLE records ALTER COLUMN {name} SET STATISTICS 0" for name in _OF_PEOPLE),
    f"CREATE FUNCTION records_grow() RETURNS trigger LANGUAGE plpgsql AS $${_GROWS}$$",
    "CREATE TRIGGER records_grow BEFORE UPDATE OR DELETE ON records FOR EACH ROW EXECUTE FUNCTION records_grow()",
    "CREATE TRIGGER records_stay BEFORE TRUNCATE ON records EXECUTE FUNCTION records_grow()",
    *(statement.format(whole="bigint", number="double precision") for statement in schema.OUTBOX),
)
SIDE = (
    *(statement.format(whole="bigint", number="double precision") for statement in side_tables.CAMPAIGNS),
    *(
        f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0"
        for table, column in (
            *(("campaigns", "specification"), ("notes", "comment")),
            *(("leases", name) for name in ("user_id", "item_id", "source", "label_key", "value", "reason")),
        )
    ),
)
DROPPED = ("DROP TABLE records, topics, outbox", "DROP FUNCTION records_grow()")
_ALEMBIC = (
    "CREATE TABLE alembic_version (version_num text NOT NULL PRIMARY KEY)",
    f"INSERT INTO alembic_version VALUES ('{VERSION:04d}')",
)


# What a database says of the table: its columns, keys and triggers, and whatever else acts on its rows.
_FACTS = """
SELECT concat_ws(' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
    FROM pg_attribute a WHERE a.attrelid = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT concat_ws(' ', 'constraint', c.contype, pg_get_constraintdef(c.oid))
    FROM pg_constraint c WHERE c.conrelid = %(table)s AND c.contype NOT IN ('c', 'n')
UNION ALL SELECT concat_ws(' ', 'trigger', t.tgname, t.tgtype, t.tgenabled, md5(p.prosrc))
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = %(table)s AND NOT t.tgisinternal
UNION ALL SELECT concat_ws(' ', 'rule', r.rulename) FROM pg_rewrite r WHERE r.ev_class = %(table)s
UNION ALL SELECT concat_ws(' ', 'policy', p.polname) FROM pg_policy p WHERE p.polrelid = %(table)s
UNION ALL SELECT concat_ws(' ', 'child', i.inhrelid::regclass) FROM pg_inherits i WHERE i.inhparent = %(table)s
UNION ALL SELECT concat_ws(' ', 'kind', c.relkind, c.relpersistence, c.relrowsecurity)
    FROM pg_class c WHERE c.oid = %(table)s
"""
# Of the tables beside it: their columns, and whatever else acts on their rows.
_BESIDE = """
SELECT c.relname, f.fact FROM pg_class c CROSS JOIN LATERAL (
    SELECT concat_ws(' ', 'column', a.attname) AS fact
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT concat_ws(' ', 'trigger', t.tgname)
        FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
    UNION ALL SELECT concat_ws(' ', 'rule', r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid
    UNION ALL SELECT concat_ws(' ', 'policy', p.polname) FROM pg_policy p WHERE p.polrelid = c.oid
) f WHERE c.relname = ANY(%s) AND c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
"""
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPES = {"BIGINT": "bigint", "TEXT": "text", "DOUBLE PRECISION": "double precision", "BYTEA": "bytea"}


def _expected() -> set[str]:
    source = hashlib.md5(_GROWS.encode(), usedforsecurity=False).hexdigest()
    columns = {
        f"column {column.name} {_TYPES[column.type.compile(_DIALECT)]} {'ft'[not column.nullable]}"
        for column in records.columns
    }
    constraints = {"constraint p PRIMARY KEY (seq)", "constraint u UNIQUE (key)", "constraint u UNIQUE (retracts)"}
    triggers = {f"trigger records_grow 27 O {source}", f"trigger records_stay 34 O {source}"}
    beside = {f"{table} column {column}" for table, columns in side_tables.COLUMNS.items() for column in columns}
    return columns | constraints | triggers | beside | {"kind r p f"}


def other_check(*, slates: bool) -> tuple[str, ...]:
    """The statements that change what a row may be: with slates, as in version 6, or without, as in version 5."""
    return (
        "ALTER TABLE records DROP CONSTRAINT records_check",
        f"ALTER TABLE records ADD CONSTRAINT records_check CHECK ({schema.says(slates=slates)})",
    )


_UP = {5: other_check(slates=True), 6: SIDE}  # what leads from a version to the next


def prepare(connection: Any, name: str, *, read_only: bool) -> None:
    """Make the table where there is none; refuse one that is not as it was made.

    Raises:
        StoreError: If the database holds something else under its name, or a log of another version.
    """
    table = _table(connection)
    if table is None and read_only:
        raise StoreError(f"{name} holds no label log. Open it for writing once, or give another database.")
    if table is None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1346456660))")
            if _table(connection) is None:
                for statement in (*STATEMENTS, *SIDE, *_ALEMBIC):
                    connection.execute(statement)
        table = _table(connection)
    if not read_only and _version(connection) in _UP:
        _move_up(connection)
    _check(connection, name, table)


def _move_up(connection: Any) -> None:
    """From an older version, in one transaction; whoever waited meanwhile finds it done."""
    with connection.transaction():
        connection.execute("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
        for version in range(_version(connection) or VERSION, VERSION):
            for statement in _UP[version]:
                connection.execute(statement)
        connection.execute(f"UPDATE alembic_version SET version_num = '{VERSION:04d}'")


def _table(connection: Any) -> int | None:
    """The table's oid in the first schema of the search path, if it is there."""
    found = connection.execute(
        "SELECT c.oid FROM pg_class c WHERE c.relname = 'records' AND c.relnamespace = current_schema()::regnamespace"
    ).fetchone()
    return None if found is None else int(found[0])


def _version(connection: Any) -> int | None:
    """As Alembic keeps it, in the same schema as the table."""
    (there,) = connection.execute("SELECT to_regclass(quote_ident(current_schema()) || '.alembic_version')").fetchone()
    found = [] if there is None else connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return int(found[0][0]) if len(found) == 1 and found[0][0].isdigit() else None


def _check(connection: Any, name: str, table: int | None) -> None:
    version = _version(connection)
    if version is None:
        raise StoreError(f"{name} has a table records that is no label log. Give another database or schema.")
    if version > VERSION:
        raise StoreError(f"{name} is a label log of version {version}; this Palate reads version {VERSION}. {NEWER}")
    if version in _UP:
        older = f"{name} is a label log of version {version}"
        raise StoreError(f"{older}. Open it once to write, which moves it to version {VERSION}.")
    if version < VERSION:
        raise StoreError(f"{name} has version {version}, which no Palate has written. Restore it from a backup.")
    found = {fact for (fact,) in connection.execute(_FACTS, {"table": table}).fetchall()}
    found |= {f"{of} {fact}" for of, fact in connection.execute(_BESIDE, [list(side_tables.NAMES)]).fetchall()}
    strange, missing = sorted(found - _expected()), sorted(_expected() - found)
    if strange or missing:
        what = f"it has {strange[0]!r}" if strange else f"it lacks {missing[0]!r}"
        raise StoreError(f"the table of {name} is not as it was made: {what}. Undo the change, or restore a backup.")
