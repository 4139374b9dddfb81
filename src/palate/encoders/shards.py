"""Vectors on disk by key: append-only shards, memory-mapped, safe with several processes and a kill at any time.

A shard is two files of equal rows: ``.vectors`` (float32, little-endian) and ``.index`` (a key and a digest of key and
vector). A row counts once both hold it whole, and its vector is checked against its digest whenever it is read. A
process appends to a shard that it holds the lock of, and reads all.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Vectors

KEY_BYTES = 32
DIGEST_BYTES = 16
SHARD_BYTES = 64 << 20
"""Of the vectors of a shard; a full one is never written again."""

_ENTRY = np.dtype([("key", np.void, KEY_BYTES), ("digest", np.void, DIGEST_BYTES)])
_PREFIX = np.dtype("<u8")  # of a key, to search by


class Shards:
    """The vectors of one encoder in a folder; a context manager.

    Args:
        folder: Made where it is missing.
        name: Of the encoder: the beginning of its files' names.
        dim: Length of a vector.
        shard_bytes: Where a shard is full.
    """

    def __init__(self, folder: Path, name: str, dim: int, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._name, self._dim = folder, name, dim
        self._most_rows = max(1, shard_bytes // max(4 * dim, 1))
        folder.mkdir(parents=True, exist_ok=True)
        self._shards = [_Shard.open(path, dim) for path in self._paths()]
        self._writer: _Writer | None = None
        self._index()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """What was kept under the keys when this was opened, undamaged."""
        found: dict[bytes, Vectors] = {}
        wanted = np.frombuffer(b"".join(key[: _PREFIX.itemsize] for key in keys), dtype=_PREFIX)
        starts, ends = (np.searchsorted(self._prefixes, wanted, side=side) for side in ("left", "right"))
        for key, start, end in zip(keys, starts, ends, strict=True):
            for place in self._places[start:end][::-1]:  # the latest first
                vector = None if key in found else self._at(int(place), key)
                if vector is not None:
                    found[key] = vector
        return found

    def write(self, vectors: dict[bytes, Vectors]) -> None:
        """Keep them; when this returns, a kill of the process does not lose them."""
        rows = list(vectors.items())
        while rows:
            if self._writer is None or self._writer.rows >= self._most_rows:
                self._next_writer()
            assert self._writer is not None
            room = self._most_rows - self._writer.rows
            self._writer.append(rows[:room], self._dim)
            rows = rows[room:]

    def _at(self, place: int, key: bytes) -> Vectors | None:
        shard = int(np.searchsorted(self._ends, place, side="right"))
        return self._shards[shard].vector(place - int(self._starts[shard]), key)

    def _index(self) -> None:
        """Prefixes of all keys, sorted, and where they lie: 16 bytes an entry."""
        sizes = [shard.rows for shard in self._shards]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._starts = self._ends - sizes
        prefixes = [shard.prefixes() for shard in self._shards]
        unsorted = np.concatenate(prefixes) if prefixes else np.zeros(0, dtype=_PREFIX)
        self._places = np.argsort(unsorted, kind="stable")
        self._prefixes = unsorted[self._places]

    def _paths(self) -> list[Path]:
        pattern = re.compile(re.escape(self._name) + r"-\d{6}\.index")
        return sorted(path for path in self._folder.iterdir() if pattern.fullmatch(path.name))

    def _next_writer(self) -> None:
        """Go on with the last shard that is neither full nor another process's, or begin one."""
        if self._writer is not None:
            self._writer.close()
        paths = self._paths()
        for path in paths[::-1]:
            self._writer = _Writer.open(path, self._dim, self._most_rows)
            if self._writer is not None:
                return
        number = int(paths[-1].stem[-6:]) + 1 if paths else 0
        while self._writer is None:
            path = self._folder / f"{self._name}-{number:06d}.index"
            with suppress(FileExistsError):  # another process was first
                path.touch(exist_ok=False)
                self._writer = _Writer.open(path, self._dim, self._most_rows)
            number += 1


class _Shard(NamedTuple):
    """A shard as it was when it was opened; rows that come later are not seen."""

    entries: NDArray[Any]
    vectors: NDArray[Any]

    @classmethod
    def open(cls, path: Path, dim: int) -> _Shard:
        entries, vectors = _rows(path, _ENTRY), _rows(path.with_suffix(".vectors"), np.dtype(("<f4", (dim,))))
        rows = min(len(entries), len(vectors))
        return cls(entries[:rows], vectors[:rows])

    @property
    def rows(self) -> int:
        return len(self.entries)

    def prefixes(self) -> NDArray[np.uint64]:
        keys = np.ascontiguousarray(self.entries["key"]).view(np.uint8).reshape(-1, KEY_BYTES)
        return np.ascontiguousarray(keys[:, : _PREFIX.itemsize]).view(_PREFIX).ravel()

    def vector(self, row: int, key: bytes) -> Vectors | None:
        """The vector of a row, if the row is that key's and undamaged."""
        entry = self.entries[row]
        if entry["key"].tobytes() != key:
            return None
        vector = np.array(self.vectors[row], dtype=np.float32)
        return vector if _digest(key, vector) == entry["digest"].tobytes() else None


def _rows(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The whole rows of a file, memory-mapped."""
    size = path.stat().st_size if path.exists() else 0
    width = dtype.itemsize
    if width == 0 or size < width:
        return np.zeros(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=(size // width,))


class _Writer:
    """The one that appends to a shard: holds its lock."""

    def __init__(self, index: BinaryIO, vectors: BinaryIO, rows: int) -> None:
        self._index, self._vectors, self.rows = index, vectors, rows

    @classmethod
    def open(cls, path: Path, dim: int, most_rows: int) -> _Writer | None:
        """``None`` if another process holds the shard, or it is full. What a kill left half written is cut off."""
        with ExitStack() as stack:
            index = stack.enter_context(path.open("r+b"))
            try:
                fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            vectors = stack.enter_context(path.with_suffix(".vectors").open("a+b"))
            rows = index.seek(0, os.SEEK_END) // _ENTRY.itemsize
            if dim:
                rows = min(rows, vectors.seek(0, os.SEEK_END) // (4 * dim))
            if rows >= most_rows:
                return None
            for file, width in ((index, _ENTRY.itemsize), (vectors, 4 * dim)):
                file.truncate(rows * width)
                file.seek(0, os.SEEK_END)
            stack.pop_all()
            return cls(index, vectors, rows)

    def append(self, rows: Sequence[tuple[bytes, Vectors]], dim: int) -> None:
        """The vectors first: an index row promises its vector."""
        stacked = np.stack([vector for _, vector in rows]).astype("<f4").reshape(len(rows), dim)
        self._vectors.write(stacked.tobytes())
        self._vectors.flush()
        self._index.write(b"".join(key + _digest(key, vector) for (key, _), vector in zip(rows, stacked, strict=True)))
        self._index.flush()
        self.rows += len(rows)

    def close(self) -> None:
        self._vectors.close()
        self._index.close()


def _digest(key: bytes, vector: Vectors) -> bytes:
    """With the key in it, so that a vector under another content's key is found out too."""
    return hashlib.blake2b(vector.astype("<f4").tobytes(), key=key, digest_size=DIGEST_BYTES).digest()
