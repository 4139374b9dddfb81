"""The log in PostgreSQL: several processes and machines may write and read it.

Who writes holds an advisory lock until their commit is on the disk, so rows are committed in the order of ``seq`` and a
reader that has seen one has seen all before it. When the connection is lost nobody knows whether the last commit
happened: the same is done again, and whatever is there under its key is found, not kept twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock, Semaphore
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from palate.errors import MissingExtra, OptionError, StoreBusy, StoreError, StoreFull
from palate.records import Record
from palate.store import rows, side_tables
from palate.store.chain import Head, read_head, write_head
from palate.store.group import Job
from palate.store.postgres_schema import prepare
from palate.store.protocol import Receipt
from palate.store.sql_log import SqlLog
from palate.store.tables import Statements, statements
from palate.store.transaction import Connection, Transaction, head_of

if TYPE_CHECKING:
    import psycopg

R = TypeVar("R")
WAIT_SECONDS = 30.0  # for other processes that write, and for a server that starts again
# A server that is gone without a word is found within half a minute.
_SESSION = {
    **{"connect_timeout": 10, "client_encoding": "UTF8"},
    **{"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000},
}
MOST_CONNECTIONS = 5  # of one open log
_LOCK = "SELECT pg_advisory_xact_lock((1346456660::bigint << 32) | 'records'::regclass::oid::bigint)"

_ERASING = "what was erased is to be overwritten"

_AGAIN = ("40001", "40P01")  # serialization failure, deadlock: nothing was kept
_GONE = (
    "08",
    "57P",
    "40003",
    "25006",
)  # the connection, the server, what became of the commit; a server that is no primary


class PostgresLog(SqlLog):
    """A label store in a schema of a PostgreSQL database: the first of the search path of the URL.

    Args:
        head: A file of this machine that the last row is kept in too, so that rows missing at the end are seen.
    Raises:
        MissingExtra: If psycopg is not installed.
        StoreError: If the server cannot be reached, may lose commits that it has acknowledged, or holds something else.
    """

    _mark = "%s"

    def __init__(
        self,
        url: str,
        *,
        read_only: bool = False,
        head: Path | None = None,
        clock: Callable[[], float] = time.time,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        super().__init__(_without_secret(url), _sql(), clock, wait_seconds)
        self._url, self._read_only, self._secrets = url, read_only, _secrets(url)
        self._idle: list[psycopg.Connection[Any]] = []
        self._places, self._pool = Semaphore(MOST_CONNECTIONS), Lock()
        self._head, self._was_open, self._is_erasing = head, False, False
        try:
            with self._connected() as connection, _told(self._name):
                prepare(connection, self._name, read_only=read_only)
                self._check_head(connection)
                (comment,) = connection.execute("SELECT obj_description('records'::regclass)").fetchone() or ("",)
            if comment == _ERASING and not read_only:  # a process died over it
                self._overwrite()
        except BaseException:
            self.close()
            raise
        self._was_open = True

    def retract(self, key: str, *, source: str = "person", retraction_key: str = "") -> Record:
        # made here, so that one that is done again finds what it has kept
        return super().retract(key, source=source, retraction_key=retraction_key or uuid.uuid4().hex)

    def erase(self, user_id: str, *, key: str = "") -> Receipt:
        """As of every log; then the table is written anew, so that its files hold nothing of the user.

        What the server's own write-ahead log and its backups hold passes as they are overwritten.
        """
        return super().erase(user_id, key=key or uuid.uuid4().hex)

    def close(self) -> None:
        """Let it go. What was acknowledged is on the disk already."""
        with self._group.alone():
            self._unusable = "is closed. Open it again"
            with self._pool:
                idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _work(self, jobs: list[Job[Any]], deadline: float) -> None:
        """Do jobs, and again where nothing was kept or nobody knows: each looks for its key first."""
        pause = 0.01
        while True:
            try:
                super()._work(jobs, deadline)
                if self._is_erasing:  # the connection was lost after the commit
                    self._overwrite()
                return None
            except _Again:
                if time.monotonic() + pause > deadline:
                    raise
                for job in jobs:
                    job.error = None
                time.sleep(pause)
                pause = min(2 * pause, 1.0)

    @contextmanager
    def _writing(self, deadline: float) -> Iterator[Connection]:
        if self._read_only:
            raise StoreError(f"the label log {self._name} was opened to be read. Open it for writing.")
        with self._connected(deadline) as connection, _told(self._name):
            left = max(1, int(1000 * (deadline - time.monotonic())))
            begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {left}; {_LOCK}"
            connection.execute(begin, prepare=False)
            yield cast("Connection", connection)
            connection.execute("COMMIT", prepare=False)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._check_usable()
        deadline = time.monotonic() + self._wait_seconds
        with self._connected(deadline) as connection, _told(self._name):
            yield cast("Connection", connection)

    def _fetch(self, connection: Connection, statement: str, values: Sequence[object]) -> list[rows.Row]:
        return connection.execute(statement, values).fetchall()

    def _listed(self, keys: Sequence[str]) -> object:
        return list(keys)

    def _committed(self, transaction: Transaction) -> None:
        if self._head is not None:
            write_head(self._head, transaction.head)

    def _begin_overwriting(self, connection: Connection) -> None:
        connection.execute(f"COMMENT ON TABLE records IS '{_ERASING}'")
        self._is_erasing = True

    def _overwrite(self) -> None:
        with self._connected() as connection, _told(self._name):
            for table in ("records", *side_tables.NAMES):
                connection.execute(f"VACUUM (FULL) {table}")
            connection.execute("COMMENT ON TABLE records IS NULL")
        self._is_erasing = False

    def _kept_head(self) -> Head | None:
        return None if self._head is None else read_head(self._head)

    def _check_head(self, connection: psycopg.Connection[Any]) -> None:
        """Raises StoreError if the database has not the last row that was acknowledged here."""
        kept = self._kept_head()
        if kept is None and self._head is not None and not self._read_only:
            write_head(self._head, Head(), sync=True)
        if kept is None or not kept.seq:
            return
        found = connection.execute("SELECT chain FROM records WHERE seq = %s", (kept.seq,)).fetchone()
        if found is None or bytes(found[0]) != kept.chain:
            what = f"row {kept.seq} of {self._name} is {'lost' if found is None else 'not the one that was kept'}"
            raise StoreError(f"{what}. Restore the database; or, to go on without it, remove {self._head}.")

    def _faults(self) -> list[str]:
        return []

    def _page(self, after_seq: int, user: str | None) -> list[rows.Row]:
        return self._patiently(partial(super()._page, after_seq, user))

    def find(self, key: str) -> Record | None:
        return self._patiently(partial(super().find, key))

    @property
    def last_seq(self) -> int:
        """Of the last row, 0 where there is none."""
        with self._reading() as connection:
            return head_of(connection, self._sql).seq

    def _patiently(self, read: Callable[[], R]) -> R:
        """Read, and once more where the connection had been lost."""
        try:
            return read()
        except _Again:
            return read()

    @contextmanager
    def _connected(self, deadline: float | None = None) -> Iterator[psycopg.Connection[Any]]:
        """A connection, one of a few; one that was lost or is in the midst of something is not used again."""
        until = time.monotonic() + self._wait_seconds if deadline is None else deadline
        if not self._places.acquire(timeout=max(0.0, until - time.monotonic())):
            raise StoreBusy(
                f"all {MOST_CONNECTIONS} connections to {self._name} are in use. Send the same again later."
            )
        connection = None
        try:
            with self._pool:
                connection = self._idle.pop() if self._idle else None
            connection = connection or self._connect(until)
            yield connection
        finally:
            self._give_back(connection)
            self._places.release()

    def _give_back(self, connection: psycopg.Connection[Any] | None) -> None:
        if connection is None:
            return
        psycopg = _driver()
        with suppress(psycopg.Error):
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        with self._pool:
            if not (connection.closed or connection.broken or self._unusable):
                return self._idle.append(connection)
        connection.close()

    def _connect(self, deadline: float) -> psycopg.Connection[Any]:
        """A new one. A server that was there and is gone may be starting again."""
        driver, pause = _driver(), 0.05
        while True:
            try:
                connection: psycopg.Connection[Any] = driver.connect(self._url, autocommit=True, **_SESSION)
                break
            except driver.Error as error:
                said = " ".join(str(error).split())
                for secret in self._secrets:
                    said = said.replace(secret, "***")
                is_coming = "starting up" in said or "recovery" in said or "shutting down" in said
                if not (self._was_open or is_coming) or time.monotonic() + pause > deadline:
                    raise StoreError(
                        f"cannot connect to {self._name}: {said[:200]}. Start it, or give its URL."
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, 1.0)
        try:
            with _told(self._name):
                _check_settings(connection, self._name, read_only=self._read_only)
        except BaseException:
            connection.close()
            raise
        return connection


class _Again(StoreError):
    """Nothing was kept, or nobody knows: to be done again."""


def _driver() -> ModuleType:
    try:
        import psycopg
    except ImportError:
        raise MissingExtra("psycopg", "postgres", "a log in PostgreSQL") from None
    return psycopg


def _check_settings(connection: psycopg.Connection[Any], name: str, *, read_only: bool) -> None:
    """Raises StoreError if the server acknowledges commits that a crash may undo, or cannot be written to."""
    names = ("fsync", "full_page_writes", "synchronous_commit")
    found = connection.execute("SELECT " + ", ".join(f"current_setting('{one}')" for one in names)).fetchone() or ()
    unsafe = [f"{one} = off" for one, setting in zip(names, found, strict=True) if setting == "off"]
    if unsafe:
        what = f"{name} has {unsafe[0]}: a crash may lose labels that it has acknowledged"
        raise StoreError(f"{what}. Set {unsafe[0].split()[0]} = on, and start the server again.")
    (is_standby,) = connection.execute("SELECT pg_is_in_recovery()").fetchone() or (False,)
    if is_standby and not read_only:
        raise StoreError(f"{name} is a standby, which lags behind and takes no rows. Give the URL of the primary.")


@contextmanager
def _told(name: str) -> Iterator[None]:
    """The driver's errors as ours."""
    psycopg = _driver()
    try:
        yield
    except psycopg.Error as error:
        code, said = error.sqlstate or "", " ".join(str(error).split())[:200]
        if code in _AGAIN:
            raise _Again(f"{name} is busy: {said}. Send the same again.") from error
        if code.startswith(_GONE) or (not code and isinstance(error, psycopg.OperationalError)):
            unknown = "whether the last rows were kept is not known"
            raise _Again(f"the connection to {name} was lost ({said}); {unknown}. Send the same again.") from error
        if code == "55P03":
            raise StoreBusy(f"another process writes to {name}: {said}. Send the same again later.") from error
        if code.startswith("53"):
            raise StoreFull(f"{name} is out of something: {said}. Free it, then send the same again.") from error
        raise StoreError(f"{name} cannot be used: {said}. Check the server and its log.") from error


def _sql() -> Statements:
    def is_one_of(column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        return column == sa.func.any(sa.bindparam("keys", type_=postgresql.ARRAY(sa.Text)))

    return statements(postgresql.dialect(paramstyle="format"), is_one_of)  # type: ignore[no-untyped-call]


def _secrets(url: str) -> set[str]:
    """The password as it is written, and as it is meant: the library may quote either."""
    with suppress(ValueError):
        parts = urlsplit(url)
        in_query = [value for name, value in parse_qsl(parts.query) if name in ("password", "sslpassword")]
        found = [parts.password or "", *in_query]
        return {form for secret in found for form in (secret, unquote(secret)) if form}
    return {url}


def _without_secret(url: str) -> str:
    """The URL as an error may show it: without a password, and without parameters, which may hold one."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise OptionError("the URL of the log cannot be read. Write postgresql://USER@HOST/DATABASE.") from None
    return f"postgresql://{parts.hostname or ''}{port}{parts.path}"
