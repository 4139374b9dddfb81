"""The log on a SQL database: what SQLite and PostgreSQL have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self, TypeVar

from palate.errors import AnswerError, StoreError
from palate.errors.checks import normalise_id
from palate.records import Content, Erasure, Record
from palate.store import rows
from palate.store.chain import Head
from palate.store.group import Group, Job
from palate.store.protocol import Quarantined, Receipt, Report
from palate.store.tables import Statements
from palate.store.transaction import Connection, Erasures, Transaction
from palate.store.verifying import verified

T = TypeVar("T")
PAGE_ROWS = 1_000  # read at a time, so that a slow reader holds no transaction open
MOST_QUARANTINED = 10_000  # that are listed


SealedRow = tuple[Any, ...]  # in the order of tables.SEALED


class SqlLog(ABC):
    """A :class:`LabelStore`. Safe to share between threads; use as a context manager. Open it after a fork, not before.

    Threads that append at the same time share a commit.

    Args:
        name: What it is called in an error.
        clock: Gives ``recorded_at``, in seconds since the epoch. Nothing is ordered by it.
        wait_seconds: How long a write may wait for other processes.
    """

    def __init__(self, name: str, sql: Statements, clock: Callable[[], float], wait_seconds: float) -> None:
        self._name, self._sql, self._clock, self._wait_seconds = name, sql, clock, wait_seconds
        self._process = os.getpid()
        self._unusable = ""
        self._group = Group(self._work)
        self._erasures = Erasures()
        self._quarantined: dict[int, Quarantined] = {}

    _mark: str  # that stands for a value in a statement
    _database = ""  # its name and version

    # ---- what a database adds

    @abstractmethod
    def _writing(self, deadline: float) -> AbstractContextManager[Connection]:
        """A transaction in which nobody else writes; when the block ends without an error it is on the disk.

        Args:
            deadline: Until when to wait for others, by the monotonic clock.
        """

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """A connection that reads what was committed."""

    @abstractmethod
    def _fetch(self, connection: Connection, statement: str, values: Sequence[object]) -> list[rows.Row]:
        """All rows of a statement that reads, also those whose text is none."""

    @abstractmethod
    def _listed(self, keys: Sequence[str]) -> object:
        """Keys as one value of a statement."""

    @abstractmethod
    def _committed(self, transaction: Transaction) -> None:
        """Called after a commit that added rows, before they are acknowledged."""

    @abstractmethod
    def _begin_overwriting(self, connection: Connection) -> None:
        """Called before a commit that erases: :meth:`_overwrite` is owed, by the next process if this one dies."""

    @abstractmethod
    def _overwrite(self) -> None:
        """Take what was erased out of the database's files, as far as the database can. Harmless when done again."""

    @abstractmethod
    def _kept_head(self) -> Head | None:
        """The head that is kept outside the database; None where there is none."""

    @abstractmethod
    def _faults(self) -> list[str]:
        """What is wrong with the database itself, beside its rows."""

    # ---- the store

    def append(self, contents: Sequence[Content]) -> list[Record]:
        """Keep answers, events, attributes and the like, all or none, on the disk before this returns.

        One whose key is in the log changes nothing and gives the first record again, even if that one has been
        retracted since. The client's times do not count in that comparison: a repeat may be stamped anew.

        Returns:
            One record each, in the same order.
        Raises:
            AnswerError: If the key of one is taken by something else.
            ErasedUser: If one is about a user who was erased and has not come back.
            InputError: If one cannot be kept.
            StoreError: If the disk refuses. None of them is acknowledged; sending them again is harmless.
        """
        checked = rows.checked(contents)
        if not checked:
            return []
        return self._do(lambda log: [log.keep(content) for content in checked], [content.key for content in checked])

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

        def run(log: Transaction) -> Record:
            known = log.find(retraction_key) if retraction_key else None
            if known is not None and known.retracts == key:
                return known
            return log.keep(rows.retraction(_retractable(log, key), source, retraction_key), retracts=key)

        return self._do(run, [key, *([retraction_key] if retraction_key else [])])

    def erase(self, user_id: str, *, key: str = "") -> Receipt:
        """Take from every row of a user what it says, for good, and refuse further ones until they consent anew.

        Each row keeps its place, its time and its digest, so that the chain stays whole. What a database or a disk may
        still hold of them is overwritten as far as the database can.

        Args:
            user_id: Of whom nothing need be there: imports of theirs are refused from then on.
            key: Made by the client; a repeat changes nothing. Empty: one is made.
        Raises:
            AnswerError: If the key is another row's.
            StoreError: If the disk refuses.
        """
        user, key = normalise_id(user_id, "user_id"), normalise_id(key, "key") if key else ""

        def run(log: Transaction) -> Record:
            known = log.find(key) if key else None
            if known is None:
                return log.erase(replace(log.erasure_of(user), key=key), [user])
            if not isinstance(known.content, Erasure) or not known.content.is_of(user):
                raise AnswerError(f"the key {key!r} is taken by another row. Give a key of its own.")
            return known

        record = self._do(run, [key] if key else [])
        n = record.content.rows if isinstance(record.content, Erasure) else 0
        return Receipt(record.seq, record.content.key, n, record.recorded_at)

    def records(self, after_seq: int = 0, *, user_id: str | None = None) -> Iterator[Record]:
        """Every row with a greater ``seq``, retractions too, in order.

        One that cannot be read is passed over (:meth:`quarantined`); one that was erased too.

        Args:
            user_id: Only of this user; found by an index.
        """
        user = None if user_id is None else normalise_id(user_id, "user_id")
        while page := self._page(after_seq, user):
            for row in page:
                record = self._record(row)
                if record is not None:
                    yield record
            after_seq = page[-1][0]

    def find(self, key: str) -> Record | None:
        """The row of this key; None where there is none, or what it said was erased."""
        with self._reading() as connection:
            found = self._fetch(connection, self._sql.by_keys, (self._listed([normalise_id(key, "key")]),))
        return self._record(found[0]) if found and found[0][2] != "erased" else None

    def erasures(self, after_seq: int = 0) -> list[Erasure]:
        """The erasures with a greater ``seq``, in order."""
        with self._reading() as connection:
            found = self._fetch(connection, self._sql.erasures, (after_seq,))
        parts = ((text.partition(":"), key) for _, text, key in found)
        return [Erasure(salt, digest, key=key) for (salt, _, digest), key in parts]

    def calibrations(self) -> list[Record]:
        """The rows that say how reliable a source is, and those that take such a row back, in order."""
        with self._reading() as connection:
            found = self._fetch(connection, self._sql.calibrations, ())
        records = (self._record(row) for row in found)
        return [record for record in records if record is not None]

    def users_of(self, source: str) -> list[str]:
        """Users about whom this source answered, each once. It reads all rows."""
        with self._reading() as connection:
            found = self._fetch(connection, self._sql.users_of, (normalise_id(source, "source"),))
        return [user for (user,) in found]

    @property
    def last_seq(self) -> int:
        """Of the last row, 0 where there is none."""
        with self._reading() as connection:
            found = self._fetch(connection, self._sql.head, ())
        return int(found[0][0]) if found else 0

    def verify(self) -> Report:
        """Read every row and compare it with its digest, the chain, and the head kept outside the database."""

        def page(after: int) -> list[rows.Row]:
            with self._reading() as connection:
                return self._fetch(connection, self._sql.sealed_page, (after, PAGE_ROWS))

        return replace(verified(page, self._kept_head(), self._faults), database=self._database)

    def sealed(self, after_seq: int = 0, at_most: int = PAGE_ROWS) -> list[SealedRow]:
        """Some rows after a place, as they lie in the table: all columns of :data:`palate.store.tables.SEALED`."""
        with self._reading() as connection:
            return self._fetch(connection, self._sql.sealed_page, (after_seq, at_most))

    def take(self, new: Sequence[SealedRow], erased: Sequence[SealedRow] = ()) -> None:
        """Keep rows of another log as they are, and erase what is erased there; all or none.

        Args:
            new: Those that follow the last row here.
            erased: Rows that are here, as they are there.
        Raises:
            StoreError: If they do not follow.
        """
        self._do(lambda log: log.take(new, erased), [])

    def check_writable(self) -> None:
        """Begin a write and end it without a row.

        Raises:
            StoreError: If no row can be kept now. Of a disk only a row shows that it is full.
        """
        self._do(lambda _log: None, [])

    def change(self, statement: str, values: Sequence[object]) -> list[rows.Row]:
        """Run a statement on the tables beside that of the rows, on the disk before this returns.

        Args:
            statement: ``{0}`` stands for each value.
        """
        return self._do(lambda log: log.execute(statement, values), [])

    def together(self, run: Callable[[Transaction], T], keys: Sequence[str] = ()) -> T:
        """Rows, and statements on the tables beside them, in one commit, on the disk before this returns.

        Args:
            run: Raises before it executes a statement, or not at all: a statement is not undone, as rows are.
            keys: Of the rows that it looks for.
        """
        return self._do(run, keys)

    def select(self, statement: str, values: Sequence[object]) -> list[rows.Row]:
        """Read from the tables beside that of the rows; likewise."""
        with self._reading() as connection:
            return self._fetch(connection, statement.format(self._mark), values)

    def now(self) -> float:
        """Seconds since the epoch, by the clock of the log."""
        return float(self._clock())

    def quarantined(self) -> list[Quarantined]:
        """The rows that were passed over in reading since the log was opened, by seq; at most 10,000."""
        return [self._quarantined[seq] for seq in sorted(self._quarantined)]

    @abstractmethod
    def close(self) -> None:
        """Let it go. What was acknowledged is on the disk already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _do(self, run: Callable[[Transaction], T], keys: Sequence[str]) -> T:
        self._check_usable()
        return self._group.do(run, keys, self._wait_seconds)

    def _work(self, jobs: list[Job[Any]], deadline: float) -> None:
        try:
            with self._writing(deadline) as connection:
                transaction = Transaction(
                    connection,
                    self._sql,
                    self._erasures,
                    clock=self._clock,
                    listed=self._listed,
                    mark=self._mark,
                )
                transaction.do(jobs)
                if transaction.has_erased:
                    self._begin_overwriting(connection)
        except BaseException:
            self._erasures = Erasures()  # one of a commit that failed is none
            raise
        if transaction.head != transaction.before or transaction.has_erased:
            self._committed(transaction)
        if transaction.has_erased:
            self._overwrite()

    def _page(self, after_seq: int, user: str | None) -> list[rows.Row]:
        with self._reading() as connection:
            if user is None:
                return self._fetch(connection, self._sql.page, (after_seq, PAGE_ROWS))
            return self._fetch(connection, self._sql.page_of_user, (after_seq, user, PAGE_ROWS))

    def _record(self, row: rows.Row) -> Record | None:
        try:
            return rows.to_record(row)
        except Exception as error:  # noqa: BLE001 - another program wrote it, so it may be anything
            if len(self._quarantined) < MOST_QUARANTINED:
                self._quarantined[row[0]] = Quarantined(row[0], f"{type(error).__name__}: {error}"[:200])
            return None

    def _check_usable(self) -> None:
        if self._unusable:
            raise StoreError(f"the label log {self._name} {self._unusable}.")
        if os.getpid() != self._process:
            raise StoreError(f"the label log {self._name} was opened before a fork. Open it after.")


def _retractable(log: Transaction, key: str) -> Content:
    record = log.find(key)
    if record is None:
        raise AnswerError(f"no row of the log has the key {key!r}. Give the key of one that is there.")
    if record.retracts:
        raise AnswerError(f"the row {key!r} is itself a retraction. To undo it, append what it took back anew.")
    if log.retracting(key) is not None:
        raise AnswerError(f"the row {key!r} has already been retracted. There is nothing left to undo.")
    return record.content
