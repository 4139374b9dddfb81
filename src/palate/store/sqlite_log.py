"""The label log in one SQLite file: every label, event and attribute, in the order it came, kept for good.

The log is the truth; a posterior is what replaying it gives. The file only grows: to take a row back is one more row.
:meth:`LabelLog.append` returns when the rows are on the disk (WAL, ``synchronous=FULL``).

Processes may share a log. They write in turn, under a lock file beside it, because SQLite 3.7.0 to 3.51.2 can lose a
commit when two connections write and checkpoint at once (the WAL-reset bug). Readers only read: they take no lock,
never checkpoint, and wait for no writer. Open the log after a fork, not before.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self, cast

from palate.errors import OlderLog, StoreBusy, StoreError
from palate.store import chain, schema
from palate.store.chain import Head
from palate.store.lock import exclusive
from palate.store.rows import Row
from palate.store.sql_log import SqlLog
from palate.store.sqlite_connection import (
    DATABASE,
    WAIT_SECONDS,
    beside,
    check_head,
    code_of,
    connect,
    connect_reader,
    refuse_older,
    refuse_stopped,
    schema_version,
    sqlite_statements,
    stop,
    told,
)
from palate.store.transaction import Connection, Transaction

CHECKPOINT_PAGES = 1_000  # in the WAL, about
PAGES_OF_COMMIT, PAGES_OF_ROW = 8, 4  # that are written, about


class LabelLog(SqlLog):
    """A :class:`LabelStore` in one SQLite file. Safe to share between threads; use as a context manager.

    Args:
        path: Of a file that :meth:`open` has checked.
        writer, reader: Connections to it; no writer as long as it is only read.
        clock: Gives ``recorded_at``, in seconds since the epoch. Nothing is ordered by it.
        wait_seconds: How long a write may wait for other processes.
    """

    _mark = "?"
    _database = DATABASE

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection | None,
        reader: sqlite3.Connection,
        clock: Callable[[], float],
        wait_seconds: float,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(str(path), sqlite_statements(), clock, wait_seconds)
        self._read_only = read_only
        self._pages = self._changes = 0
        self._path, self._connection, self._reader = path, writer, reader
        self._schema_version = schema_version(reader)
        self._mutex = threading.Lock()  # of the reader

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        wait_seconds: float | None = None,
    ) -> Self:
        """Open the log at ``path``; make it if there is no file; move the rows of an older version.

        Args:
            read_only: Whether nothing is written; a disk that cannot be written will do. Without it, too, no lock is
                taken before the first write, unless the log has to be made or moved.
        Raises:
            StoreError: If it cannot be opened, is not a label log, is one of a newer version, or has lost rows.
        """
        path, wait = Path(path), WAIT_SECONDS if wait_seconds is None else wait_seconds
        if not read_only:
            refuse_stopped(path)
        with told(path):
            try:
                if read_only or path.exists():
                    log = cls(path, None, connect_reader(path), clock, wait, read_only=read_only)
                    if not read_only and beside(path, "erasing").exists():  # a process died over it
                        with suppress(StoreBusy):  # somebody writes: it is done with the next opening
                            log._overwrite(wait_seconds=0.0)
                    return log
            except OlderLog:
                if read_only:
                    raise
            with exclusive(beside(path, "lock"), wait_seconds=wait):
                writer = connect(path)
            try:
                return cls(path, writer, connect_reader(path), clock, wait)
            except BaseException:
                writer.close()
                raise

    def close(self) -> None:
        """Let the file go. What was acknowledged is on the disk already."""
        with self._group.alone(), self._mutex, told(self._path):
            self._unusable = "is closed. Open it again"
            self._reader.close()
            if self._connection is not None:
                with exclusive(beside(self._path, "lock"), wait_seconds=self._wait_seconds):
                    self._connection.close()

    @contextmanager
    def _writing(self, deadline: float) -> Iterator[Connection]:
        if self._read_only:
            raise StoreError(f"the label log {self._path} was opened to be read only. Open it anew to write.")
        with told(self._path):
            self._check_usable()
            wait = max(0.0, deadline - time.monotonic())
            with exclusive(beside(self._path, "lock"), wait_seconds=wait):
                refuse_stopped(self._path)
                writer = self._writer()
                try:
                    writer.execute(f"PRAGMA busy_timeout = {int(1000 * max(0.0, deadline - time.monotonic()))}")
                    writer.execute("BEGIN IMMEDIATE")
                    self._check_schema(writer)
                    check_head(writer, self._path)
                    yield cast("Connection", writer)
                    writer.execute("COMMIT")
                    self._checkpoint(writer)
                except BaseException as error:
                    self._give_up(writer, error)
                    raise

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._mutex, told(self._path):
            self._check_usable()
            yield cast("Connection", self._reader)

    def _fetch(self, connection: Connection, statement: str, values: Sequence[object]) -> list[Row]:
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                refuse_older(cast("sqlite3.Connection", connection), self._path)
                raise
        self._reader.text_factory = _lenient
        try:
            found = connection.execute(statement, values).fetchall()
        finally:
            self._reader.text_factory = str
        return [_unreadable(row) if _Undecodable in map(type, row) else row for row in found]

    def _listed(self, keys: Sequence[str]) -> object:
        return json.dumps(keys)

    def _committed(self, transaction: Transaction) -> None:
        chain.write_head(beside(self._path, "head"), transaction.head)

    def _begin_overwriting(self, connection: Connection) -> None:
        beside(self._path, "erasing").touch()
        chain.sync_folder(self._path.parent)

    def _overwrite(self, wait_seconds: float | None = None) -> None:
        """The rows overwrite those before them in the first file, and the second one is emptied."""
        wait = self._wait_seconds if wait_seconds is None else wait_seconds
        with exclusive(beside(self._path, "lock"), wait_seconds=wait), told(self._path):
            writer = self._writer()
            writer.execute(f"PRAGMA busy_timeout = {int(1000 * wait)}")
            busy, *_ = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:  # else somebody still reads what was there before: it is done with the next erasure or opening
            beside(self._path, "erasing").unlink(missing_ok=True)

    def _kept_head(self) -> Head | None:
        return chain.read_head(beside(self._path, "head"))

    def _faults(self) -> list[str]:
        with self._reading() as connection:
            found = [text for (text,) in connection.execute("PRAGMA integrity_check").fetchall()]
        return [] if found == ["ok"] else [f"SQLite finds: {text}"[:200] for text in found]

    def _checkpoint(self, writer: sqlite3.Connection) -> None:
        """Move rows from the WAL to the database, now and then.

        SQLite's own checkpoints keep it to themselves when a sync fails, and try again.
        """
        self._pages += PAGES_OF_COMMIT + PAGES_OF_ROW * (writer.total_changes - self._changes)
        self._changes = writer.total_changes
        if self._pages < CHECKPOINT_PAGES:
            return
        try:
            _, in_wal, moved = writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if code_of(error) == sqlite3.SQLITE_IOERR:
                raise
            return  # of a full disk: the rows are in the WAL, and it is tried again with the next commit
        if in_wal == moved:  # no reader needs what was there before
            self._pages = 0

    def _writer(self) -> sqlite3.Connection:
        """The connection that writes, made with the first write: whoever only reads waits for nobody."""
        if self._connection is None:
            self._connection = connect(self._path)
            with self._mutex:
                self._reader.close()
                self._reader = connect_reader(self._path)
        return self._connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        """That no other program has changed it since it was checked."""
        version = schema_version(connection)
        if version != self._schema_version:
            refuse_older(connection, self._path)
            schema.check(connection, self._path)
            self._schema_version = version

    def _give_up(self, writer: sqlite3.Connection, error: BaseException) -> None:
        if isinstance(error, sqlite3.Error) and code_of(error) == sqlite3.SQLITE_IOERR:
            # After a failed sync the kernel may call the lost pages clean: trying again would seem to work.
            self._unusable = "stopped after a disk error. Check the disk, then: palate store verify"
            stop(self._path, error)
        if writer.in_transaction:
            writer.execute("ROLLBACK")


class _Undecodable(bytes):
    """A text that is none."""


def _unreadable(row: Row) -> Row:
    """A row with such a text, as one whose content is unknown."""
    found = [None if isinstance(value, _Undecodable) else value for value in row]
    return (*found[:2], "not in UTF-8", *found[3:])


def _lenient(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return _Undecodable(text)
