"""Rows whose update fails: one is tried three times at most, then set aside with the reason; those after it go on.

What was told before stays as it was: a belief is worked out again from the rows that are left, so it is back on the
last good state with the next update. The row stays in the log, and the next fit may take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import NamedTuple, TypeVar, cast

import numpy as np

from palate.entities import Answer
from palate.errors import DataError
from palate.loop.source import Parts
from palate.posteriors.belief import Belief
from palate.records import Attribute, Event

T = TypeVar("T")
MOST = 10_000  # rows that are listed
LARGEST = 1e6  # of a mean, in deviations of the population: a belief of this size is a sick one


class SetAside(NamedTuple):
    """A row of the log that the model could not take.

    Attributes:
        key: Of the row.
        reason: What its update said; it may hold what the row says.
    """

    key: str
    reason: str


class Guard:
    """The rows that were set aside under one model. Safe to share between threads."""

    def __init__(self) -> None:
        self._aside: dict[str, dict[str, str]] = {}
        self._unsaid: list[SetAside] = []
        self._fallen: set[str] = set()
        self._lock, self._searching = Lock(), Lock()

    @property
    def rows(self) -> list[SetAside]:
        """Those that were set aside, the first 10,000."""
        with self._lock:
            return [SetAside(*one) for of_user in self._aside.values() for one in of_user.items()][:MOST]

    def unsaid(self) -> list[SetAside]:
        """Those that this has not given before."""
        with self._lock:
            found, self._unsaid = self._unsaid, []
            return found

    def left(self, user_id: str, parts: Parts) -> Parts:
        """What a user told, without what was set aside; the same object where nothing was."""
        aside = self._aside.get(user_id)
        if not aside:
            return parts
        told, seen, known, weights = parts
        return (
            tuple(one for one in told if one.key not in aside),
            tuple(one for one in seen if one.key not in aside),
            tuple(one for one in known if one.key not in aside),
            weights,
        )

    def fell_back(self, user_id: str, error: Exception) -> None:
        """Say once that what a user told cannot be taken as others have taught the items, only as the fit has them."""
        with self._lock:
            if user_id not in self._fallen and len(self._fallen) < MOST:
                self._fallen.add(user_id)
                reason = f"{type(error).__name__}: under the items of the fit alone. {error}"
                self._unsaid.append(SetAside("", reason[:200]))

    def tried(self, user_id: str, parts: Parts, work: Callable[[Parts], T]) -> tuple[Parts, T]:
        """What comes of these parts, without those rows with which it fails, all together and again one by one; and the
        parts that are left.

        Raises:
            Exception: That of the work, if it fails without any row, too.
        """
        try:
            return parts, work(parts)
        except Exception:  # noqa: BLE001 - whatever it is, it must not keep the others from being served
            with self._searching:
                left = self.left(user_id, parts)  # another thread may have found it meanwhile
                return (left, work(left)) if left is not parts else self._searched(user_id, parts, work)

    def _searched(self, user_id: str, parts: Parts, work: Callable[[Parts], T]) -> tuple[Parts, T]:
        kept: Parts = ((), (), (), parts[3])
        found = work(kept)
        for kind, rows in reversed(list(enumerate(parts[:3]))):  # attributes first, which change what the others say
            for row in cast("tuple[Answer | Event | Attribute, ...]", rows):
                more: Parts = (*kept[:kind], (*kept[kind], row), *kept[kind + 1 :])  # type: ignore[assignment]
                try:
                    found = work(more)
                    kept = more
                except Exception as error:  # noqa: BLE001 - likewise
                    self.set_aside(user_id, row.key, error)
        return kept, found

    def set_aside(self, user_id: str, key: str, error: Exception) -> None:
        """From now on this row does not count."""
        reason = f"{type(error).__name__}: {error}"[:200]
        with self._lock:
            of_user = self._aside.setdefault(user_id, {})
            if key not in of_user and len(self._unsaid) < MOST:
                self._unsaid.append(SetAside(key, reason))
            of_user[key] = reason


def check_sound(beliefs: Iterable[Belief]) -> None:
    """That beliefs are finite and of sound size.

    Raises:
        DataError: If one is not.
    """
    beliefs = list(beliefs)
    means = np.concatenate([belief.mean for belief in beliefs])
    covariances = np.concatenate([belief.covariance.ravel() for belief in beliefs])
    if not (np.abs(means) < LARGEST).all() or not np.isfinite(covariances).all():
        raise DataError("what is believed is not finite, or has no sound size. Undo the last row.")
