"""What a label store is, and which of its rows count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from palate.records import Content, Record


class LabelStore(Protocol):
    """Where labels, events and attributes are kept, in one sequence. Stability: Caller.

    :class:`palate.testing.LabelStoreContract` holds what each must keep.
    """

    def append(self, contents: Sequence[Content]) -> list[Record]:
        """Keep them all, or none; one record each, in the same order. A repeat gives the record kept before."""
        ...

    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record:
        """Take the row of this key back, by one more row."""
        ...

    def records(self, after_seq: int = 0) -> Iterator[Record]:
        """Every row with a greater ``seq``, retractions too, in order."""
        ...

    def find(self, key: str) -> Record | None:
        """The row of this key; None if there is none."""
        ...

    def close(self) -> None:
        """Let the store go; what was appended stays."""
        ...


def active(records: Iterable[Record]) -> list[Record]:
    """Those that count: not taken back, by ``seq``. The order in which ``records`` come does not matter."""
    rows = sorted(records, key=lambda record: record.seq)
    retracted = {record.retracts for record in rows if record.retracts}
    return [record for record in rows if not record.retracts and record.content.key not in retracted]
