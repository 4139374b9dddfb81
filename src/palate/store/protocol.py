"""What a label store is, and which of its rows count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from palate.records import Consent, Content, Erasure, Record


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a user's rows lost what they said.

    Attributes:
        seq, key: Of the row that says so (:class:`palate.records.Erasure`).
        rows: How many rows lost their content.
        erased_at: Seconds since the epoch.
    """

    seq: int
    key: str
    rows: int
    erased_at: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that cannot be read and is passed over: what another program wrote, or a disk changed."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What :meth:`LabelStore.verify` found.

    Attributes:
        rows: How many there are.
        last_seq: Of the last row, 0 where there is none.
        erased: How many of them lost what they said by an erasure.
        faults: What is wrong, in order; each names its row where it is one.
        first_bad_seq: The first row that is not as it was kept; None where all are.
        database: In what it is kept, with the version; empty where the store does not say.
    """

    rows: int
    last_seq: int
    erased: int
    faults: tuple[str, ...] = ()
    first_bad_seq: int | None = None
    database: str = field(default="", compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether every row is as it was kept, and none is missing."""
        return not self.faults


class LabelStore(Protocol):
    """Where labels, events and attributes are kept, in one sequence. Stability: Caller.

    :class:`palate.testing.LabelStoreContract` holds what each must keep.
    """

    def append(self, contents: Sequence[Content]) -> list[Record]:
        """Keep them all, or none; one record each, in the same order.

        A repeat gives the record kept before, with ``is_repeat``.
        """
        ...

    def check_writable(self) -> None:
        """Raises StoreError if no row can be kept now."""
        ...

    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record:
        """Take the row of this key back, by one more row."""
        ...

    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        """Every row with a greater ``seq``, retractions too, in order; of one user, where one is given."""
        ...

    def find(self, key: str) -> Record | None:
        """The row of this key; None if there is none, or what it said was erased."""
        ...

    @property
    def last_seq(self) -> int:
        """Of the last row, 0 where there is none."""
        ...

    def erase(self, user_id: str, *, key: str = "") -> Receipt:
        """Take from every row of a user what it says, and refuse further ones until they consent anew."""
        ...

    def erasures(self, after_seq: int = 0) -> list[Erasure]:
        """The erasures with a greater ``seq``, in order."""
        ...

    def calibrations(self) -> list[Record]:
        """The rows that say how reliable a source is, and those that take such a row back, in order."""
        ...

    def users_of(self, source: str) -> list[str]:
        """Users about whom this source answered, each once."""
        ...

    def verify(self) -> Report:
        """Read every row and compare it with its digest and the chain with the head kept outside the database."""
        ...

    def quarantined(self) -> list[Quarantined]:
        """The rows that were passed over in reading since the store was opened."""
        ...

    def close(self) -> None:
        """Let the store go; what was appended stays."""
        ...


def active(records: Iterable[Record]) -> list[Record]:
    """Those that count: not taken back, by ``seq``. The order in which ``records`` come does not matter."""
    rows = sorted(records, key=lambda record: record.seq)
    retracted = {record.retracts for record in rows if record.retracts}
    return [record for record in rows if not record.retracts and record.content.key not in retracted]


def refusing(records: Iterable[Record], purpose: str) -> frozenset[str]:
    """Users whose last consent leaves a purpose out. Of whom there is no consent, they allow everything."""
    rows = active(row for row in records if row.retracts or isinstance(row.content, Consent))
    last = {row.user_id: row.content.purposes for row in rows if isinstance(row.content, Consent)}
    return frozenset(user for user, purposes in last.items() if purpose not in purposes)
