"""The label log in one SQLite file: every label, event and attribute, in the order it came, kept for good.

The log is the truth; a posterior is what replaying it gives. The file only grows: to take a row back is one more row.
:meth:`LabelLog.append` returns when the rows are on the disk (WAL, ``synchronous=FULL``).

Processes may share a log. They write in turn, under a lock file beside it, because SQLite 3.7.0 to 3.51.2 can lose a
commit when two connections write and checkpoint at once (the WAL-reset bug). Readers only read: they take no lock,
never checkpoint, and wait for no writer. Open the log after a fork, not before.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from palate.errors import StoreBusy, StoreError, StoreFull
from palate.store import chain, schema
from palate.store.chain import Head
from palate.store.lock import exclusive
from palate.store.rows import Row
from palate.store.sql_log import SqlLog
from palate.store.tables import Statements, statements
from palate.store.transaction import Connection, Transaction, head_of

DATABASE = f"SQLite {sqlite3.sqlite_version}" + (
    ", in which one connection at a time writes: two can lose a commit before 3.51.3"
    if sqlite3.sqlite_version_info < (3, 51, 3)
    else ""
)
WAIT_SECONDS = 30.0  # for another process that writes
LARGEST_WAL = 64 << 20  # bytes, after a checkpoint

_REMEDIES = {
    sqlite3.SQLITE_FULL: "Free some disk space, then send the same again",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "Give a path in a folder that exists and is writable",
    sqlite3.SQLITE_NOTADB: "Give the path of a label log, or of a file that does not exist yet",
    sqlite3.SQLITE_CORRUPT: "Restore it from a backup",
    sqlite3.SQLITE_BUSY: "Let the other program that holds it finish, then try again",
    sqlite3.SQLITE_IOERR: "Check the disk, then: palate store verify",
}
_NO_SHARED_MEMORY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL)
_KINDS = {sqlite3.SQLITE_FULL: StoreFull, sqlite3.SQLITE_BUSY: StoreBusy}


class LabelLog(SqlLog):
    """A :class:`LabelStore` in one SQLite file. Safe to share between threads; use as a context manager.

    Args:
        path: Of a file that :meth:`open` has checked.
        writer, reader: Connections to it; no writer where it is only read, or as long as the disk is full.
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
        super().__init__(str(path), _statements(), clock, wait_seconds)
        self._read_only = read_only
        self._path, self._connection, self._reader = path, writer, reader
        self._schema_version = _schema_version(reader)
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
            read_only: Whether nothing is written: no lock is taken, and a disk that cannot be written will do.
        Raises:
            StoreError: If it cannot be opened, is not a label log, is one of a newer version, or has lost rows.
        """
        path, wait = Path(path), WAIT_SECONDS if wait_seconds is None else wait_seconds
        if read_only:
            with _told(path):
                return cls(path, None, _connect_reader(path), clock, wait, read_only=True)
        with _told(path), exclusive(_beside(path, "lock"), wait_seconds=wait):
            _refuse_stopped(path)
            try:
                writer = _connect(path)
            except sqlite3.Error as error:
                if _code(error) != sqlite3.SQLITE_FULL or not path.exists():
                    raise
                return cls(
                    path, None, _connect_reader(path), clock, wait
                )  # a full disk is read; the first write tries again
            try:
                return cls(path, writer, _connect_reader(path), clock, wait)
            except BaseException:
                writer.close()
                raise

    def close(self) -> None:
        """Let the file go. What was acknowledged is on the disk already."""
        with self._group.alone(), self._mutex, _told(self._path):
            self._unusable = "is closed. Open it again"
            self._reader.close()
            if self._connection is not None:
                with exclusive(_beside(self._path, "lock"), wait_seconds=self._wait_seconds):
                    self._connection.close()

    @contextmanager
    def _writing(self, deadline: float) -> Iterator[Connection]:
        if self._read_only:
            raise StoreError(f"the label log {self._path} was opened to be read only. Open it anew to write.")
        with _told(self._path):
            self._check_usable()
            wait = max(0.0, deadline - time.monotonic())
            with exclusive(_beside(self._path, "lock"), wait_seconds=wait):
                _refuse_stopped(self._path)
                writer = self._writer()
                try:
                    writer.execute(f"PRAGMA busy_timeout = {int(1000 * max(0.0, deadline - time.monotonic()))}")
                    writer.execute("BEGIN IMMEDIATE")
                    self._check_schema(writer)
                    _check_head(writer, self._path)
                    yield cast("Connection", writer)
                    writer.execute("COMMIT")
                except BaseException as error:
                    self._give_up(writer, error)
                    raise

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._mutex, _told(self._path):
            self._check_usable()
            yield cast("Connection", self._reader)

    def _fetch(self, connection: Connection, statement: str, values: Sequence[object]) -> list[Row]:
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
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
        chain.write_head(_beside(self._path, "head"), transaction.head)
        if transaction.has_erased:
            self._empty_wal()

    def _kept_head(self) -> Head | None:
        return chain.read_head(_beside(self._path, "head"))

    def _faults(self) -> list[str]:
        with self._reading() as connection:
            found = [text for (text,) in connection.execute("PRAGMA integrity_check").fetchall()]
        return [] if found == ["ok"] else [f"SQLite finds: {text}"[:200] for text in found]

    def _empty_wal(self) -> None:
        """Take out of the second file what was erased."""
        assert self._connection is not None
        with exclusive(_beside(self._path, "lock"), wait_seconds=self._wait_seconds), _told(self._path):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _writer(self) -> sqlite3.Connection:
        """The connection that writes; made now if the disk was full when the log was opened."""
        if self._connection is None:
            self._connection = _connect(self._path)
            with self._mutex:
                self._reader.close()
                self._reader = _connect_reader(self._path)
        return self._connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        """That no other program has changed it since it was checked."""
        version = _schema_version(connection)
        if version != self._schema_version:
            schema.check(connection, self._path)
            self._schema_version = version

    def _give_up(self, writer: sqlite3.Connection, error: BaseException) -> None:
        if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_IOERR:
            # After a failed sync the kernel may call the lost pages clean: trying again would seem to work.
            self._unusable = "stopped after a disk error. Check the disk, then: palate store verify"
            _stop(self._path, error)
        if writer.in_transaction:
            writer.execute("ROLLBACK")


@cache
def _statements() -> Statements:
    """As SQLite writes them; a list of keys is JSON."""
    listed = sa.func.json_each(sa.bindparam("keys", type_=sa.Text())).table_valued("value")
    return statements(sqlite.dialect(paramstyle="qmark"), lambda column: column.in_(sa.select(listed.c.value)))


def _connect(path: Path) -> sqlite3.Connection:
    _refuse_gone(path)
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the drive's cache
        connection.execute("PRAGMA secure_delete = ON")  # what was erased is overwritten
        version = schema.version_of(connection, path)
        head = _beside(path, "head")
        if version == 0:
            chain.write_head(head, Head(), sync=True)
            schema.make(connection)
        elif version < schema.VERSION:
            from palate.store.migrations import upgrade  # Alembic takes long to import

            connection.execute("BEGIN IMMEDIATE")
            chain.write_head(head, upgrade(connection, version), sync=True)
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA mmap_size = 0")
        connection.execute("PRAGMA cache_size = -65536")  # KiB
        connection.execute(f"PRAGMA journal_size_limit = {LARGEST_WAL}")
        schema.check(connection, path)
        _check_head(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also to a file on a disk that cannot be written."""
    connection = _reader(path, "mode=ro")
    try:
        try:
            version = schema.version_of(connection, path)
        except sqlite3.OperationalError as error:
            wal = _beside(path, "wal")
            if _code(error) not in _NO_SHARED_MEMORY or not path.exists():
                raise
            if wal.exists() and wal.stat().st_size:
                fact = f"{path} is on a disk that takes nothing, and {wal.name} may hold rows that are not in it yet"
                raise StoreError(f"{fact}. Make room, or copy all its files to another disk.") from error
            connection.close()
            connection = _reader(path, "immutable=1")  # SQLite keeps no note of its readers, and needs none here
            version = schema.version_of(connection, path)
        if version != schema.VERSION:
            old = f"is a label log of version {version}" if version else "is empty"
            raise StoreError(f"{path} {old}. Open it once to write, which moves it to version {schema.VERSION}.")
        schema.check(connection, path)
        _check_head(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _reader(path: Path, how: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA mmap_size = 0")
    return connection


def _check_head(connection: sqlite3.Connection, path: Path) -> None:
    """That the database still holds the last row that was acknowledged, as it was.

    Raises:
        StoreError: If it does not, or nothing says which it was.
    """
    kept = chain.read_head(_beside(path, "head"))
    last = head_of(cast("Connection", connection), _statements()).seq
    if kept is None and last:
        raise StoreError(f"{path} has no {path.name}-head beside it, so rows may be missing at its end. {chain.ACCEPT}")
    if kept is None or not kept.seq:
        return
    if last < kept.seq:
        fact = f"{path} has lost rows: it ends at row {last}, and row {kept.seq} was kept"
        raise StoreError(f"{fact}.{_set_aside(path)} {chain.ACCEPT}")
    found = connection.execute("SELECT chain FROM records WHERE seq = ?", (kept.seq,)).fetchone()
    if found != (kept.chain,):
        raise StoreError(f"row {kept.seq} of {path} is not the one that was kept. {chain.ACCEPT}")


def _set_aside(path: Path) -> str:
    """Keep a second file that SQLite cannot read: it would write over it, and there may be rows in it."""
    wal = _beside(path, "wal")
    try:
        content = wal.read_bytes()
        if not content:
            return ""
        kept = _beside(path, f"wal-unread-{hashlib.sha256(content).hexdigest()[:12]}")
        if not kept.exists():
            kept.write_bytes(content)
    except OSError:
        return ""
    return f" What {wal.name} holds is kept in {kept.name}."


def _refuse_gone(path: Path) -> None:
    """Raises StoreError where there were rows and is no database: a new one would be made, and all else deleted."""
    kept = chain.read_head(_beside(path, "head"))
    if kept is not None and kept.seq and not (path.exists() and path.stat().st_size):
        fact = f"{path} is gone or empty, and {kept.seq} rows were kept in it"
        raise StoreError(f"{fact}. Restore it from a backup, or remove {path.name}-head to begin anew.")


def _schema_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return int(version)


def _beside(path: Path, what: str) -> Path:
    # Beside the database, never the database: closing any descriptor of it would drop SQLite's own locks.
    return path.with_name(f"{path.name}-{what}")


def _refuse_stopped(path: Path) -> None:
    """Raises StoreError after a disk error, in every process, until the log was verified."""
    if _beside(path, "stopped").exists():
        raise StoreError(f"the label log {path} stopped after a disk error. Check the disk, then: palate store verify.")


def _stop(path: Path, error: sqlite3.Error) -> None:
    try:
        _beside(path, "stopped").write_text(f"{error} at {time.time():.0f}, process {os.getpid()}\n")
    except OSError:
        return  # of a disk that takes nothing the next process learns by itself


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


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = _code(error)
        remedy = _REMEDIES.get(code, "Check the file and its folder")
        fact = "another program holds it" if code == sqlite3.SQLITE_BUSY else str(error)
        raise _KINDS.get(code, StoreError)(f"the label log {path} cannot be used: {fact}. {remedy}.") from error
    except UnicodeDecodeError as error:  # in what SQLite says of a schema that was damaged
        remedy = _REMEDIES[sqlite3.SQLITE_CORRUPT]
        raise StoreError(f"the label log {path} cannot be used: its schema is damaged. {remedy}.") from error


def _code(error: Any) -> int:
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # no room for the file that connections share
        return sqlite3.SQLITE_FULL
    return code & 0xFF  # the primary code; the extended ones refine it
