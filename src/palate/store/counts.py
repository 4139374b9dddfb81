"""What a log holds, counted by the database: labels a day, and erasures. Nothing of what anybody said is read."""

from __future__ import annotations

from typing import NamedTuple

from palate.store.protocol import Receipt
from palate.store.sql_log import SqlLog

DAY_SECONDS = 86_400
MOST_ROWS = 1_000_000  # of the log that are counted, from its end

# PostgreSQL rounds to a whole number where SQLite cuts. Half a second less makes them agree; so late a day begins.
_LABELS = f"""
SELECT CAST(recorded_at - 0.5 AS BIGINT) / {DAY_SECONDS}, COALESCE(channel, ''), kind, COUNT(*) FROM records
WHERE content = 'label' AND retracts IS NULL AND seq > {{0}} AND recorded_at >= {{0}}
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_ERASURES = "SELECT seq, key, value, recorded_at FROM records WHERE content = 'erasure' ORDER BY seq DESC LIMIT {0}"


class Labels(NamedTuple):
    """How many labels came on a day in one way.

    Attributes:
        day: Days since the epoch, in UTC, by when they were kept.
        channel: The way they came; empty where it is not known.
        kind: Of :class:`palate.entities.AnswerKind`.
    """

    day: int
    channel: str
    kind: str
    n: int


def labels_a_day(log: SqlLog, since: float) -> list[Labels]:
    """Labels by day, channel and kind, those taken back later too, of the last million rows.

    Args:
        since: Seconds since the epoch.

    Example:
        >>> import tempfile
        >>> from palate.records import rate
        >>> from palate.store.sqlite_log import LabelLog
        >>> with LabelLog.open(tempfile.mkdtemp() + "/labels.sqlite", clock=lambda: 300_000.0) as log:
        ...     kept = log.append([rate("ann", "i7", 4.0), rate("bob", "i7", 2.0)])
        ...     labels_a_day(log, since=0.0)
        [Labels(day=3, channel='', kind='rating', n=2)]
    """
    found = log.select(_LABELS, (max(0, log.last_seq - MOST_ROWS), since))
    return [Labels(int(day), channel, kind, int(n)) for day, channel, kind, n in found]


def last_erasures(log: SqlLog, at_most: int) -> list[Receipt]:
    """The receipts of the last erasures, newest first; who was erased, nobody knows."""
    found = log.select(_ERASURES, (at_most,))
    return [Receipt(int(seq), key, int(rows or 0), at) for seq, key, rows, at in found]
