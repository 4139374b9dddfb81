"""Vectors kept on disk, so that only what changed is encoded.

Derived data: the folder can be deleted at any time. It holds digests of texts and vectors, never a text.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from palate.encoders.protocol import Encoder
from palate.encoders.texts import checked
from palate.errors import OptionError

CHUNK = 256
"""Texts encoded and kept at a time: what an interrupted run loses at most."""

T = TypeVar("T")

_FILE = "encodings.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, digest BLOB NOT NULL)"


def default_folder() -> Path:
    """The folder ``encodings`` in ``$PALATE_CACHE``, or in ``~/.cache/palate`` where that is not set."""
    root = os.environ.get("PALATE_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "palate") / "encodings"


class Cached:
    """An encoder that remembers; itself an :class:`Encoder`.

    A vector is found by the digest of encoder name, revision, dimension and text. Each is kept with a digest of its own
    bytes: a damaged one is encoded again. Chunks are committed as they are done, so a run that is killed loses one
    chunk at most, and several processes may share a folder.

    Args:
        encoder: The encoder that does the work.
        folder: Where to keep vectors. ``None``: :func:`default_folder`.
    """

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self.encoder = encoder
        self.folder = default_folder() if folder is None else folder

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def revision(self) -> str:
        return self.encoder.revision

    @property
    def dim(self) -> int:
        return self.encoder.dim

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """The vectors of the texts, shape (N, dim); those not yet kept are encoded and kept.

        Args:
            texts: What to encode.
            progress: Called with (done, total) after each chunk.
        Raises:
            DataError: If one of the texts is no text.
            OptionError: If the folder cannot be used.
        """
        given = checked(texts)
        vectors = np.empty((len(given), self.dim), dtype=np.float32)
        for start in range(0, len(given), CHUNK):
            chunk = given[start : start + CHUNK]
            vectors[start : start + len(chunk)] = self._encode_chunk(chunk)
            if progress is not None:
                progress(start + len(chunk), len(given))
        return vectors

    def _encode_chunk(self, texts: list[str]) -> NDArray[np.float32]:
        keys = [self._key(text) for text in texts]
        found = {
            key: np.frombuffer(blob, dtype="<f4")
            for key, blob in _read(self.folder, keys).items()
            if len(blob) == 4 * self.dim
        }
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            fresh = dict(zip(missing, self.encoder.encode(list(missing.values())), strict=True))
            _write(self.folder, {key: vector.astype("<f4").tobytes() for key, vector in fresh.items()})
            found |= fresh
        return np.stack([found[key] for key in keys])

    def _key(self, text: str) -> bytes:
        parts = (self.name, self.revision, str(self.dim), text)
        return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()


def _read(folder: Path, keys: list[bytes]) -> dict[bytes, bytes]:
    """What is kept under the keys, undamaged."""
    select = f"SELECT key, vector, digest FROM vectors WHERE key IN ({','.join('?' * len(keys))})"
    rows = _with_database(folder, lambda connection: connection.execute(select, keys).fetchall())
    return {key: blob for key, blob, digest in rows if digest == _digest(key, blob)}


def _write(folder: Path, blobs: dict[bytes, bytes]) -> None:
    """Keep all of them or, if interrupted, none."""
    rows = [(key, blob, _digest(key, blob)) for key, blob in blobs.items()]
    insert = "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)"
    _with_database(folder, lambda connection: connection.executemany(insert, rows))


def _digest(key: bytes, blob: bytes) -> bytes:
    """With the key in it, so that a vector under another text's key is found out too."""
    return hashlib.blake2b(blob, key=key, digest_size=16).digest()


def _with_database(folder: Path, operation: Callable[[sqlite3.Connection], T]) -> T:
    """Run an operation as one transaction.

    A file that is no sound database any more is started anew: nothing in it is the only copy.
    """
    try:
        try:
            return _run(folder, operation)
        except sqlite3.OperationalError:
            raise  # locked, full, not writable: nothing is damaged
        except sqlite3.DatabaseError:
            for stale in (folder / _FILE, folder / f"{_FILE}-journal"):
                stale.unlink(missing_ok=True)
            return _run(folder, operation)
    except (sqlite3.Error, OSError) as error:
        raise OptionError(
            f"the folder {folder} cannot keep vectors ({error}). "
            "Set PALATE_CACHE to a folder that can be written and has room."
        ) from error


def _run(folder: Path, operation: Callable[[sqlite3.Connection], T]) -> T:
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / _FILE, timeout=60)) as connection, connection:
        connection.execute(_SCHEMA)
        return operation(connection)
