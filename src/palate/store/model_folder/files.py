"""Reading and writing files so that a crash, a symlink or a wrong size cannot mislead."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TEMPORARY = ".tmp"


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, on the disk."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in the folder on the disk: a file's own sync does not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_temporary(path: Path, data: bytes) -> Path:
    """Write ``data`` beside ``path``, on the disk; the caller renames it."""
    temporary = path.with_name(path.name + TEMPORARY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def write(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of what ``path`` holds, in one step. :func:`sync_folder` makes that step last."""
    os.replace(write_temporary(path, data), path)


def read(path: Path, *, at_most: int) -> NDArray[np.uint8]:
    """The bytes of a regular file, in a buffer that may be written to.

    Raises:
        OSError: If it is missing, a symlink or not a regular file, has more than ``at_most`` bytes, or shrinks
            meanwhile.
    """
    # Without NONBLOCK, a FIFO under the name of a model file would hang the reader.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is not a regular file")
        if status.st_size > at_most:
            raise OSError(f"{path.name} has {status.st_size:,} bytes, of at most {at_most:,}")
        data = np.empty(status.st_size, dtype=np.uint8)
        _fill(file, data.data, path)
    return data


def _fill(file: io.FileIO, view: memoryview, path: Path) -> None:
    filled = 0
    while filled < len(view):
        count = file.readinto(view[filled:])
        if not count:
            raise OSError(f"{path.name} ended after {filled:,} of {len(view):,} bytes")
        filled += count


def digest(data: bytes | NDArray[np.uint8]) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.data).hexdigest()
