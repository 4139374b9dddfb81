"""The label log: every label, event and attribute, in the order it came, kept for good.

The log is the truth; a posterior is what replaying it gives. It is one SQLite file that only grows: to take a row back
is one more row. :meth:`LabelLog.append` returns when the rows are on the disk (WAL, ``synchronous=FULL``).

Processes may share a log. They write in turn, under a lock file beside it, because SQLite 3.7.0 to 3.51.2 can lose a
commit when two connections write and checkpoint at once (the WAL-reset bug). Open the log after a fork, not before.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from palate.errors import AnswerError, StoreError
from palate.errors.checks import normalise_id
from palate.records import Content, Record
from palate.store import rows
from palate.store.lock import exclusive
from palate.store.schema import prepare

WAIT_SECONDS = 30.0  # for another process that writes
PAGE_ROWS = 1_000  # read at a time, so that a slow reader holds no transaction open and the WAL can be emptied

_KEPT = rows.COLUMNS.removeprefix("seq, ")
_PLACES = ", ".join("?" for _ in _KEPT.split(","))
_INSERT = f"INSERT INTO records ({_KEPT}) VALUES ({_PLACES}) RETURNING seq"
_BY_KEY = f"SELECT {rows.COLUMNS} FROM records WHERE key = ?"
_BY_RETRACTED = f"SELECT {rows.COLUMNS} FROM records WHERE retracts = ?"
_PAGE = f"SELECT {rows.COLUMNS} FROM records WHERE seq > ? ORDER BY seq LIMIT ?"

_REMEDIES = {
    sqlite3.SQLITE_FULL: "Free some disk space, then send the same again",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "Give a path in a folder that exists and is writable",
    sqlite3.SQLITE_NOTADB: "Give the path of a label log, or of a file that does not exist yet",
    sqlite3.SQLITE_CORRUPT: "Restore it from a backup",
    sqlite3.SQLITE_BUSY: "Let the other program that holds it finish, then try again",
    sqlite3.SQLITE_IOERR: "Check the disk, then open the log again",
}


class LabelLog:
    """A :class:`LabelStore` in one SQLite file. Safe to share between threads; use as a context manager.

    Args:
        connection: Of a file that :meth:`open` has checked.
        clock: Gives ``recorded_at``, in seconds since the epoch. Nothing is ordered by it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._path = path
        self._connection = connection
        self._clock = clock
        self._mutex = threading.Lock()
        self._process = os.getpid()
        self._unusable = ""

    @classmethod
    def open(cls, path: Path | str, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the log at ``path``; make it if there is no file.

        Raises:
            StoreError: If it cannot be opened, is not a label log, or is one of a newer version.
        """
        path = Path(path)
        with _told(path), exclusive(_lock_file(path), wait_seconds=WAIT_SECONDS):
            return cls(path, _connect(path), clock)

    def append(self, contents: Sequence[Content]) -> list[Record]:
        """Keep answers, events and attributes, all or none, on the disk before this returns.

        One whose key is in the log changes nothing and gives the first record again, even if that one has been
        retracted since. The client's times do not count in that comparison: a repeat may be stamped anew.

        Returns:
            One record each, in the same order.
        Raises:
            AnswerError: If the key of one is taken by something else.
            InputError: If one cannot be kept.
            StoreError: If the disk refuses. None of them is acknowledged; sending them again is harmless.
        """
        checked = rows.checked(contents)
        if not checked:
            return []
        with self._transaction():
            return [self._keep(content) for content in checked]

    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record:
        """Take a row back, by one more row.

        Args:
            key: Of the label, event or attribute. Of an attribute the value told before counts again.
            source: Who takes a label back.
            retraction_key: Client-made key of the retraction itself, which makes a repeat harmless. Empty: one is made.
        Returns:
            The new row: ``retracts`` is ``key``, and it says again what is taken back.
        Raises:
            AnswerError: If no row has this key, it has been taken back, or ``retraction_key`` is another row's.
            StoreError: If the disk refuses.
        """
        key = normalise_id(key, "key")
        retraction_key = normalise_id(retraction_key, "retraction_key") if retraction_key else ""
        with self._transaction():
            known = self._find(_BY_KEY, retraction_key) if retraction_key else None
            if known is not None and known.retracts == key:
                return known
            return self._keep(rows.retraction(self._retractable(key).content, source, retraction_key), retracts=key)

    def records(self, after_seq: int = 0) -> Iterator[Record]:
        """Every row with a greater ``seq``, retractions too, in order."""
        while page := self._page(after_seq):
            yield from map(rows.to_record, page)
            after_seq = page[-1][0]

    def find(self, key: str) -> Record | None:
        """The row of this key; None if there is none."""
        with self._mutex, _told(self._path):
            self._check_usable()
            return self._find(_BY_KEY, key)

    def close(self) -> None:
        """Let the file go. What was acknowledged is on the disk already."""
        with self._mutex, _told(self._path), exclusive(_lock_file(self._path), wait_seconds=WAIT_SECONDS):
            self._unusable = "is closed. Open it again"
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _keep(self, content: Content, retracts: str = "") -> Record:
        known = self._find(_BY_KEY, content.key)
        if known is not None:
            rows.check_same(known, content, retracts)
            return known
        now = float(self._clock())
        (seq,) = self._connection.execute(_INSERT, rows.to_row(content, now, retracts)).fetchone()
        return Record(seq, content, now, retracts)

    def _retractable(self, key: str) -> Record:
        record = self._find(_BY_KEY, key)
        if record is None:
            raise AnswerError(f"no row of the log has the key {key!r}. Give the key of one that is there.")
        if record.retracts:
            raise AnswerError(f"the row {key!r} is itself a retraction. To undo it, append what it took back anew.")
        if self._find(_BY_RETRACTED, key) is not None:
            raise AnswerError(f"the row {key!r} has already been retracted. There is nothing left to undo.")
        return record

    def _find(self, statement: str, value: str) -> Record | None:
        row = self._connection.execute(statement, (value,)).fetchone()
        return None if row is None else rows.to_record(row)

    def _page(self, after_seq: int) -> list[tuple[Any, ...]]:
        with self._mutex, _told(self._path):
            self._check_usable()
            return self._connection.execute(_PAGE, (after_seq, PAGE_ROWS)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One writer at a time; all or none; synced when it ends."""
        with self._mutex, _told(self._path):
            self._check_usable()
            with exclusive(_lock_file(self._path), wait_seconds=WAIT_SECONDS):
                try:
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield
                    self._connection.execute("COMMIT")
                except BaseException as error:
                    self._give_up(error)
                    raise

    def _give_up(self, error: BaseException) -> None:
        if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_IOERR:
            # After a failed sync the kernel may call the lost pages clean: trying again would seem to work.
            self._unusable = "stopped after a disk error. Check the disk, then open it again"
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _check_usable(self) -> None:
        if self._unusable:
            raise StoreError(f"the label log {self._path} {self._unusable}.")
        if os.getpid() != self._process:
            raise StoreError(f"the label log {self._path} was opened before a fork. Open it after.")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the drive's cache
        prepare(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA mmap_size = 0")
    except BaseException:
        connection.close()
        raise
    return connection


def _lock_file(path: Path) -> Path:
    # Beside the database, never the database: closing any descriptor of it would drop SQLite's own locks.
    return path.with_name(path.name + "-lock")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        remedy = _REMEDIES.get(_code(error), "Check the file and its folder")
        raise StoreError(f"the label log {path} cannot be used: {error}. {remedy}.") from error


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the extended ones refine it
