"""Lines of a text file, plain or gzip, with memory bounded by the longest line allowed."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from palate.datasets.files.limits import Limits
from palate.errors import DataError, LimitError

CHUNK = 4 << 20  # bytes read at once
UTF8_BOM = b"\xef\xbb\xbf"
FOREIGN_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class Line(NamedTuple):
    """One physical line without its end; ``data`` is None where it is longer than the limit."""

    number: int
    data: bytes | None


class LineReader:
    """Hands out blocks of whole lines, or single lines, of one stream.

    Lines end with LF or CR LF, mixed as they come. A UTF-8 byte-order mark at the very start is skipped.
    """

    def __init__(self, stream: BinaryIO, name: str, limits: Limits) -> None:
        self.name = name
        self.line = 0  # number of the last line handed out
        self._stream = stream
        self._limits = limits
        self._buffer = b""
        self._start = 0  # what lies before was handed out as single lines
        self._decoded = 0
        self._ended = False
        self._fill()
        for mark, encoding in FOREIGN_BOMS.items():
            if self._buffer.startswith(mark):
                raise DataError(f"{name} is {encoding} text (it starts with {mark.hex(' ')}). Save it as UTF-8.")
        self._buffer = self._buffer.removeprefix(UTF8_BOM)

    def block(self) -> bytes | None:
        """The next whole lines, about CHUNK bytes; empty at the end of the file.

        None where a line is longer than a block: :meth:`lines` can then tell it apart.
        """
        self._drop_read()
        while len(self._buffer) < CHUNK and not self._ended:
            self._fill()
        cut = len(self._buffer) if self._ended else self._buffer.rfind(b"\n") + 1
        if cut == 0 and self._buffer:
            return None
        block, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return block

    def give_back(self, block: bytes) -> None:
        """Undo the last :meth:`block`."""
        self._buffer = block + self._buffer

    def lines(self) -> Iterator[Line]:
        """Every line that is left."""
        while True:
            while (end := self._buffer.find(b"\n", self._start)) >= 0:
                data = self._buffer[self._start : end]
                self._start = end + 1
                yield self._numbered(data)
            self._drop_read()
            if len(self._buffer) > self._limits.line_bytes + 1:  # the last byte may be the CR of the line's end
                yield self._numbered(None)
                self._skip_line()
            elif not self._ended:
                self._fill()
            else:
                break
        if self._buffer:
            last, self._buffer = self._buffer, b""
            yield self._numbered(last)

    def chunks(self) -> Iterator[bytes]:
        """All that is left, as it comes: of a file that is not made of lines."""
        while self._buffer or not self._ended:
            chunk, self._buffer = self._buffer, b""
            yield chunk
            if not self._ended:
                self._fill()

    def _numbered(self, data: bytes | None) -> Line:
        self.line += 1
        data = data.removesuffix(b"\r") if data is not None else None
        return Line(self.line, data if data is not None and len(data) <= self._limits.line_bytes else None)

    def _drop_read(self) -> None:
        self._buffer, self._start = self._buffer[self._start :], 0

    def _skip_line(self) -> None:
        while (end := self._buffer.find(b"\n")) < 0 and not self._ended:
            self._buffer = b""
            self._fill()
        self._buffer = self._buffer[end + 1 :] if end >= 0 else b""

    def _fill(self) -> None:
        try:
            data = self._stream.read(CHUNK)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{self.name} is not a whole gzip file ({error}). Get the file again.") from None
        self._ended = not data
        self._decoded += len(data)
        if self._decoded > self._limits.decoded_bytes:
            raise LimitError(
                f"{self.name} holds more than {self._limits.decoded_bytes:,} bytes after decompression "
                "(limit decoded_bytes). Split the file, or give Dataset.load limits=Limits(decoded_bytes=...)."
            )
        self._buffer += data


def opened(path: Path) -> BinaryIO:
    """The file, open for reading.

    Raises:
        DataError: If it cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({os.strerror(error.errno or 0)}). Check the path.") from None


@contextmanager
def open_lines(path: Path, limits: Limits) -> Iterator[LineReader]:
    """Open a text file, decompressing ``*.gz`` and counting the bytes that come out.

    Raises:
        DataError: If the file cannot be opened or is UTF-16.
        LimitError: As soon as more than ``limits.decoded_bytes`` have come out.
    """
    with opened(path) as file:
        stream: BinaryIO = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file  # type: ignore[assignment]
        yield LineReader(stream, path.name, limits)


def decode(data: bytes, fallback: str | None = None) -> str:
    """Text of one line.

    Args:
        fallback: Encoding that the format documents for lines that are not UTF-8.
    Raises:
        ValueError: With the reason and the byte where it goes wrong.
    """
    if (nul := data.find(b"\x00")) >= 0:
        raise ValueError(f"NUL at byte {nul + 1} of the line")
    if data.startswith(UTF8_BOM):  # later in a line it is a zero-width blank, which texts may have
        raise ValueError("byte-order mark at byte 1 of the line, as where files were joined")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if fallback:
            return data.decode(fallback)
        raise ValueError(f"not UTF-8 at byte {error.start + 1} of the line (0x{data[error.start]:02x})") from None
