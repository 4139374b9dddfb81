"""Connections to a log in SQLite, its files, and SQLite's errors as ours."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from palate.errors import OlderLog, StoreBusy, StoreError, StoreFull
from palate.store import chain, schema
from palate.store.chain import Head
from palate.store.tables import Statements, statements
from palate.store.transaction import Connection, head_of

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


@cache
def sqlite_statements() -> Statements:
    """As SQLite writes them; a list of keys is JSON."""
    listed = sa.func.json_each(sa.bindparam("keys", type_=sa.Text())).table_valued("value")
    return statements(sqlite.dialect(paramstyle="qmark"), lambda column: column.in_(sa.select(listed.c.value)))


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes, to a log that is made, moved to this version, and whole as far as its head says."""
    _refuse_gone(path)
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the drive's cache
        connection.execute("PRAGMA secure_delete = ON")  # what was erased is overwritten
        version = schema.version_of(connection, path)
        head = beside(path, "head")
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
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # LabelLog does them
        connection.execute("PRAGMA cache_size = -65536")  # KiB
        connection.execute(f"PRAGMA journal_size_limit = {LARGEST_WAL}")
        schema.check(connection, path)
        check_head(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also to a file on a disk that cannot be written."""
    connection = _reader(path, "mode=ro")
    try:
        try:
            schema.version_of(connection, path)
        except sqlite3.OperationalError as error:
            wal = beside(path, "wal")
            if code_of(error) not in _NO_SHARED_MEMORY or not path.exists():
                raise
            if wal.exists() and wal.stat().st_size:
                fact = f"{path} is on a disk that takes nothing, and {wal.name} may hold rows that are not in it yet"
                raise StoreError(f"{fact}. Make room, or copy all its files to another disk.") from error
            connection.close()
            connection = _reader(path, "immutable=1")  # SQLite keeps no note of its readers, and needs none here
        refuse_older(connection, path)
        schema.check(connection, path)
        check_head(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_older(connection: sqlite3.Connection, path: Path) -> None:
    """Raises OlderLog where a file has to be made, or moved to this version."""
    version = schema.version_of(connection, path)
    if version != schema.VERSION:
        old = f"is a label log of version {version}" if version else "is empty"
        move = f"which moves it to version {schema.VERSION}: palate models {path.parent}"
        raise OlderLog(f"{path} {old}. Open it once to write, {move}.")


def _reader(path: Path, how: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA mmap_size = 0")
    return connection


def check_head(connection: sqlite3.Connection, path: Path) -> None:
    """That the database still holds the last row that was acknowledged, as it was.

    Raises:
        StoreError: If it does not, or nothing says which it was.
    """
    kept = chain.read_head(beside(path, "head"))
    last = head_of(cast("Connection", connection), sqlite_statements()).seq
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
    wal = beside(path, "wal")
    try:
        content = wal.read_bytes()
        if not content:
            return ""
        kept = beside(path, f"wal-unread-{hashlib.sha256(content).hexdigest()[:12]}")
        if not kept.exists():
            kept.write_bytes(content)
    except OSError:
        return ""
    return f" What {wal.name} holds is kept in {kept.name}."


def _refuse_gone(path: Path) -> None:
    """Raises StoreError where there were rows and is no database: a new one would be made, and all else deleted."""
    kept = chain.read_head(beside(path, "head"))
    if kept is not None and kept.seq and not (path.exists() and path.stat().st_size):
        fact = f"{path} is gone or empty, and {kept.seq} rows were kept in it"
        raise StoreError(f"{fact}. Restore it from a backup, or remove {path.name}-head to begin anew.")


def schema_version(connection: sqlite3.Connection) -> int:
    """Changes with every table, index and trigger that is made or dropped."""
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return int(version)


def beside(path: Path, what: str) -> Path:
    """A file that belongs to a log."""
    # Beside the database, never the database: closing any descriptor of it would drop SQLite's own locks.
    return path.with_name(f"{path.name}-{what}")


def refuse_stopped(path: Path) -> None:
    """Raises StoreError after a disk error, in every process, until the log was verified."""
    if beside(path, "stopped").exists():
        raise StoreError(f"the label log {path} stopped after a disk error. Check the disk, then: palate store verify.")


def stop(path: Path, error: sqlite3.Error) -> None:
    """From now on no process writes, until the log was verified."""
    try:
        beside(path, "stopped").write_text(f"{error} at {time.time():.0f}, process {os.getpid()}\n")
    except OSError:
        return  # of a disk that takes nothing the next process learns by itself


@contextmanager
def told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = code_of(error)
        remedy = _REMEDIES.get(code, "Check the file and its folder")
        fact = "another program holds it" if code == sqlite3.SQLITE_BUSY else str(error)
        raise _KINDS.get(code, StoreError)(f"the label log {path} cannot be used: {fact}. {remedy}.") from error
    except UnicodeDecodeError as error:  # in what SQLite says of a schema that was damaged
        remedy = _REMEDIES[sqlite3.SQLITE_CORRUPT]
        raise StoreError(f"the label log {path} cannot be used: its schema is damaged. {remedy}.") from error


def code_of(error: Any) -> int:
    """SQLite's primary code."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # no room for the file that connections share
        return sqlite3.SQLITE_FULL
    return code & 0xFF  # the primary code; the extended ones refine it
