"""One at a time, across threads and processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from palate.errors import StoreBusy, StoreError

POLL_SECONDS = 0.002


@contextmanager
def exclusive(path: Path, *, wait_seconds: float, held: Callable[[str], str] | None = None) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs.

    The kernel lets go of the lock when its holder dies, so a killed process leaves nothing to clear up. The lock file
    itself stays: removing it would let two holders in, each on its own inode.

    Args:
        held: Says that another holds it, whose process id it is given.
    Raises:
        StoreError: If the file cannot be made.
        StoreBusy: If another holds it for more than ``wait_seconds``.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}. Give a folder that is there and writable.") from error
    try:
        _wait(descriptor, path, wait_seconds, held)
        with suppress(OSError):  # of a full disk
            os.write(descriptor, f"{os.getpid():20d}\n".encode())  # for who waits, and to no other end
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: Path, wait_seconds: float, held: Callable[[str], str] | None) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = _holder(descriptor)
                fact = f"{path} has been held by process {holder} for {wait_seconds:.2g} s"
                said = f"{fact}. Let that process finish or end it, then try again."
                raise StoreBusy(said if held is None else held(holder)) from None
            time.sleep(POLL_SECONDS)


def _holder(descriptor: int) -> str:
    """Who wrote itself into the file last."""
    try:
        return str(int(os.pread(descriptor, 20, 0)))
    except (OSError, ValueError):
        return "that is another"
