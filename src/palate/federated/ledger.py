"""What one model line has spent of its privacy budget, in a file that can only grow (:mod:`.chained_file`).

    {"seq": 1, "at": 1795942627.1, "line": "films", "epsilon": 3.0, "delta": 1e-05, "accountant": "...", ...}
    {"seq": 2, "at": 1795942731.9, "what": "round 0", "mu_squared": 0.0621, ...}

A sum is opened with a :class:`Spent`, which only :meth:`Ledger.spend` makes, after its row is on the disk. Whatever is
killed when, the ledger holds at least what was opened. Retrains of a line go into the same ledger and add to the rest.
``at`` is for readers: no decision rests on a clock.

An older copy that was put back is whole in itself. It is noticed by whoever holds a newer head: the file of the head
(best on another disk), the newest public model (:meth:`Ledger.check`), and devices, which remember the newest head they
saw (:func:`seq_of`). Where all of them were put back together, nothing can tell.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from palate.errors import LedgerError, PrivacyBudgetError
from palate.errors.checks import instance, normalise_id, normalise_words, positive, shown
from palate.federated.accounting import ACCOUNTANT, Budget, epsilon_of
from palate.federated.chained_file import ChainedFile, head_text, parse_head
from palate.store.chain import Head

ROUNDING = 1e-9  # share of the budget: its parts, added up, differ from it in the last digits
_BY_A_LEDGER = object()


class Entry(NamedTuple):
    """That one sum may be opened once.

    Attributes:
        seq: From 2: the budget stands before.
        at: Seconds since the epoch, by the clock of the server.
        what: Which sum, in the words of who opens it.
        mu_squared: What the opening spends.
    """

    seq: int
    at: float
    what: str
    mu_squared: float


class Spent:
    """That a ledger holds an entry: the permission to open one sum once. Only a :class:`Ledger` makes one.

    Attributes:
        line: Id of the model line.
        what, mu_squared, seq: Of the entry.
    """

    __slots__ = ("_once", "line", "mu_squared", "seq", "what")

    def __init__(self, line: str, entry: Entry, made_by: object = None) -> None:
        if made_by is not _BY_A_LEDGER:
            raise LedgerError(
                "a Spent was made without a ledger. Get it from Ledger.spend, which writes it down first."
            )
        self.line, self.what, self.mu_squared, self.seq = line, entry.what, entry.mu_squared, entry.seq
        self._once = Lock()

    def use(self) -> None:
        """Who opens the sum calls this right before.

        Raises:
            LedgerError: If it was used.
        """
        if not self._once.acquire(blocking=False):
            raise LedgerError(
                f"{self.what!r} of line {self.line!r} was opened already. Spend again to open another sum."
            )


class Ledger:
    """What a model line has spent. Safe to share between threads; another object or process is refused meanwhile.

    Made by :meth:`create` and :meth:`open`; held until :meth:`close`, or the end of a ``with`` block.

    Attributes:
        line: Id of the model line.
        budget: What it may spend in its whole life.
    """

    def __init__(self, file: ChainedFile, clock: Callable[[], float]) -> None:
        self._file, self._clock, self._mutex = file, clock, Lock()
        self._given = 0  # seq of the newest token of this process
        try:
            first, *rest = file.rows
            self.line: str = first["line"]
            self.budget = Budget(first["epsilon"], first["delta"])
            self._entries = [_entry(row) for row in rest]
            sound = first["accountant"] == ACCOUNTANT and all(entry.mu_squared > 0.0 for entry in self._entries)
        except (KeyError, TypeError):
            sound = False
        if not sound:
            raise LedgerError(f"{file.path} is no ledger that this Palate can add to. Check that it is the right file.")

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        line: str,
        budget: Budget,
        head: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Ledger:
        """A new one, of which nothing is spent.

        Args:
            path: Of the file, in a folder that is there.
            head: Of the file that holds the head of the chain; None: beside it.
            clock: Seconds since the epoch.
        Raises:
            LedgerError: If there is one, or was one; or if it cannot be written.
        """
        line, budget = normalise_id(line, "line"), instance(budget, Budget, "budget", "a Budget(epsilon, delta)")
        promise = {"line": line, "epsilon": budget.epsilon, "delta": budget.delta, "accountant": ACCOUNTANT}
        file = ChainedFile(path, head, is_new=True)
        try:
            file.append(_row(clock, promise))
            return cls(file, clock)
        except BaseException:
            file.close()
            raise

    @classmethod
    def open(cls, path: Path, *, head: Path | None = None, clock: Callable[[], float] = time.time) -> Ledger:
        """One that was made before.

        Raises:
            LedgerError: If it is gone, damaged, older than its head, or held by another.
        """
        file = ChainedFile(path, head, is_new=False)
        try:
            return cls(file, clock)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *of: object) -> None:
        self.close()

    def close(self) -> None:
        with self._mutex:
            self._file.close()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that was spent, the first first."""
        return tuple(self._entries)

    @property
    def spent(self) -> float:
        """μ²."""
        return math.fsum(entry.mu_squared for entry in self._entries)

    @property
    def left(self) -> float:
        """μ² that can still be spent."""
        return max(0.0, self.budget.mu_squared - self.spent)

    @property
    def epsilon(self) -> float:
        """ε that was spent, at the δ of the budget."""
        return epsilon_of(math.sqrt(self.spent), self.budget.delta)

    @property
    def head(self) -> str:
        """Of the chain, as a public model carries it: the last ``seq``, a colon and 64 hexadecimal digits."""
        return head_text(self._file.heads[-1])

    def check(self, head: str) -> None:
        """That this ledger goes on from a head that was published, such as the one of the newest public model.

        Args:
            head: As of :attr:`head`; empty: of a model that was made before there was a ledger.
        Raises:
            LedgerError: If the ledger is behind it, or of another history.
        """
        self._file.check(parse_head(head) if head != "" else Head(), "the public model")

    def spend(self, mu_squared: float, what: str, *, line: str) -> Spent:
        """Write down that a sum will be opened. It is on the disk before this returns.

        Args:
            mu_squared: (sensitivity / standard deviation of the noise)².
            what: Which sum.
            line: Of the sum: has to be the line of the ledger.
        Raises:
            PrivacyBudgetError: If the line would be over its budget; nothing is written then.
            LedgerError: If it could not be written; then no sum may be opened.
        """
        mu_squared, what = positive(mu_squared, "mu_squared"), normalise_words(what, "what")
        if line != self.line:
            raise LedgerError(f"{self._file.path} is of line {self.line!r}, not {shown(line)}. Open the right ledger.")
        with self._mutex:
            if self.spent + mu_squared > self.budget.mu_squared * (1 + ROUNDING):
                raise PrivacyBudgetError(
                    f"line {line!r} has spent ε {self.epsilon:.4g} of {self.budget.epsilon:g}; {what!r} needs μ² "
                    f"{mu_squared:.4g} of the {self.left:.4g} left. Stop: the last public model is the final one."
                )
            self._file.append(_row(self._clock, {"what": what, "mu_squared": mu_squared}))
            self._entries.append(_entry(self._file.rows[-1]))
            return self._token()

    def resume(self, what: str, mu_squared: float, *, after: str) -> Spent:
        """The token of the last entry, for a process that goes on after the one that spent it was killed.

        The caller vouches that nothing of that opening was published: the newest public model is the one before it.

        Args:
            what, mu_squared: Of the entry.
            after: Head that the newest public model carries; the entry has to be the only one behind it.
        Raises:
            LedgerError: If something else was spent, or this process has the token.
        """
        self.check(after)
        with self._mutex:
            before = max(1, seq_of(after) if after else 0)
            behind = [entry for entry in self._entries if entry.seq > before]
            if [(entry.what, entry.mu_squared) for entry in behind] != [(normalise_words(what, "what"), mu_squared)]:
                said = ", ".join(f"{entry.what!r} with μ² {entry.mu_squared:.4g}" for entry in behind[:3]) or "nothing"
                raise LedgerError(
                    f"after the public model the ledger holds {said}, not {what!r} alone. Begin the round anew."
                )
            if self._given == behind[0].seq:
                raise LedgerError(f"the token of {what!r} was given out in this process. Use that one.")
            return self._token()

    def _token(self) -> Spent:
        entry = self._entries[-1]
        self._given = entry.seq
        return Spent(self.line, entry, _BY_A_LEDGER)


def seq_of(head: str) -> int:
    """How many rows a ledger with this head has: a device refuses a round with fewer than it saw before.

    Raises:
        LedgerError: If it is no head.
    """
    return parse_head(head).seq


def _row(clock: Callable[[], float], said: dict[str, Any]) -> dict[str, Any]:
    """With the time, 0 where the clock gives none, and a salt: two histories part even where they say the same."""
    now = float(clock())
    return {"at": round(now, 3) if math.isfinite(now) else 0.0, **said, "salt": secrets.token_hex(8)}


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(row["seq"], row["at"], row["what"], row["mu_squared"])
