"""Events on their way into shards: appended to a file a part of the users, so that no part is ever looked for.

Each append is an Arrow stream of its own. What was appended after the last checkpoint is cut off on resuming.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from palate.errors import DataError

SCHEMA = pa.schema(
    {
        "user": pa.large_string(),
        "item": pa.int32(),  # as it was numbered while reading; -1 of a row that only names its user
        "value": pa.float64(),  # NaN of such a row
        "time": pa.float64(),
        "word": pa.int16(),  # of an event; -1 of a rating
        "place": pa.int64(),  # among all rows of the data
    }
)
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class Unwritable(DataError):
    """The disk refuses. What was written before is kept, and can be gone on with."""


@contextmanager
def writing(folder: Path, again: str) -> Iterator[None]:
    """Errors of the disk in one line.

    Raises:
        Unwritable: If the block meets one.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"Free some space, then {again}" if full else "Choose another folder"
        raise Unwritable(f"{folder} cannot be written ({error.strerror or error}). {remedy}.") from None


class Spill:
    """2^k files of events in a folder.

    Attributes:
        lengths: Bytes of each file.
    """

    def __init__(self, folder: Path, lengths: Sequence[int]) -> None:
        self.folder = folder
        self.lengths = list(lengths)

    @classmethod
    def resumed(cls, folder: Path, lengths: Sequence[int]) -> Spill:
        """With files as long as they were then.

        Raises:
            DataError: If one is shorter.
        """
        spill = cls(folder, lengths)
        for part, length in enumerate(lengths):
            path = spill.path(part)
            found = path.stat().st_size if path.exists() else 0
            if found < length:
                raise DataError(
                    f"{path} has {found:,} bytes of {length:,}. Remove its folder of shards and start again."
                )
            if found > length:
                os.truncate(path, length)
        return spill

    def path(self, part: int) -> Path:
        return self.folder / f"part-{part:04d}.arrow"

    def append(self, parts: NDArray[np.int64], table: pa.Table) -> None:
        """Append each row to its part, (N,), in order."""
        order = np.argsort(parts, kind="stable")
        table = table.take(pa.array(order)).combine_chunks()
        ends = np.cumsum(np.bincount(parts, minlength=len(self.lengths)))
        for part in np.flatnonzero(np.diff(ends, prepend=0)).tolist():
            start = int(ends[part - 1]) if part else 0
            with self.path(part).open("ab") as file:
                with pa.ipc.new_stream(file, SCHEMA, options=_OPTIONS) as stream:
                    stream.write_table(table.slice(start, int(ends[part]) - start))
                self.lengths[part] = file.tell()

    def read(self, parts: Sequence[int]) -> pa.Table:
        """All rows of some parts; those of one part in order."""
        batches = [batch for part in parts for batch in self._batches(part)]
        return pa.Table.from_batches(batches, SCHEMA)

    def _batches(self, part: int) -> Iterator[pa.RecordBatch]:
        length, path = self.lengths[part], self.path(part)
        if not length:
            return
        with path.open("rb") as file:
            while file.tell() < length:
                with pa.ipc.open_stream(file) as stream:
                    yield from stream
