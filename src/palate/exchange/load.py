"""From a file into the log: what is good goes in, what is not goes to a file of its own with the reason."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from palate.datasets.files.boundary import boundary
from palate.datasets.files.limits import DEFAULT_LIMITS, Limits
from palate.datasets.files.rejects import Reject, inert_cells
from palate.entities import USER
from palate.errors import DataError, InputError
from palate.exchange.formats import read
from palate.exchange.rows import Row, RowFault, Told, told_of
from palate.exchange.tools import Meaning
from palate.records import Consent, Content, Erasure, Record, erased_among
from palate.store.protocol import LabelStore

BATCH = 1_000  # rows a commit


@dataclass(slots=True)
class Loaded:
    """What became of the rows of a file.

    Attributes:
        added: New in the log.
        repeated: Already there, unchanged.
        rejected: In the file of rejects, with line, column and reason.
    """

    added: int = 0
    repeated: int = 0
    rejected: int = 0


def load(
    path: Path,
    log: LabelStore,
    format: str,
    *,
    rejects: Path,
    meaning: Meaning | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] = lambda _done: None,
) -> Loaded:
    """Append the rows of a file to a log, :data:`BATCH` of them a commit. A second time adds nothing.

    Args:
        format: One of :data:`palate.exchange.formats.FORMATS`.
        rejects: Where the rows go that are not taken; written only if there are some.
        meaning: How the words of an annotation tool are taken.
        progress: Called with the number of rows read.
    Raises:
        DataError: If the file as a whole cannot be read; the rows before that place are in the log.
        LimitError: If a limit is passed; likewise.
        StoreError: If the log refuses. Loading the file again goes on where it stopped.
    """
    loaded, done = Loaded(), 0
    erased = {one.key: one for one in log.erasures()}
    rejects.unlink(missing_ok=True)
    with boundary(path.name), _written(rejects) as reject:
        batch: list[tuple[int, Told]] = []
        try:
            for line, row in read(path, format, meaning or Meaning(), limits):
                done += 1
                told = _told(row, path.name, line)
                if not isinstance(told, Reject) and erased:
                    told = _obeying(told, erased, log, path.name, line)
                if isinstance(told, Reject):
                    loaded.rejected += 1
                    reject(told)
                    continue
                batch.append((line, told))
                if len(batch) >= BATCH:
                    whole, batch = batch, []
                    _keep(whole, log, loaded, path.name, reject)
                    progress(done)
        except DataError:
            _keep(batch, log, loaded, path.name, reject)
            raise
        _keep(batch, log, loaded, path.name, reject)
    return loaded


def _told(row: Row | Reject, name: str, line: int) -> Told | Reject:
    try:
        return row if isinstance(row, Reject) else told_of(row)
    except RowFault as fault:
        return Reject(name, line, fault.column, fault.reason)


def _obeying(told: Told, erased: dict[str, Erasure], log: LabelStore, name: str, line: int) -> Told | Reject:
    """The row, unless it is a consent from before an erasure: it would bring back who was erased.

    Args:
        erased: By key, the erasures of the log that the file has not told of so far: they may be later than its rows.
    """
    content = told.content
    if isinstance(content, Erasure):
        erased.pop(content.key, None)
    if not isinstance(content, Consent) or (content.key and log.find(content.key) is not None):
        return told
    if not erased_among([content.user_id], erased.values()):
        return told
    return Reject(
        name, line, USER, "the user was erased, and the file does not say so. Append a new consent of theirs."
    )


def _keep(
    batch: list[tuple[int, Told]], log: LabelStore, loaded: Loaded, name: str, reject: Callable[[Reject], None]
) -> None:
    """Append them together, and one by one only where the log refuses some: each of the others is kept."""
    before = log.last_seq
    for group in _groups(batch):
        try:
            kept = _kept([told for _, told in group], log)
        except InputError:
            kept = []
            for line, told in group:
                try:
                    kept += _kept([told], log)
                except InputError as error:
                    loaded.rejected += 1
                    reject(Reject(name, line, "key" if "key" in str(error)[:60] else "", str(error)))
        new = {record.seq for record in kept if record.seq > before}
        loaded.added += len(new)
        loaded.repeated += len(kept) - len(new)
        before = max(new, default=before)


def _groups(batch: list[tuple[int, Told]]) -> Iterator[list[tuple[int, Told]]]:
    """Rows that can be appended together, in order: what takes a row back comes alone, after it."""
    group: list[tuple[int, Told]] = []
    for line, told in batch:
        if told.retracts:
            if group:
                yield group
                group = []
            yield [(line, told)]
        else:
            group.append((line, told))
    if group:
        yield group


def _kept(group: list[Told], log: LabelStore) -> list[Record]:
    contents: list[Content] = [told.content for told in group if not told.retracts]
    if contents:
        return log.append(contents)
    (told,) = group
    source = getattr(told.content, "source", "person")
    return [log.retract(told.retracts, source=source, retraction_key=told.content.key)]


@contextmanager
def _written(path: Path) -> Iterator[Callable[[Reject], None]]:
    """A file of rejects that is made with the first of them; nothing in it is a formula to a spreadsheet."""
    stream = None

    def reject(found: Reject) -> None:
        nonlocal stream
        if stream is None:
            stream = path.open("w", newline="", encoding="utf-8")
            csv.writer(stream).writerow(Reject._fields)
        csv.writer(stream).writerow(inert_cells(found))

    try:
        yield reject
    finally:
        if stream is not None:
            stream.close()
