r"""The log as CSV and as Parquet.

CSV is for spreadsheets, so a text that one would take for a formula gets an apostrophe before it, and so does a text
that begins with an apostrophe; reading takes it away again. In the column ``text``, which may hold anything, a
backslash, a tab and line ends are written ``\\``, ``\t``, ``\n`` and ``\r``, and a text of no letters is one
apostrophe. Lists are JSON.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from palate.datasets.files.delimited import CSV, read_delimited
from palate.datasets.files.formulas import as_it_was, inert
from palate.datasets.files.limits import Limits
from palate.datasets.files.parquet import read_parquet
from palate.datasets.files.raw import LINE, Piece
from palate.datasets.files.rejects import Reject
from palate.errors import DataError, did_you_mean
from palate.exchange.rows import COLUMNS, LISTS, NUMBERS, TEXTS, WHOLE, Row, RowFault

EMPTY = "'"
ROWS_A_GROUP = 10_000
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_PLAIN = {escaped: letter for letter, escaped in _ESCAPES.items()}

_TYPES = {
    **{name: pa.int64() for name in WHOLE},
    **{name: pa.string() for name in TEXTS},
    **{name: pa.float64() for name in NUMBERS},
    **{name: pa.list_(pa.string()) for name in LISTS},
}
SCHEMA = pa.schema([(name, _TYPES[name]) for name in COLUMNS])

Found = tuple[int, Row | Reject]  # a line, and what stands there


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """Write rows with a header, one at a time."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_cell(name, row.get(name)) for name in COLUMNS])


def read_csv(path: Path, limits: Limits) -> Iterator[Found]:
    """The rows of a CSV file, and what in it is none.

    Raises:
        DataError: If its header has an unknown column.
        LimitError: If a limit is passed.
    """
    for piece in read_delimited(path, CSV, limits):
        yield from _rows(piece, _from_cell)


def write_parquet(rows: Iterable[Row], path: Path) -> None:
    """Write rows, so many at a time."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        waiting: list[Row] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) >= ROWS_A_GROUP:
                writer.write_table(pa.Table.from_pylist(waiting, SCHEMA))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_pylist(waiting, SCHEMA))


def read_parquet_rows(path: Path, limits: Limits) -> Iterator[Found]:
    """The rows of a Parquet file; likewise."""
    for piece in read_parquet(path, limits):
        yield from _rows(piece, lambda _column, value: value)


def _rows(piece: Piece, read: Any) -> Iterator[Found]:
    names = [name for name in piece.frame.columns if name != LINE]
    for name in names:
        if name not in COLUMNS:
            near = did_you_mean(name, COLUMNS, 1)
            raise DataError(
                f"{piece.file} has the column {name[:40]!r}, which is unknown. {near} Rename or leave it out."
            )
    yield from ((reject.line, reject) for reject in piece.rejects)
    for line, *values in piece.frame.select(LINE, *names).iter_rows():
        try:
            yield line, {name: read(name, value) for name, value in zip(names, values, strict=True)}
        except RowFault as fault:
            yield line, Reject(piece.file, line, fault.column, fault.reason)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column in LISTS:
        return json.dumps(value, ensure_ascii=False)
    if column in (*NUMBERS, *WHOLE):
        return repr(value)
    text = re.sub(r"[\\\t\n\r]", lambda found: _ESCAPES[found[0]], value) if column == "text" else str(value)
    return inert(text) or EMPTY


def _from_cell(column: str, cell: str | None) -> Any:
    if cell is None or cell == "":
        return None
    if column in (*NUMBERS, *WHOLE):
        return _number(column, cell)
    if column in LISTS:
        return _list(column, cell)
    text = "" if cell == EMPTY else as_it_was(cell)
    return re.sub(r"\\[\\tnr]", lambda found: _PLAIN[found[0]], text) if column == "text" else text


def _number(column: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise RowFault(column, f"{cell[:40]!r} is not a number") from None


def _list(column: str, cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise RowFault(column, f'{cell[:40]!r} is no list. Write JSON, such as ["i1", "i2"]') from None
