"""Answers to reads that are kept for the next call, as long as they are what it would get.

A list hangs on the log. What a user told, did or is drops everything kept of them, at once. What others told moves what
is believed of items; a kept answer may be older than that by a stated time, and not longer.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

_USERS = 10_000  # whose last row is remembered, for answers that are being worked out meanwhile


@dataclass(frozen=True, slots=True)
class _Kept:
    body: bytes
    seq: int
    at: float


class KeptAnswers:
    """Used on the event loop alone.

    Args:
        most_bytes: Of all that is kept; the longest unused goes first.
        seconds: That an answer may be older than other users' rows.
    """

    def __init__(self, *, most_bytes: int, seconds: float) -> None:
        self._most, self._seconds = most_bytes, seconds
        self._by_user: OrderedDict[str, dict[Hashable, _Kept]] = OrderedDict()
        self._bytes = 0
        self._moved: OrderedDict[str, int] = OrderedDict()
        self._floor = 0  # no answer of an earlier row is taken any more
        self.seq = 0

    def get(self, user_id: str, call: Hashable) -> bytes | None:
        """What the call would get; None if that has to be worked out."""
        of_user = self._by_user.get(user_id)
        found = None if of_user is None else of_user.get(call)
        if found is None or (found.seq < self.seq and time.monotonic() - found.at > self._seconds):
            return None
        self._by_user.move_to_end(user_id)
        return found.body

    def put(self, user_id: str, call: Hashable, body: bytes, seq: int) -> None:
        """Keep an answer.

        Args:
            seq: Of the log when it was worked out.
        """
        if seq < self._floor or seq < self._moved.get(user_id, 0) or len(body) > self._most:
            return
        of_user = self._by_user.setdefault(user_id, {})
        before = of_user.get(call)
        self._bytes += len(body) - (len(before.body) if before else 0)
        of_user[call] = _Kept(body, seq, time.monotonic())
        self._by_user.move_to_end(user_id)
        while self._bytes > self._most:
            self._drop(next(iter(self._by_user)))

    def moved(self, users: Iterable[str], seq: int) -> None:
        """Rows of these users are in the log, up to this one."""
        self.seq = max(self.seq, seq)
        for user in users:
            self._drop(user)
            self._moved[user] = seq
            self._moved.move_to_end(user)
        while len(self._moved) > _USERS:
            _, seq = self._moved.popitem(last=False)
            self._floor = max(self._floor, seq)

    def clear(self, seq: int) -> None:
        """Anything may have changed, up to this row."""
        self.seq = max(self.seq, seq)
        self._floor = max(self._floor, seq)
        self._by_user.clear()
        self._moved.clear()
        self._bytes = 0

    def _drop(self, user_id: str) -> None:
        self._bytes -= sum(len(one.body) for one in self._by_user.pop(user_id, {}).values())
