"""What must happen after a label or an erasure is kept: a task for each, written in the same commit.

A process that dies between the commit and the deed leaves the task, and another takes it. So a task may be done twice,
and what it does must bear that, as by sending the row's key along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from palate.errors import OptionError
from palate.errors.checks import count, normalise_id, positive
from palate.records import Record
from palate.store.sql_log import PAGE_ROWS, SqlLog

MOST_TRIES = 3  # if nothing else is given; then a task is set aside, and those after it go on
LEASE_SECONDS = 60.0
MOST_TASKS = 1_000  # taken at once
_MOST_REASON = 500  # characters


class Task(NamedTuple):
    """Something to be done after a row.

    Attributes:
        tries: How often it was taken, this time too.
        fault: Why it failed last; empty where it has not.
    """

    seq: int
    tries: int
    fault: str
    record: Record


class Outbox:
    """The tasks of one topic, such as a webhook. Processes may share it: a task is handed to one of them at a time.

    Example:
        >>> import tempfile
        >>> from palate.records import rate
        >>> from palate.store.open_store import open_store
        >>> with open_store(tempfile.mkdtemp() + "/labels.sqlite") as log:
        ...     outbox = Outbox(log, "webhook")
        ...     kept = log.append([rate("ann", "i7", 4.0)])
        ...     for task in outbox.take():
        ...         print(task.record.content.item_id)
        ...         outbox.done([task.seq])
        ...     outbox.take()
        i7
        []
    """

    def __init__(self, log: SqlLog, topic: str, *, most_tries: int = MOST_TRIES) -> None:
        """From now on every label, retraction and erasure is a task of this topic, by whichever process it is kept."""
        self._log, self._topic = log, normalise_id(topic, "topic")
        self._most_tries = count(most_tries, "most_tries", least=1)
        sql = "INSERT INTO topics (topic) SELECT {0} WHERE NOT EXISTS (SELECT 1 FROM topics WHERE topic = {0})"
        log.change(sql, (self._topic, self._topic))

    def take(self, at_most: int = 100, *, lease_seconds: float = LEASE_SECONDS) -> list[Task]:
        """The next tasks, in order. One that is neither done nor failed within the lease is given out again.

        Args:
            at_most: From 1 to 1,000.
        """
        at_most, lease = count(at_most, "at_most", least=1, most=MOST_TASKS), positive(lease_seconds, "lease_seconds")
        ready = "SELECT 1 FROM outbox WHERE topic = {0} AND due <= {0} AND tries < {0} LIMIT 1"
        if not self._log.select(ready, (self._topic, self._log.now(), self._most_tries)):  # nobody waits for the lock
            return []
        now = self._log.now()
        found = self._log.change(
            "UPDATE outbox SET due = {0}, tries = tries + 1 WHERE topic = {0} AND seq IN (SELECT seq FROM outbox "
            "WHERE topic = {0} AND due <= {0} AND tries < {0} ORDER BY seq LIMIT {0}) RETURNING seq, tries, fault",
            (now + lease, self._topic, self._topic, now, self._most_tries, at_most),
        )
        return self._tasks(found)

    def done(self, seqs: Iterable[int]) -> None:
        """These need nothing more."""
        given = [count(seq, "seq") for seq in seqs]
        for first in range(0, len(given), MOST_TASKS):
            some = given[first : first + MOST_TASKS]
            marks = ", ".join(["{0}"] * len(some))
            self._log.change(f"DELETE FROM outbox WHERE topic = {{0}} AND seq IN ({marks})", (self._topic, *some))

    def failed(self, seqs: int | Iterable[int], reason: str, *, again_in_seconds: float = 1.0) -> None:
        """These are to be tried again, up to so many times in all; then they are set aside with the reason."""
        if not isinstance(reason, str) or not reason:
            raise OptionError("a task failed for no reason. Give one in words.")
        given = [count(seq, "seq") for seq in ([seqs] if isinstance(seqs, int) else seqs)]
        due = self._log.now() + positive(again_in_seconds, "again_in_seconds")
        said = "".join(letter if letter.isprintable() else " " for letter in reason[:_MOST_REASON])
        again, marks = "CASE WHEN tries < {0} THEN {0} ELSE 0 END", ", ".join(["{0}"] * len(given))
        sql = f"UPDATE outbox SET due = {again}, fault = {{0}} WHERE topic = {{0}} AND seq IN ({marks})"
        if given:
            self._log.change(sql, (self._most_tries, due, said, self._topic, *given))

    def set_aside(self) -> list[Task]:
        """Tasks that were tried as often as they may be, which nobody takes any more; :meth:`done` clears them."""
        sql = "SELECT seq, tries, fault FROM outbox WHERE topic = {0} AND tries >= {0} AND due <= {0} ORDER BY seq"
        return self._tasks(self._log.select(sql, (self._topic, self._most_tries, self._log.now())))

    def trim(self, most: int) -> int:
        """Drop the oldest tasks, so that no more than so many are left; how many were dropped."""
        newest = "SELECT seq FROM outbox WHERE topic = {0} ORDER BY seq DESC LIMIT 1 OFFSET {0}"
        sql = f"DELETE FROM outbox WHERE topic = {{0}} AND seq <= ({newest}) RETURNING seq"
        return len(self._log.change(sql, (self._topic, self._topic, count(most, "most"))))

    def _tasks(self, found: list[tuple[Any, ...]]) -> list[Task]:
        """With their rows; of one that was erased there is nothing to do."""
        tasks, last = list[Task](), -PAGE_ROWS
        rows: Iterator[Record] = iter(())
        record: Record | None = None
        for seq, tries, fault in sorted(found):
            if seq - last >= PAGE_ROWS:  # else it is on a page that is at hand
                rows, record = self._log.records(seq - 1), None
            while record is None or record.seq < seq:
                record = next(rows, None)
                if record is None:
                    break
            last = seq
            if record is not None and record.seq == seq:
                tasks.append(Task(seq, tries, fault or "", record))
        gone = {seq for seq, *_ in found} - {task.seq for task in tasks}
        self.done(sorted(gone))
        return tasks


def end_topic(log: SqlLog, topic: str) -> int:
    """From now on no row is a task of this topic; how many were dropped that nobody had done."""
    if not log.select("SELECT 1 FROM topics WHERE topic = {0}", (topic,)):
        return 0
    log.change("DELETE FROM topics WHERE topic = {0}", (topic,))
    return len(log.change("DELETE FROM outbox WHERE topic = {0} RETURNING seq", (topic,)))
