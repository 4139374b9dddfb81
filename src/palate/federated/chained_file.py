"""A file of JSON lines that only grows, each line chained to the one before, and the head of the chain beside it.

    {"seq": 1, ..., "chain": "6b7a..."}        chain = SHA-256(chain of the line before ‖ SHA-256(the rest as JSON))

A line is on the disk, and then its head, before :meth:`ChainedFile.append` returns. So the file is never behind its
head, unless an older copy was put back; half a line at its end is of a process that was killed before it went on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from palate.errors import LedgerError, StoreBusy, StoreError
from palate.errors.checks import path_of, shown
from palate.store.chain import Head
from palate.store.lock import exclusive
from palate.store.model_folder import files, strict

Row = dict[str, Any]


class ChainedFile:
    """One process, and one object in it, holds the file at a time. Not safe to share between threads.

    Args:
        path: In a folder that is there.
        head: Of the file that holds the head; None: ``path`` with ``.head`` behind it.
        is_new: Make it. It must not be there, nor have been.
    Attributes:
        rows: What was appended, the first first, each with its ``seq`` from 1.
        heads: Of the chain, after no row, one row, and so on.
    Raises:
        LedgerError: If it is there and should not be, is gone or damaged, older than its head, or held by another.
    """

    def __init__(self, path: Path, head: Path | None = None, *, is_new: bool) -> None:
        self.path = path_of(path, "path")
        self._head_path = self.path.with_name(self.path.name + ".head") if head is None else path_of(head, "head")
        self.rows, self.heads = list[Row](), [Head()]
        with ExitStack() as held, _own_errors(self.path):
            lock = self.path.with_name(self.path.name + ".lock")
            held.enter_context(exclusive(lock, wait_seconds=0.0, held=self._held_by))
            self._descriptor = _opened(self.path, is_new)
            held.callback(os.close, self._descriptor)
            self._end = self._read()
            kept = self._kept_head()
            if is_new:
                self._begin(kept)
            else:
                self._check_head(kept)
            os.ftruncate(self._descriptor, self._end)
            self._held, self._is_sound = held.pop_all(), True

    def close(self) -> None:
        """Let go of the file; nothing can be appended afterwards."""
        self._is_sound = False
        self._held.close()

    def append(self, said: Row) -> None:
        """Add a row. Where that fails nothing more can be added by this object: what is on the disk is not known.

        Raises:
            LedgerError: If it is not on the disk.
        """
        if not self._is_sound:
            raise LedgerError(f"{self.path} is closed, or could not be written before. Open it anew.")
        self._is_sound = False
        before = self.heads[-1]
        row = {"seq": before.seq + 1, **said}
        head = before.after(row["seq"], _digest(row))
        line = json.dumps(row | {"chain": head.chain.hex()}, allow_nan=False).encode() + b"\n"
        with _own_errors(self.path):
            self._check_unchanged()
            if os.pwrite(self._descriptor, line, self._end) != len(line):
                raise LedgerError(f"{self.path} took a part of a line. Make space on the disk, then open it anew.")
            os.fsync(self._descriptor)
            self._write_head(head)
        self._end += len(line)
        self.rows.append(row)
        self.heads.append(head)
        self._is_sound = True

    def check(self, head: Head, whose: str) -> None:
        """That the chain goes on from a head.

        Args:
            whose: Who has seen the head, in a message.
        """
        if head.seq > self.heads[-1].seq:
            lost = head.seq - self.heads[-1].seq
            fact = f"{self.path} ends {lost} lines before the head that {whose} holds: it is an older copy"
        elif head != self.heads[head.seq]:
            fact = f"{self.path} and the head that {whose} holds part at or before line {head.seq}: another history"
        else:
            return
        raise LedgerError(f"{fact}. Put the newest ledger back, or end this model line.")

    def _begin(self, kept: Head | None) -> None:
        if self.rows or (kept is not None and kept.seq > 0):
            raise LedgerError(f"{self.path} is there already, or its head is. Open it: what was spent stays spent.")
        self._write_head(Head())
        files.sync_folder(self.path.parent)

    def _write_head(self, head: Head) -> None:
        files.write(self._head_path, f"{head_text(head)}\n".encode())
        files.sync_folder(self._head_path.parent)

    def _kept_head(self) -> Head | None:
        try:
            return parse_head(self._head_path.read_text("ascii", "replace").rstrip("\n"))
        except FileNotFoundError:
            return None

    def _check_head(self, kept: Head | None) -> None:
        if not self.rows and (kept is None or kept.seq == 0):
            raise LedgerError(f"{self.path} holds nothing yet. Create the ledger of the model line first.")
        if kept is None:
            raise LedgerError(
                f"{self._head_path}, the head of {self.path}, is gone. Put it back: without, lines may lack."
            )
        self.check(kept, str(self._head_path))

    def _check_unchanged(self) -> None:
        mine, there = os.fstat(self._descriptor), os.stat(self.path)
        if (mine.st_dev, mine.st_ino, mine.st_size) != (there.st_dev, there.st_ino, self._end):
            raise LedgerError(f"{self.path} was changed or replaced since it was opened. Open it anew.")

    def _read(self) -> int:
        """Fill the rows; where the last whole line ends."""
        content = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        end = content.rfind(b"\n") + 1
        for number, raw in enumerate(content[:end].splitlines(), 1):
            try:
                row = strict.loads(raw)
                chain = bytes.fromhex(row.pop("chain"))
                head = self.heads[-1].after(number, _digest(row))
                is_kept = (row["seq"], chain) == head
            except (ValueError, TypeError, KeyError, AttributeError):
                is_kept = False
            if not is_kept:
                raise LedgerError(f"line {number} of {self.path} is not what was kept. Put the newest ledger back.")
            self.rows.append(row)
            self.heads.append(head)
        return end

    def _held_by(self, process: str) -> str:
        return f"{self.path} is held by process {process}. A model line has one server: end that one first."


def head_text(head: Head) -> str:
    """As a public model carries it: ``seq:chain``, the chain as 64 hexadecimal digits."""
    return f"{head.seq}:{head.chain.hex()}"


def parse_head(text: str) -> Head:
    """What :func:`head_text` gave."""
    try:
        seq, chain = text.split(":")
        found = Head(int(seq), bytes.fromhex(chain))
        if head_text(found) == text and found.seq >= 0 and len(found.chain) == 32:
            return found
    except (ValueError, TypeError, AttributeError):
        pass
    raise LedgerError(f"{shown(text)} is no head of a ledger. Give a number, a colon and 64 hexadecimal digits.")


def _opened(path: Path, is_new: bool) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if is_new else 0)
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        raise LedgerError(
            f"the ledger {path} is not there. Put it back; create one for a new model line alone."
        ) from None


@contextmanager
def _own_errors(path: Path) -> Iterator[None]:
    """What the disk and the lock raise, as errors of a ledger."""
    try:
        yield
    except StoreBusy as error:
        raise LedgerError(str(error)) from None
    except StoreError as error:
        raise LedgerError(f"the ledger {path} cannot be used: {error}") from error
    except OSError as error:
        raise LedgerError(
            f"the ledger {path} cannot be used: {error.strerror}. Check the disk; open it anew."
        ) from error


def _digest(row: Row) -> bytes:
    return hashlib.sha256(json.dumps(row, sort_keys=True, allow_nan=False).encode()).digest()
