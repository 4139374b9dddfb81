"""What one commit adds to the log."""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from palate.errors import AnswerError, ErasedUser, PalateError, StoreError
from palate.records import Consent, Content, Erasure, Record, user_digest
from palate.store import chain, rows, side_tables
from palate.store.chain import SALT_BYTES, Head
from palate.store.group import Job
from palate.store.rows import Row
from palate.store.tables import SAID, SEALED, Statements

VERIFY = "Find out what has changed it: palate store verify"
_ERASED_BY, _DIGEST, _CHAIN = map(SEALED.index, ("erased_by", "digest", "chain"))
_USER, _RETRACTS = SAID.index("user_id"), SAID.index("retracts")
ERASED = "erased:"  # and the digest in hexadecimal digits: the key of a row whose content was erased


class Cursor(Protocol):
    """Of a database's driver."""

    @property
    def description(self) -> object:
        """Of the columns; None where there are none."""
        ...

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[object]], /) -> object:
        """Run it for each."""
        ...


class Connection(Protocol):
    """Of a database's driver: of ``sqlite3`` or of ``psycopg``."""

    def execute(self, statement: str, values: Sequence[object] = (), /) -> Cursor:
        """Run a statement."""
        ...

    def cursor(self) -> Cursor:
        """A new one."""
        ...


class Erasures:
    """Who was erased, as far as this process has read the log: by salt the digests of users."""

    def __init__(self) -> None:
        self.last_seq = 0
        self._digests: dict[str, set[str]] = defaultdict(set)

    def read(self, connection: Connection, statement: str) -> None:
        """Those that were added since."""
        for seq, text, _ in connection.execute(statement, (self.last_seq,)).fetchall():
            salt, _, digest = text.partition(":")
            self.add(salt, digest, seq)

    def add(self, salt: str, digest: str, seq: int) -> None:
        """One more."""
        self._digests[salt].add(digest)
        self.last_seq = max(self.last_seq, seq)

    def holds(self, user_id: str) -> bool:
        """Whether this user was erased, and may have come back since."""
        return any(user_digest(salt, user_id) in digests for salt, digests in self._digests.items())

    def of(self, user_id: str) -> Erasure:
        """An erasure of this user, with the salt of the log."""
        salt = next(iter(self._digests), None) or os.urandom(SALT_BYTES).hex()
        return Erasure(salt, user_digest(salt, user_id))


class Transaction:
    """The rows found before and those to be added. Nothing of a job that fails is kept.

    Args:
        listed: A list of keys as the database takes it.
        mark: That stands for a value in a statement.
    """

    def __init__(
        self,
        connection: Connection,
        sql: Statements,
        erasures: Erasures,
        *,
        clock: Callable[[], float],
        listed: Callable[[Sequence[str]], object],
        mark: str,
    ) -> None:
        self._connection, self._sql, self._erasures, self._clock, self._listed = (
            *(connection, sql, erasures, clock),
            listed,
        )
        self._mark = mark
        self.before = self.head = head_of(connection, sql)
        self.has_erased = False
        self._known: dict[str, Row | None] = {}
        self._new: list[tuple[Any, ...]] = []
        self._written: list[tuple[Any, ...]] = []
        erasures.read(connection, sql.erasures)

    def do(self, jobs: Sequence[Job[Any]]) -> None:
        """Do jobs one after the other; one that fails leaves everything as if it had not been."""
        self._look_for([key for job in jobs for key in job.keys])
        for job in jobs:
            head, n = self.head, len(self._new)
            try:
                job.did(job.run(self))
            except PalateError as error:
                job.error = error
                self._known.update((row[1], None) for row in self._new[n:])
                self.head = head
                del self._new[n:]
        self._write()
        if self.head != self.before:
            self._connection.execute(self._sql.tasks, (self.before.seq,))
        self._check()

    def find(self, key: str) -> Record | None:
        """The row of this key.

        Raises:
            AnswerError: If what it said was erased.
            StoreError: If it cannot be read.
        """
        if key not in self._known:
            self._look_for([key])
        row = self._known[key]
        return None if row is None else _readable(row)

    def retracting(self, key: str) -> Record | None:
        """The row that takes the row of this key back."""
        new = [row for row in self._new if row[_RETRACTS] == key]
        found = new[0][: len(SAID)] if new else self._connection.execute(self._sql.by_retracted, (key,)).fetchone()
        return None if found is None else _readable(found)

    def keep(self, content: Content, retracts: str = "") -> Record:
        """Keep one row, or give the one that is there under its key.

        Raises:
            AnswerError: If the key belongs to something else.
            ErasedUser: If the user was erased and has not come back.
        """
        known = self.find(content.key)
        if known is not None:
            rows.check_same(known, content, retracts)
            return replace(known, is_repeat=True)
        if isinstance(content, Erasure):
            users = sorted({*self._users(), *side_tables.users_named(self.execute)})
            return self.erase(content, [user for user in users if content.is_of(user)])
        self._check_not_erased(content)
        record = self._add(content, retracts)
        if retracts:
            side_tables.label_taken_back(self.execute, retracts, record.recorded_at)
        return record

    def erasure_of(self, user_id: str) -> Erasure:
        """The erasure of this user that is to be kept."""
        return self._erasures.of(user_id)

    def erase(self, erasure: Erasure, users: Sequence[str]) -> Record:
        """Take from every row of these users what it says, in the one way that the table allows."""
        self._write()
        places = [place for user in users for place in self._connection.execute(self._sql.of_user, (user,)).fetchall()]
        record = self._add(replace(erasure, rows=len(places), key=erasure.key or uuid.uuid4().hex), "")
        self._write()
        side_tables.erase_users(self.execute, users)
        emptied = [(f"{ERASED}{digest.hex()}", record.seq, seq) for seq, digest in places]
        if emptied:
            self._connection.cursor().executemany(self._sql.erase, emptied)
        self._erasures.add(erasure.salt, erasure.digest, record.seq)
        self._known.clear()
        self.has_erased = True
        return record

    def take(self, new: Sequence[Row], erased: Sequence[Row]) -> None:
        """Keep rows of another log as they are; a row that is here already was kept by the same call before."""
        self._write()
        for row in new:
            if row[0] <= self.head.seq:
                continue
            head = self.head.after(self.head.seq + 1, row[_DIGEST])
            if head != Head(row[0], row[_CHAIN]):
                raise StoreError(f"row {row[0]} does not follow row {self.head.seq} of the log. Take them in order.")
            self._new.append(row)
            self.head = head
        self._write()
        emptied = [(row[1], row[_ERASED_BY], row[0]) for row in erased]
        if emptied:
            self._connection.cursor().executemany(self._sql.erase, emptied)
        self.has_erased = self.has_erased or bool(emptied)
        self._erasures.read(self._connection, self._sql.erasures)

    def execute(self, statement: str, values: Sequence[object]) -> list[Row]:
        """Run a statement on the tables beside that of the rows, and give what it returns.

        Args:
            statement: ``{0}`` stands for each value.
        """
        cursor = self._connection.execute(statement.format(self._mark), values)
        return cursor.fetchall() if cursor.description else []

    def _look_for(self, keys: Sequence[str]) -> None:
        """Find all of these in one statement."""
        self._known |= dict.fromkeys(keys)
        if keys:
            for row in self._connection.execute(self._sql.by_keys, (self._listed(keys),)).fetchall():
                self._known[row[1]] = row

    def _add(self, content: Content, retracts: str) -> Record:
        seq, now, salt = self.head.seq + 1, float(self._clock()), chain.new_salt()
        row = rows.to_row(seq, content, now, retracts)
        digest = chain.digest(row, salt)
        self.head = self.head.after(seq, digest)
        self._new.append((*row, None, salt, digest, self.head.chain))
        self._known[content.key] = row
        return Record(seq, content, now, retracts)

    def _write(self) -> None:
        if self._new:
            self._connection.cursor().executemany(self._sql.insert, self._new)
            self._written += self._new
            self._new = []

    def _check(self) -> None:
        """That the database holds what was given to it, and no more."""
        (n,) = self._connection.execute(self._sql.count_after, (self.before.seq,)).fetchone() or (0,)
        is_same = n == self.head.seq - self.before.seq and head_of(self._connection, self._sql) == self.head
        if is_same and self._written and not self.has_erased:  # of those, what they said may be gone by now
            found = self._connection.execute(self._sql.sealed_page, (self.before.seq, len(self._written))).fetchall()
            is_same = found == self._written
        if not is_same:
            raise StoreError(f"the database kept other rows than it was given, after row {self.before.seq}. {VERIFY}")

    def _check_not_erased(self, content: Content) -> None:
        user = getattr(content, "user_id", "")
        if not user or not self._erasures.holds(user) or (isinstance(content, Consent) and content.purposes):
            return
        is_back = any(row[_USER] == user for row in self._new)  # what was kept before the erasure has no user any more
        if not is_back and self._connection.execute(self._sql.of_user, (user,)).fetchone() is None:
            raise ErasedUser(f"the user {user!r} was erased. Append a consent of theirs first, if they have come back.")

    def _users(self) -> list[str]:
        self._write()
        return [user for (user,) in self._connection.execute(self._sql.users).fetchall()]


def head_of(connection: Connection, sql: Statements) -> Head:
    """The last row of the database."""
    found = connection.execute(sql.head).fetchone()
    return Head() if found is None else Head(*found)


def _readable(row: Row) -> Record:
    if row[2] == "erased":
        raise AnswerError(f"what the row {row[1]!r} said was erased. Give the key of another.")
    try:
        return rows.to_record(row)
    except Exception as error:
        raise StoreError(f"row {row[0]} of the log cannot be read: {error!r}. {VERIFY}") from error
