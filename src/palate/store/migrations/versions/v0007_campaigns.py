"""Campaigns, leases and notes beside the rows; and calibrations found without reading all rows."""

from __future__ import annotations

from alembic import op

from palate.errors import StoreError
from palate.store import postgres_schema, schema, side_tables

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    """The tables, empty."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for statement in postgres_schema.SIDE:
            connection.exec_driver_sql(statement)
        return
    for statement in (*schema.SIDE, "PRAGMA user_version = 7"):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Without them, if there is no campaign.

    Raises:
        StoreError: If there is one.
    """
    connection = op.get_bind()
    n = connection.exec_driver_sql("SELECT count(*) FROM campaigns").scalar()
    if n:
        raise StoreError(f"version 6 cannot keep campaigns, and {n} are here. Nothing was changed; stay at version 7.")
    connection.exec_driver_sql("DROP INDEX records_of_calibrations")
    for name in side_tables.NAMES:
        connection.exec_driver_sql(f"DROP TABLE {name}")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA user_version = 6")
