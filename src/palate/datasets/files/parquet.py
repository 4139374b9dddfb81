"""Parquet, decoded in a child process that can be lost (:mod:`palate.datasets.files.parquet_child`)."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import weakref
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from palate.datasets.files.boundary import one_line
from palate.datasets.files.limits import DEFAULT_LIMITS, Limits
from palate.datasets.files.lines import opened
from palate.datasets.files.parquet_child import FRAME, REQUEST, Code
from palate.datasets.files.raw import LINE, Piece
from palate.errors import DataError, LimitError, PalateError
from palate.machine import start_child

READ_ROWS = 1 << 17
LONGEST = 120  # characters of what the library said
SPARE_MEMORY = 1 << 30  # of a child, beyond the decoded bytes of a whole file


class ParquetDecoder:
    """A child that decodes, started when the first file is there, and another after one that died of its file."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def frames(self, path: Path, limits: Limits) -> Iterator[pl.DataFrame]:
        """A file some rows at a time; the first frame has none, and the columns.

        Raises:
            DataError: If it is no Parquet file or is damaged.
            LimitError: If rows, columns or decoded bytes are over the limit; nothing was materialised then.
            PalateError: If the child cannot be started.
        """
        request = REQUEST.pack(limits.rows, limits.columns, limits.decoded_bytes, READ_ROWS)
        with opened(path) as file:
            child = self._running(limits)
            child.ask(file.fileno(), request)
        frame, ended = (Code.LOST, b""), 0
        try:
            while (frame := child.frame())[0] is Code.TABLE:
                yield _frame(path.name, frame[1])
        finally:
            if frame[0] in (Code.TABLE, Code.LOST):  # it is in the midst of a file, or gone
                ended = child.kill(patience=1.0 if frame[0] is Code.LOST else 0.0)
                self._child = None
        if ended > 0:  # a signal is below 0
            raise PalateError(
                f"the process that decodes Parquet does not run (exit code {ended}). Install pyarrow again: "
                "pip install --force-reinstall pyarrow"
            )
        if frame[0] is not Code.END:
            raise _refusal(path.name, *frame, limits)

    def _running(self, limits: Limits) -> _Child:
        if self._child is None:
            self._child = _Child(_memory(limits))
            weakref.finalize(self, self._child.kill)
        return self._child


class _Child:
    """One process, and what is believed of its answers."""

    def __init__(self, memory: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            script = Path(__file__).with_name("parquet_child.py")
            self._process = start_child(script, memory, requests=theirs.fileno())
        self._requests = ours

    def ask(self, descriptor: int, request: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone, as the answer will show
            socket.send_fds(self._requests, [request], [descriptor])

    def frame(self) -> tuple[Code, bytes]:
        """The next of its answers, which are believed as far as they are some."""
        head = self._read(FRAME.size)
        code, size = FRAME.unpack(head) if len(head) == FRAME.size else (Code.LOST, 0)
        content = self._read(size)
        known = len(content) == size and code in set(Code)
        return (Code(code), content) if known else (Code.LOST, b"")

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.read(size)

    def kill(self, patience: float = 0.0) -> int:
        """End it, unless it ends of itself within so many seconds; its exit code, or a signal below 0."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._process.kill()
        self._requests.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.wait()


def read_parquet(path: Path, limits: Limits, decoder: ParquetDecoder | None = None) -> Iterator[Piece]:
    """Stream a Parquet file in its own types, as :meth:`ParquetDecoder.frames` says."""
    row = 0
    for frame in (decoder or ParquetDecoder()).frames(path, limits):
        lines = pl.int_range(row + 1, row + 1 + frame.height, dtype=pl.Int64, eager=True)
        row += frame.height
        yield Piece(path.name, frame.with_columns(lines.alias(LINE)))


def _frame(name: str, content: bytes) -> pl.DataFrame:
    try:
        table = pa.ipc.open_stream(content).read_all()
        table.validate(full=True)  # text that is not UTF-8 is undefined behaviour further on
        return pl.DataFrame(pl.from_arrow(table))
    except (pa.ArrowException, pl.exceptions.PolarsError, ValueError) as error:
        raise _refusal(name, Code.UNREADABLE, str(error).encode(errors="replace"), DEFAULT_LIMITS) from None


def _refusal(name: str, code: Code, content: bytes, limits: Limits) -> DataError:
    said = one_line(content.decode(errors="replace"), LONGEST)
    if code is Code.ROWS:
        return LimitError(f"{name} has {int(said):,} rows, over {limits.rows:,} (limit rows). Split the file.")
    if code is Code.COLUMNS:
        return LimitError(f"{name} has {int(said):,} columns, over {limits.columns:,} (limit columns). Leave some out.")
    if code is Code.LARGE:
        larger = "Split the file, or give Dataset.load limits=Limits(decoded_bytes=...)."
        return LimitError(f"{name} decodes to more than {limits.decoded_bytes:,} bytes (limit decoded_bytes). {larger}")
    if code is Code.MEMORY:
        return LimitError(f"{name} needs over {_memory(limits):,} bytes of memory to decode. Write smaller row groups.")
    if code is Code.TWICE:
        return DataError(f"{name} has the column {said!r} twice. Rename one of them.")
    said = "the decoder fails on it" if code is Code.LOST else said
    return DataError(f"{name} cannot be read as Parquet ({said}). Write the file again.")


def _memory(limits: Limits) -> int:
    """Of a child, in bytes, libraries included; it holds some rows at a time, however large the file may be."""
    return min(limits.decoded_bytes, DEFAULT_LIMITS.decoded_bytes) + SPARE_MEMORY
