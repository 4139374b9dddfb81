"""One attempt at a round: a secure sum whose messages are on the disk before they are acknowledged.

What comes in is a function of the journal, so a server that was killed reads it again and is where it was. Time is
counted in seconds since the attempt began, without those in which the server was down: a clock that is put forward or
back moves no deadline.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Container
from pathlib import Path

from palate.errors import StoreError, UploadError
from palate.federated.ledger import Spent
from palate.federated.secure_sum.server_side import Opened, SumServer
from palate.federated.secure_sum.terms import KINDS, Terms
from palate.service.federated.journal import Journal

BEGIN, MESSAGE, ADVANCE = range(3)  # kinds of entries
SEED_BYTES = 32
_TIME = struct.Struct("<d")
Clock = Callable[[], float]


class Attempt:
    """An attempt that has begun. Made by :meth:`begin` and :meth:`resume`; for one event loop.

    Attributes:
        terms: Of the sum.
        phase: As far as devices may know: what closed a phase is on the disk.
    """

    def __init__(self, journal: Journal, devices: Container[str], clock: Clock) -> None:
        self._journal, self._devices, self._clock = journal, devices, clock
        self._replay()

    @classmethod
    async def begin(
        cls, path: Path, terms: Terms, seed: bytes, devices: Container[str], clock: Clock = time.monotonic
    ) -> Attempt:
        """A new one.

        Args:
            path: Of the journal.
            seed: 32 bytes of a secure generator: the groups come from it.
            devices: Ids of those that may take part.
        Raises:
            StoreError: If it cannot be written.
        """
        journal = Journal(path)
        await journal.append(BEGIN, seed + terms.to_bytes())
        return cls(journal, devices, clock)

    @classmethod
    def resume(cls, path: Path, devices: Container[str], clock: Clock = time.monotonic) -> Attempt | None:
        """One of a process that has ended; None if it had not begun.

        Raises:
            StoreError: If it cannot be read.
        """
        journal = Journal(path)
        if not journal.entries or journal.entries[0].kind != BEGIN:
            journal.close()
            return None
        return cls(journal, devices, clock)

    def _replay(self) -> None:
        """Where the messages of the journal lead."""
        begin, *rest = self._journal.entries
        content = self._journal.read(begin)
        self.terms = Terms.from_bytes(content[SEED_BYTES:])
        self._sum = SumServer(self.terms, content[:SEED_BYTES], allowed=self._devices)
        self.phase, now = KINDS[0], 0.0
        for entry in rest:
            body = self._journal.read(entry)
            (now,) = _TIME.unpack_from(body)
            if entry.kind == MESSAGE:
                self._sum.receive(body[_TIME.size :], now)
            else:
                self.phase = self._sum.advance(now)
        self._start = self._clock() - now

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._start

    @property
    def seconds_left(self) -> float:
        """Until the deadline of this phase; 0 behind the last."""
        at = KINDS.index(self.phase) if self.phase in KINDS else len(KINDS)
        return max(0.0, self.terms.deadlines[at] - self.now) if at < len(KINDS) else 0.0

    @property
    def left_out(self) -> dict[str, int]:
        """How many messages and devices were left out, by the word for why."""
        return dict(Counter(one.code for one in self._sum.left_out))

    async def receive(self, raw: bytes) -> bool:
        """Take a message of a device; whether it is new. When this returns it is on the disk.

        Raises:
            UploadError: If it is not taken.
            StoreError: If it cannot be written.
        """
        now = self.now
        if not self._sum.receive(raw, now):
            await self._journal.settled()
            return False
        await self._keep(MESSAGE, now, raw)
        return True

    async def advance(self) -> str:
        """The phase that it is in now, whose beginning is on the disk."""
        now = self.now
        found = self._sum.advance(now)
        if found != self.phase:
            await self._keep(ADVANCE, now)
            self.phase = found
        return self.phase

    async def _keep(self, kind: int, now: float, body: bytes = b"") -> None:
        try:
            await self._journal.append(kind, _TIME.pack(now) + body)
        except StoreError:
            self._replay()  # what is not on the disk did not come
            raise

    def message_for(self, device: str) -> bytes:
        """What a device has to be told in this phase.

        Raises:
            UploadError: If there is nothing for it.
        """
        if self._sum.phase != self.phase:
            raise UploadError("the phase is just beginning. Ask again in a moment.", "early")
        return self._sum.message_for(device)

    def open(self, spent: Spent) -> Opened:
        """The sums; the spending stands in the ledger.

        Raises:
            SecureSumError: If they cannot be opened.
        """
        return self._sum.open(spent)

    def close(self) -> None:
        self._journal.close()

    def delete(self) -> None:
        """It is over, and nothing of its messages is kept."""
        self._journal.close()
        self._journal.path.unlink(missing_ok=True)
