"""Provenance of answers, consents, calibrations, erasures, and a hash chain over all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from palate.errors import StoreError
from palate.store import chain, postgres_schema, schema
from palate.store.chain import Head
from palate.store.migrations import older
from palate.store.tables import SAID, SEALED

revision, down_revision = "0005", "0004"

_NEW = (
    "family",
    "channel",
    "subject",
    "model",
    "question_id",
    "score",
    "slate",
    "shown_at",
    "cost",
    "tokens",
    "consent",
)
_CANNOT_GO_BACK = "SELECT min(seq) FROM records WHERE content NOT IN ('label', 'event', 'attribute') OR " + " OR ".join(
    f"{name} IS NOT NULL" for name in _NEW
)
_PAGE_ROWS = 1_000


def upgrade() -> None:
    """Another table in the place of the old one; every row gets a salt, a digest and its link in the chain."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for statement in postgres_schema.STATEMENTS:
            connection.exec_driver_sql(statement)
        return
    rename = "ALTER TABLE records RENAME TO older"
    for statement in (*older.DROP_TRIGGERS, rename, older.TABLE_5, *schema.STATEMENTS[1:]):
        connection.exec_driver_sql(statement)
    insert = f"INSERT INTO records ({', '.join(SEALED)}) VALUES ({', '.join('?' * len(SEALED))})"
    head = Head()
    for page in _pages(connection):
        sealed = []
        for row in page:
            kept = dict(zip(older.COLUMNS.split(", "), row, strict=True))
            said, salt = tuple(map(kept.get, SAID)), chain.new_salt()
            digest = chain.digest(said, salt)
            head = head.after(row[0], digest)
            sealed.append((*said, None, salt, digest, head.chain))
        connection.exec_driver_sql(insert, sealed)
    connection.exec_driver_sql("DROP TABLE older")
    connection.exec_driver_sql("PRAGMA user_version = 5")


def downgrade() -> None:
    """The old table, if it can hold every row.

    Raises:
        StoreError: If it cannot.
    """
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":  # below there is nothing
        seq = connection.exec_driver_sql("SELECT min(seq) FROM records").scalar()
        if seq is not None:
            fact = f"version 5 is the oldest that a log in PostgreSQL can have, and row {seq} is in it"
            raise StoreError(f"{fact}. Nothing was changed; move it to SQLite first: palate store move.")
        for statement in postgres_schema.DROPPED:
            connection.exec_driver_sql(statement)
        return
    seq = connection.exec_driver_sql(_CANNOT_GO_BACK).scalar()
    if seq is not None:
        raise StoreError(
            f"row {seq} of the log has what version 4 cannot keep. Nothing was changed; stay at version 5."
        )
    for statement in (
        *older.DROP_TRIGGERS,
        "DROP INDEX records_of_user",
        "DROP INDEX records_of_erasures",
        "DROP TABLE outbox",
        "DROP TABLE topics",
        "ALTER TABLE records RENAME TO newer",
        *older.VERSION_4,
        f"INSERT INTO records ({older.COLUMNS}) SELECT {older.COLUMNS} FROM newer ORDER BY seq",
        "DROP TABLE newer",
    ):
        connection.exec_driver_sql(statement)


def _pages(connection: sa.Connection) -> Iterator[list[tuple[Any, ...]]]:
    after = -(2**63)
    statement = f"SELECT {older.COLUMNS} FROM older WHERE seq > ? ORDER BY seq LIMIT {_PAGE_ROWS}"
    while page := connection.exec_driver_sql(statement, (after,)).fetchall():
        yield [tuple(row) for row in page]
        after = page[-1][0]
