"""What must happen after a row is kept: a task for each row, written in the same commit.

A process that dies between the commit and the deed leaves the task, and another takes it. So a task may be done twice,
and what it does must bear that, as by sending the row's key along.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from palate.errors import OptionError
from palate.errors.checks import count, normalise_id, positive
from palate.records import Record
from palate.store.sql_log import SqlLog

MOST_TRIES = 3  # then a task is set aside, and those after it go on
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

    def __init__(self, log: SqlLog, topic: str) -> None:
        """From now on every row that is kept is a task of this topic, by whichever process it is kept."""
        self._log, self._topic = log, normalise_id(topic, "topic")
        sql = "INSERT INTO topics (topic) SELECT {0} WHERE NOT EXISTS (SELECT 1 FROM topics WHERE topic = {0})"
        log.change(sql, (self._topic, self._topic))

    def take(self, at_most: int = 100, *, lease_seconds: float = LEASE_SECONDS) -> list[Task]:
        """The next tasks, in order. One that is neither done nor failed within the lease is given out again.

        Args:
            at_most: From 1 to 1,000.
        """
        at_most, lease = count(at_most, "at_most", least=1, most=MOST_TASKS), positive(lease_seconds, "lease_seconds")
        now = self._log.now()
        found = self._log.change(
            "UPDATE outbox SET due = {0}, tries = tries + 1 WHERE topic = {0} AND seq IN (SELECT seq FROM outbox "
            "WHERE topic = {0} AND due <= {0} AND tries < {0} ORDER BY seq LIMIT {0}) RETURNING seq, tries, fault",
            (now + lease, self._topic, self._topic, now, MOST_TRIES, at_most),
        )
        return self._tasks(found)

    def done(self, seqs: Iterable[int]) -> None:
        """These need nothing more."""
        for seq in seqs:
            self._log.change("DELETE FROM outbox WHERE topic = {0} AND seq = {0}", (self._topic, count(seq, "seq")))

    def failed(self, seq: int, reason: str, *, again_in_seconds: float = 1.0) -> None:
        """This is to be tried again, up to three times in all; then it is set aside with the reason."""
        if not isinstance(reason, str) or not reason:
            raise OptionError("a task failed for no reason. Give one in words.")
        due = self._log.now() + positive(again_in_seconds, "again_in_seconds")
        said = "".join(letter if letter.isprintable() else " " for letter in reason[:_MOST_REASON])
        values = (MOST_TRIES, due, said, self._topic, count(seq, "seq"))
        again = "CASE WHEN tries < {0} THEN {0} ELSE 0 END"
        self._log.change(f"UPDATE outbox SET due = {again}, fault = {{0}} WHERE topic = {{0}} AND seq = {{0}}", values)

    def set_aside(self) -> list[Task]:
        """Tasks that were tried three times, which nobody takes any more; :meth:`done` clears them."""
        sql = "SELECT seq, tries, fault FROM outbox WHERE topic = {0} AND tries >= {0} AND due <= {0} ORDER BY seq"
        return self._tasks(self._log.select(sql, (self._topic, MOST_TRIES, self._log.now())))

    def _tasks(self, found: list[tuple[Any, ...]]) -> list[Task]:
        """With their rows; of one that was erased there is nothing to do."""
        tasks = []
        for seq, tries, fault in sorted(found):
            record = next(iter(self._log.records(seq - 1)), None)
            if record is None or record.seq != seq:
                self.done([seq])
            else:
                tasks.append(Task(seq, tries, fault or "", record))
        return tasks
