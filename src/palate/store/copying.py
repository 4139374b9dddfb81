"""A log copied row by row into another database, each row as it is: with its place, its digest and the chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palate.errors import StoreError
from palate.store import side_tables
from palate.store.sql_log import SealedRow, SqlLog
from palate.store.tables import SEALED

_CONTENT, _DIGEST, _CHAIN = SEALED.index("content"), SEALED.index("digest"), SEALED.index("chain")


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of it.

    Attributes:
        rows: In both logs.
        new: Of them those that were not there before.
        chain: Hash of everything in both, in hexadecimal digits.
    """

    rows: int
    new: int
    chain: str


def copy_rows(source: SqlLog, target: SqlLog, *, progress: Callable[[int], None] = lambda _done: None) -> Copied:
    """Make one log the same as another; what is there already is compared, so an interrupted copy is done again.

    Rows are added some at a time, each time all or none. What was erased in the source is erased in the target. The
    campaigns of the source take the place of those in the target.

    Raises:
        StoreError: If the target holds something else, or either cannot be used.
    """
    rows, new, chain = 0, 0, b""
    erased: list[SealedRow] = []
    while page := source.sealed(rows):
        there = {row[0]: row for row in target.sealed(rows, len(page))}
        missing = [row for row in page if row[0] not in there]
        erased += [row for row in page if row[0] in there and _is_erased_since(row, there[row[0]])]
        if missing:
            target.take(missing)
            new += len(missing)
        rows, chain = page[-1][0], page[-1][_CHAIN]
        progress(rows)
    if target.last_seq != rows:
        raise StoreError(f"the target has {target.last_seq:,} rows and the source {rows:,}. Give an empty target.")
    if erased:
        target.take((), erased)  # now that the rows that say so are there
    tables = side_tables.read_all(source.select)
    target.together(lambda log: side_tables.replace_all(log.execute, tables))
    return Copied(rows, new, chain.hex())


def _is_erased_since(row: SealedRow, there: SealedRow) -> bool:
    """Whether the source has erased what the target still holds.

    Raises:
        StoreError: If they are two different rows.
    """
    if (row[0], row[_DIGEST], row[_CHAIN]) != (there[0], there[_DIGEST], there[_CHAIN]):
        raise StoreError(f"row {row[0]} of the target is another than that of the source. Give an empty target.")
    if there[_CONTENT] == "erased" != row[_CONTENT]:
        raise StoreError(f"row {row[0]} is erased in the target and not in the source. Give the log that is newer.")
    return bool(row[_CONTENT] == "erased" != there[_CONTENT])
