"""The hash chain of the log, and the file beside it that holds its head.

    digest = SHA-256(salt ‖ JSON of what the row says)      chain = SHA-256(chain of the row before ‖ digest)

The JSON has the columns of a row that are not NULL, names sorted, no white space, ASCII. A row whose content was erased
keeps its digest, so the chain stays whole; without the salt the digest tells nothing of what was there.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from palate.errors import StoreError
from palate.store.rows import Row
from palate.store.tables import SAID

SALT_BYTES = 16
_FIRST = bytes(32)
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_LENGTH = 20 + 1 + 64 + 1


class Head(NamedTuple):
    """The last row of a log: ``seq`` 0 where there is none."""

    seq: int = 0
    chain: bytes = _FIRST

    def after(self, seq: int, digest: bytes) -> Head:
        """The head when one more row is kept."""
        return Head(seq, hashlib.sha256(self.chain + digest).digest())


def digest(row: Row, salt: bytes) -> bytes:
    """Of what a row says."""
    said = {name: value for name, value in zip(SAID, row, strict=True) if value is not None}
    return hashlib.sha256(salt + _encode(said).encode()).digest()


def new_salt() -> bytes:
    """Of one row: two rows that say the same have other digests."""
    return os.urandom(SALT_BYTES)


def write_head(path: Path, head: Head, *, sync: bool = False) -> None:
    """Write the file in its place, in one call.

    It is synced only when it is made: it may lag behind the database after a power loss, and is ahead of it where the
    database has lost rows.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o644)
        try:
            os.pwrite(descriptor, f"{head.seq:020d} {head.chain.hex()}\n".encode(), 0)
            if sync:
                os.fsync(descriptor)
                sync_folder(path.parent)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}. Check the disk, then send the same again.") from error


def read_head(path: Path) -> Head | None:
    """The head that the file holds; None if there is no file.

    Raises:
        StoreError: If it holds something else.
    """
    try:
        content = path.read_bytes()[: _LENGTH + 1]
        if len(content) != _LENGTH:
            raise ValueError
        seq, chain = content.decode().split()
        return Head(int(seq), bytes.fromhex(chain))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}. Make it readable.") from error
    except ValueError:
        raise StoreError(f"{path} is damaged: it holds no seq and chain. {ACCEPT}") from None


ACCEPT = "Restore the log from a backup, or accept it as it is: palate store verify --accept"


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
