"""From the log into a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from palate.exchange.formats import WHOLE, write
from palate.records import Record
from palate.store.protocol import LabelStore, refusing


def dump(log: LabelStore, path: Path, format: str, *, purpose: str = "") -> tuple[int, int]:
    """Write a log to a file, one row at a time.

    Our own formats hold every row, those taken back too. The file of an annotation tool holds the labels that count and
    are about one item.

    Args:
        purpose: For which the file is: users whose last consent leaves it out are left out. Empty: nobody is.
    Returns:
        How many rows were written, and how many were left out because the format has no place for them.
    """
    refused = refusing(log.records(), purpose) if purpose else frozenset()
    rows = log.records() if format in WHOLE else active_rows(log)
    return write((row for row in rows if row.user_id not in refused), path, format)


def active_rows(log: LabelStore) -> Iterator[Record]:
    """The rows that count; of the others only the keys are held in memory."""
    retracted = {record.retracts for record in log.records() if record.retracts}
    yield from (record for record in log.records() if not record.retracts and record.content.key not in retracted)
