"""Delimited text (CSV, TSV, ``::``): a fast path for well-formed blocks, a careful one as soon as anything is off.

Both give the same rows. A block is well formed if it is UTF-8 without NUL, quote or stray carriage return and each of
its lines has as many delimiters as the header. From the first block that is not, lines are taken one by one: what
cannot be read becomes a reject, and reading goes on with the next line. Empty lines are not rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from palate.datasets.files.limits import Limits
from palate.datasets.files.lines import UTF8_BOM, Line, LineReader, decode, open_lines
from palate.datasets.files.raw import LINE, Piece
from palate.datasets.files.rejects import Reject
from palate.errors import DataError, LimitError

ROWS_A_PIECE = 50_000
UNCLOSED = "a quote opens and does not close"
UNIT_SEPARATOR = b"\x1f"  # stands in for a delimiter of several characters


@dataclass(frozen=True, slots=True)
class Layout:
    """How a delimited file is written.

    Attributes:
        delimiter: One or several characters.
        columns: Names, for a file without a header line.
        quoted: Whether ``"`` encloses fields.
        fallback: Encoding that the format documents for lines that are not UTF-8.
        others: Delimiters that are taken instead where a header has more of them, as in many spreadsheets.
    """

    delimiter: str = ","
    columns: tuple[str, ...] | None = None
    quoted: bool = True
    fallback: str | None = None
    others: str = ""


CSV = Layout(others=";\t")
TSV = Layout(delimiter="\t", quoted=False)
NAMES = {";": "semicolons", "\t": "tabs"}


def read_delimited(path: Path, layout: Layout, limits: Limits, *, fast: bool = True) -> Iterator[Piece]:
    """Stream a delimited file; every column is text, an empty cell is the empty text.

    Raises:
        DataError: If the file is empty, or its header repeats a name or cannot be read.
        LimitError: If a limit is passed.
    """
    with open_lines(path, limits) as reader:
        found, names = (layout, list(layout.columns)) if layout.columns else _header(reader, layout, limits)
        other = NAMES.get(found.delimiter) if found != layout else None
        notes = (f"{path.name}: {other} stand between the columns",) if other else ()
        rows = 0
        for piece in _pieces(reader, names, found, limits, fast):
            rows += piece.frame.height
            if rows > limits.rows:
                raise LimitError(f"{path.name} has more than {limits.rows:,} rows (limit rows). Split the file.")
            yield replace(piece, notes=notes)


def _pieces(reader: LineReader, names: list[str], layout: Layout, limits: Limits, fast: bool) -> Iterator[Piece]:
    while fast and (block := reader.block()) != b"":
        frame = _parse_block(block, names, layout, limits, reader.line) if block is not None else None
        if frame is None:
            reader.give_back(block or b"")
            break
        reader.line += frame.height
        yield Piece(reader.name, frame)
    yield from _careful(reader, names, layout, limits)


def header_of(path: Path, layout: Layout, limits: Limits) -> list[str]:
    """The column names of a file with a header line."""
    with open_lines(path, limits) as reader:
        return _header(reader, layout, limits)[1]


def _header(reader: LineReader, layout: Layout, limits: Limits) -> tuple[Layout, list[str]]:
    """The layout with the delimiter that the header has, and the names of the columns."""
    line = next(reader.lines(), None)
    if line is None:
        raise DataError(f"{reader.name} is empty. It needs a header line with the column names.")
    if line.data is None:
        raise LimitError(f"{reader.name}:1: the header is longer than {limits.line_bytes:,} bytes (limit line_bytes).")
    try:
        text = decode(line.data, layout.fallback)
        layout = replace(layout, delimiter=_delimiter(text, layout)) if layout.others else layout
        names = [name.strip() for name in _fields(text, layout)]
    except ValueError as error:
        raise DataError(f"{reader.name}:1: the header cannot be read: {error}. Save the file as UTF-8 text.") from None
    if len(names) > limits.columns:
        raise LimitError(
            f"{reader.name}:1: {len(names):,} columns, over {limits.columns:,} (limit columns). Leave some out."
        )
    names = [name or f"column_{place}" for place, name in enumerate(names, start=1)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{reader.name}:1: the header has the column {repeated[0]!r} twice. Rename one of them.")
    return layout, names


def _delimiter(header: str, layout: Layout) -> str:
    """Of the delimiters a file may have the one that its header has most of, outside quotes."""
    plain: str = re.sub(r'"[^"]*"', "", header)
    return max(layout.delimiter + layout.others, key=plain.count)


def _parse_block(block: bytes, names: list[str], layout: Layout, limits: Limits, line: int) -> pl.DataFrame | None:
    """The block as a frame, or None if it is not plainly well formed."""
    block = block.replace(b"\r\n", b"\n")
    delimiter = layout.delimiter.encode()
    if len(names) < 2 or b"\r" in block or b"\x00" in block or (layout.quoted and b'"' in block):
        return None
    if block.startswith(UTF8_BOM) or b"\n" + UTF8_BOM in block:
        return None
    if len(delimiter) > 1:
        if UNIT_SEPARATOR in block:
            return None
        block, delimiter = block.replace(delimiter, UNIT_SEPARATOR), UNIT_SEPARATOR
    if not block.endswith(b"\n"):
        block += b"\n"
    if not _even_lines(block, delimiter, len(names) - 1, limits.line_bytes) or not _is_utf8(block):
        return None
    frame = pl.read_csv(
        io.BytesIO(block),
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        separator=delimiter.decode(),
        quote_char=None,
        empty_string_is_null=False,
    )
    lines = pl.int_range(line + 1, line + 1 + frame.height, dtype=pl.Int64, eager=True)
    return frame.with_columns(lines.alias(LINE))


def _even_lines(block: bytes, delimiter: bytes, each: int, longest: int) -> bool:
    """Whether every line has exactly ``each`` delimiters and at most ``longest`` bytes."""
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    before = np.searchsorted(np.flatnonzero(data == delimiter[0]), ends)
    lengths = np.diff(ends, prepend=-1) - 1
    return bool(lengths.max() <= longest and np.array_equal(np.diff(before, prepend=0), np.full(len(ends), each)))


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _careful(reader: LineReader, names: list[str], layout: Layout, limits: Limits) -> Iterator[Piece]:
    rows: list[list[str]] = []
    places: list[int] = []
    rejects: list[Reject] = []
    for number, record in _records(reader, len(names), layout, limits):
        if isinstance(record, str):
            rejects.append(Reject(reader.name, number, "", record))
        else:
            rows.append(record)
            places.append(number)
        if len(rows) + len(rejects) >= ROWS_A_PIECE:
            yield _piece(reader.name, names, rows, places, rejects)
            rows, places, rejects = [], [], []
    yield _piece(reader.name, names, rows, places, rejects)


def _piece(name: str, names: list[str], rows: list[list[str]], places: list[int], rejects: list[Reject]) -> Piece:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    frame = pl.DataFrame({n: pl.Series(n, c, dtype=pl.String) for n, c in zip(names, columns, strict=True)})
    return Piece(name, frame.with_columns(pl.Series(LINE, places, dtype=pl.Int64)), rejects)


def _records(reader: LineReader, width: int, layout: Layout, limits: Limits) -> Iterator[tuple[int, list[str] | str]]:
    """Each row's first line and its fields, or the reason why it is none."""
    source = reader.lines()
    waiting: deque[Line] = deque()
    while line := waiting.popleft() if waiting else next(source, None):
        if line.data == b"":
            continue
        record, taken = _record(line, source, waiting, width, layout, limits)
        for _ in range(taken):
            waiting.popleft()
        yield line.number, record


def _record(
    line: Line, source: Iterator[Line], waiting: deque[Line], width: int, layout: Layout, limits: Limits
) -> tuple[list[str] | str, int]:
    """Fields or reason, and how many of the waiting lines belong to it."""
    if line.data is None:
        return f"longer than {limits.line_bytes:,} bytes (limit line_bytes)", 0
    try:
        text = decode(line.data, layout.fallback)
        return _checked(_fields(text, layout), width), 0
    except _OpenQuote:
        return _across_lines(text, source, waiting, width, layout, limits)
    except ValueError as error:
        return str(error), 0


def _across_lines(
    text: str, source: Iterator[Line], waiting: deque[Line], width: int, layout: Layout, limits: Limits
) -> tuple[list[str] | str, int]:
    """A quoted field that runs over line ends; if it never closes into a whole row, only its first line is lost."""
    parts, quotes, size = [text], text.count('"'), len(text)
    for line in _ahead(source, waiting):
        if line.data is None or (size := size + len(line.data)) > limits.line_bytes:
            break
        try:
            parts.append(decode(line.data, layout.fallback))
            quotes += parts[-1].count('"')
            if quotes % 2 == 0:
                return _checked(_fields("\n".join(parts), layout), width), len(parts) - 1
        except ValueError:
            break
    return UNCLOSED, 0


def _ahead(source: Iterator[Line], waiting: deque[Line]) -> Iterator[Line]:
    """The lines to come, which stay in the queue of those to be read."""
    yield from waiting  # the queue grows only after these
    for line in source:
        waiting.append(line)
        yield line


class _OpenQuote(ValueError):
    pass


def _fields(text: str, layout: Layout) -> list[str]:
    if not layout.quoted or '"' not in text:
        if "\r" in text:
            raise ValueError("a carriage return inside the line; lines end with LF or CR LF")
        return text.split(layout.delimiter)
    try:
        return next(csv.reader([text], delimiter=layout.delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise _OpenQuote from None
        raise ValueError(f"not a row of quoted fields ({error})") from None


def _checked(fields: list[str], width: int) -> list[str]:
    if len(fields) != width:
        raise ValueError(f"{len(fields):,} columns instead of {width:,}")
    return fields
