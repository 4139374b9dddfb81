"""A file that only grows, a JSON object a line: what was paid for is on the disk before anything else is done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from palate.errors import DataError, StoreError, StoreFull
from palate.store.lock import exclusive


class Journal:
    """The lines of a file, and more to come. Made by :func:`opened`.

    Attributes:
        rows: What is in it.
    """

    def __init__(self, path: Path, rows: list[dict[str, Any]], descriptor: int) -> None:
        self.rows = rows
        self._path, self._descriptor = path, descriptor

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one more line; it is on the disk when this returns.

        Raises:
            StoreFull, StoreError: If it cannot be written; what was written before stays.
        """
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError as error:
            kind = StoreFull if error.errno in (28, 122) else StoreError  # no space, no quota
            raise kind(f"{self._path} cannot be written: {error.strerror}. Make room, and start again.") from error
        self.rows.append(dict(row))


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """The journal at a path, made where there is none, for this process alone.

    A last line that is not whole was being written when a process died: it is taken off, and what it said was never
    acknowledged.

    Raises:
        StoreBusy: If another process has it.
        DataError: If a line before the last is none of a journal.
    """
    lock = path.with_name(f"{path.name}.lock")

    def held(holder: str) -> str:
        return f"{path} is in use by process {holder}. Let it finish, or end it."

    with exclusive(lock, wait_seconds=0.0, held=held):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}. Give a folder that is writable.") from error
        try:
            text = path.read_bytes()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                os.ftruncate(descriptor, whole)
            lines = text[:whole].splitlines()
            yield Journal(path, [_row(path, number, line) for number, line in enumerate(lines, 1)], descriptor)
        finally:
            os.close(descriptor)


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise DataError(f"line {number} of {path} is no JSON object. Put back the file as it was written.")
    return row
