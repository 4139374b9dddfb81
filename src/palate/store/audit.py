"""Who did what to a model, and when: a file that only grows, each line of it chained to the one before.

    {"seq": 1, "at": 1795942627.1, "who": "key 3f0c12ab90ef (admin)", "what": "POST /v1/models/rollback", "about": "",
     "chain": "6b7a..."}        chain = SHA-256(chain of the line before ‖ SHA-256(the rest of the line as JSON))

The head of the chain lies in a file of its own, so that lines that were cut off are missed. A line holds ids of keys
and versions, and of a user a pseudonym; nothing of what anybody said.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from palate.errors import StoreError
from palate.store.chain import Head, read_head, write_head
from palate.store.lock import exclusive

FOLDER, FILE, HEAD = "audit", "actions.jsonl", "head"
WAIT_SECONDS = 10.0  # for another process that writes
_LONGEST = 1 << 16  # bytes of a line
_SHORT = 300  # characters of what a line says of ids


class Action(NamedTuple):
    """Something that was done, or asked for by somebody who may do it.

    Attributes:
        at: Seconds since the epoch.
        who: The key, and its role; or the account of this machine.
        what: The call or the command.
        about: Ids of what it was done to.
    """

    seq: int
    at: float
    who: str
    what: str
    about: str


class AuditTrail:
    """The actions on one model folder. Safe to share between threads and processes.

    Args:
        folder: Of the model.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._file, self._head = self._folder / FILE, self._folder / HEAD

    def add(self, who: str, what: str, about: str = "") -> Action:
        """Keep an action, on the disk before this returns.

        Raises:
            StoreError: If it cannot be written; then it should not be done.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with exclusive(self._folder / "lock", wait_seconds=WAIT_SECONDS):
                before, end = self._last()
                action = Action(before.seq + 1, round(time.time(), 3), who[:_SHORT], what[:_SHORT], about[:_SHORT])
                head = before.after(action.seq, _digest(action))
                line = json.dumps(action._asdict() | {"chain": head.chain.hex()}) + "\n"
                descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    os.ftruncate(descriptor, end)  # half a line of somebody who was stopped in the middle
                    os.pwrite(descriptor, line.encode(), end)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                write_head(self._head, head, sync=True)
        except OSError as error:
            raise StoreError(f"{self._file} cannot be written: {error.strerror}. Check the disk.") from error
        return action

    def actions(self) -> Iterator[Action]:
        """All of them, the first first; a line that cannot be read is left out (:meth:`faults` names it)."""
        for _, action, _ in self._lines():
            if action is not None:
                yield action

    def faults(self) -> list[str]:
        """What is not as it was kept: lines that were changed, added, taken out or cut off."""
        found, at, head = list[str](), Head(), self._kept_head()
        for number, action, chain in self._lines():
            if action is None:
                found.append(f"line {number} of {self._file} cannot be read")
                at = Head(at.seq + 1, at.chain)
                continue
            if action.seq != at.seq + 1 or at.after(action.seq, _digest(action)).chain != chain:
                found.append(f"line {number} of {self._file} is not what was kept, or does not follow the one before")
            at = Head(action.seq, chain)  # the next is measured by this one, so that each fault is named once
            if at.seq == head.seq and at.chain != head.chain:
                found.append(f"line {number} of {self._file} is not the one that was kept: {self._head} names another")
        if at.seq and not self._head.exists():
            found.append(f"{self._head} is gone: whether lines were cut off cannot be told")
        if at.seq < head.seq:
            found.append(f"{head.seq - at.seq} lines of {self._file} after line {at.seq} are lost")
        return found

    def _kept_head(self) -> Head:
        return read_head(self._head) or Head()

    def _last(self) -> tuple[Head, int]:
        """The last whole line, and where it ends; after lines that were cut off, numbers go on from the head."""
        kept = self._kept_head()
        try:
            with self._file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LONGEST))
                content = file.read()
        except FileNotFoundError:
            return kept, 0
        end = size - len(content) + content.rfind(b"\n") + 1
        action, chain = _parsed((content[: content.rfind(b"\n") + 1].splitlines() or [b""])[-1])
        return (kept if action is None or action.seq < kept.seq else Head(action.seq, chain)), end

    def _lines(self) -> Iterator[tuple[int, Action | None, bytes]]:
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{self._file} cannot be read: {error.strerror}. Make it readable.") from error
        for number, raw in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
            yield number, *_parsed(raw)


def this_account() -> str:
    """Who types a command: the account of this machine."""
    try:
        return f"{getpass.getuser()} (terminal)"
    except (KeyError, OSError):  # an account without a name
        return f"{os.getuid()} (terminal)"


def _digest(action: Action) -> bytes:
    return hashlib.sha256(json.dumps(action._asdict(), sort_keys=True).encode()).digest()


def _parsed(raw: bytes) -> tuple[Action | None, bytes]:
    try:
        found: dict[str, Any] = json.loads(raw)
        chain = bytes.fromhex(found.pop("chain"))
        return Action(**found), chain
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, bytes(32)
