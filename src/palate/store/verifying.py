"""Whether a log is as it was kept: every row, the chain, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from palate.store import chain, rows
from palate.store.chain import Head
from palate.store.protocol import Report
from palate.store.tables import SAID

MOST_FAULTS = 100  # that are named


class _Reading:
    """What was found so far."""

    def __init__(self) -> None:
        self.n, self.head = 0, Head()
        self.faults: list[str] = []
        self.first_bad_seq: int | None = None
        self.promised: dict[int, int] = {}  # seq of an erasure -> how many rows it says that it took
        self.erased: Counter[int] = Counter()

    def fault(self, text: str, seq: int | None = None) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(text)
        if seq is not None:
            self.first_bad_seq = seq if self.first_bad_seq is None else min(seq, self.first_bad_seq)

    def read(self, row: tuple[Any, ...]) -> None:
        said, (erased_by, salt, digest, linked) = row[: len(SAID)], row[len(SAID) :]
        seq = said[0]
        self.n += 1
        if erased_by is not None:
            self.erased[erased_by] += 1
        else:
            self._read_said(said, salt, digest)
        if not isinstance(digest, bytes) or not isinstance(linked, bytes):  # one flipped bit makes it nothing
            self.fault(f"row {seq} has no digest, or no link to the one before", seq)
            digest = linked = bytes(32)
        elif self.head.after(seq, digest).chain != linked:
            self.fault(f"row {seq} does not follow row {self.head.seq}: rows were changed, added or taken out", seq)
        self.head = Head(seq, linked)  # the row after it is measured by this one, so that each fault is named once

    def _read_said(self, said: rows.Row, salt: bytes, digest: bytes) -> None:
        seq = said[0]
        try:
            is_same = chain.digest(said, salt) == digest
            record = rows.to_record(said)
        except Exception as error:  # noqa: BLE001 - it may hold anything
            return self.fault(f"row {seq} cannot be read: {error!r:.200}", seq)
        if not is_same:
            self.fault(f"row {seq} is not what was kept: it does not match its digest", seq)
        if said[2] == "erasure":
            self.promised[seq] = getattr(record.content, "rows", 0)


def verified(
    page: Callable[[int], list[tuple[Any, ...]]], kept_head: Head | None, faults: Callable[[], list[str]]
) -> Report:
    """Read all rows.

    Args:
        page: Some rows after a seq, in the order of tables.SEALED.
        kept_head: As it is kept outside the database, read before; None if it is not.
        faults: What is wrong beside the rows.
    """
    found = _Reading()
    kept = kept_head or Head()
    for row in _rows(page):
        found.read(row)
        if row[0] == kept.seq and row[-1] != kept.chain:
            found.fault(f"row {kept.seq} is not the one that was kept: the head beside the log names another", kept.seq)
    if found.head.seq < kept.seq:
        n, after = kept.seq - found.head.seq, found.head.seq
        found.fault(f"{n} rows after row {after} are lost: rows up to {kept.seq} were kept", after + 1)
    for by in sorted({*found.promised, *found.erased}):
        if found.promised.get(by) != found.erased[by]:
            promised = found.promised.get(by, "no erasure, not")
            found.fault(f"row {by} says that {promised} rows were erased, and {found.erased[by]} were", by)
    found.faults += faults()
    return Report(found.n, found.head.seq, found.erased.total(), tuple(found.faults), found.first_bad_seq)


def _rows(page: Callable[[int], list[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
    after = -(2**63)
    while found := page(after):
        yield from found
        after = found[-1][0]
