"""Labels, events and attributes in one table: where revisions begin. PostgreSQL begins with the next one."""

from __future__ import annotations

from alembic import op

from palate.errors import StoreError
from palate.store.migrations.older import VERSION_4

revision, down_revision = "0004", None


def upgrade() -> None:
    """Make the table in an empty SQLite file."""
    if op.get_bind().dialect.name == "sqlite":
        for statement in VERSION_4:
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Raises StoreError: there is nothing below."""
    raise StoreError("version 4 is the oldest that a log can be moved down to. Nothing was changed.")
