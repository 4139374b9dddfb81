"""Lists that were shown, with a probability for each place."""

from __future__ import annotations

from alembic import op

from palate.errors import StoreError
from palate.store import postgres_schema, schema
from palate.store.migrations import older
from palate.store.tables import SEALED

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """The same rows in a table that takes slates."""
    _moved(schema.TABLE, slates=True)


def downgrade() -> None:
    """The table before, if no row is a slate.

    Raises:
        StoreError: If one is.
    """
    seq = op.get_bind().exec_driver_sql("SELECT min(seq) FROM records WHERE content = 'slate'").scalar()
    if seq is not None:
        raise StoreError(
            f"row {seq} of the log has what version 5 cannot keep. Nothing was changed; stay at version 6."
        )
    _moved(older.TABLE_5, slates=False)


def _moved(table: str, *, slates: bool) -> None:
    connection, columns = op.get_bind(), ", ".join(SEALED)
    if connection.dialect.name == "postgresql":
        for statement in postgres_schema.other_check(slates=slates):
            connection.exec_driver_sql(statement)
        return
    for statement in (
        *older.DROP_TRIGGERS,
        "DROP INDEX records_of_user",
        "DROP INDEX records_of_erasures",
        "ALTER TABLE records RENAME TO other",
        table,
        f"INSERT INTO records ({columns}) SELECT {columns} FROM other ORDER BY seq",
        "DROP TABLE other",
        *schema.GUARDS,
        f"PRAGMA user_version = {6 if slates else 5}",
    ):
        connection.exec_driver_sql(statement)
