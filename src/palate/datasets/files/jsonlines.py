"""JSON lines: one object a line, plain or gzip.

Nested values are kept as JSON text, lists of text joined with ``|``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from palate.datasets.files.limits import Limits
from palate.datasets.files.lines import Line, decode, open_lines
from palate.datasets.files.raw import LINE, Piece
from palate.datasets.files.rejects import Reject
from palate.entities import CATEGORY_SEPARATOR, ITEM, USER
from palate.errors import DataError, LimitError

ROWS_A_PIECE = 50_000
EMPTY_A_VALUE = 20  # cells of a table that rows of different keys may leave empty for each that they fill
Record = dict[str, Any]


def read_json_lines(
    path: Path, limits: Limits, *, shape: Callable[[Record], Record] = lambda record: record, literals: bool = False
) -> Iterator[Piece]:
    """Stream a file of JSON objects; every column is text, a missing key or ``null`` is null.

    Args:
        shape: Turns an object of a public format into columns of ours; raises ValueError with a reason.
        literals: Whether lines may be Python literals instead of JSON, as in old Amazon files (read, never run).
    Raises:
        DataError: If the file is empty.
        LimitError: If a limit is passed.
    """
    with open_lines(path, limits) as reader:
        rows: list[Record] = []
        rejects: list[Reject] = []
        whole = _Whole(reader.name, limits)
        for line in reader.lines():
            if line.data is not None and not line.data.strip():
                continue
            try:
                record = _flat(shape(_parse(line, limits, literals)), limits)
                whole.add(record)
                rows.append(record | {LINE: line.number})
            except ValueError as error:
                rejects.append(Reject(reader.name, line.number, "", str(error)))
            if len(rows) + len(rejects) >= ROWS_A_PIECE:
                yield _piece(reader.name, rows, rejects)
                rows, rejects = [], []
        if not reader.line:
            raise DataError(f"{reader.name} is empty. It needs one JSON object a line.")
        yield _piece(reader.name, rows, rejects)


@dataclass(slots=True)
class _Whole:
    """What the rows so far make together: the pieces end in one table."""

    name: str
    limits: Limits
    rows: int = 0
    values: int = 0
    keys: dict[str, None] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        self.rows += 1
        self.values += len(record)
        self.keys.update(dict.fromkeys(record))
        if self.rows > self.limits.rows:
            raise LimitError(f"{self.name} has more than {self.limits.rows:,} rows (limit rows). Split the file.")
        if len(self.keys) > self.limits.columns:
            raise LimitError(
                f"{self.name} has more than {self.limits.columns:,} different keys (limit columns). Leave some out."
            )
        if self.rows * len(self.keys) > self.limits.empty_cells + EMPTY_A_VALUE * self.values:
            raise LimitError(
                f"{self.name} has {len(self.keys):,} different keys, few of them in each of its rows: more than "
                f"{self.limits.empty_cells:,} empty cells (limit empty_cells). Put the rare keys into one nested value."
            )


def _piece(name: str, rows: list[Record], rejects: list[Reject]) -> Piece:
    names = dict.fromkeys(key for row in rows for key in row)
    types = {key: pl.Int64 if key == LINE else pl.String for key in names}
    columns = [pl.Series(key, [row.get(key) for row in rows], dtype=kind) for key, kind in types.items()]
    return Piece(name, pl.DataFrame(columns or {LINE: pl.Series([], dtype=pl.Int64)}), rejects)


def _parse(line: Line, limits: Limits, literals: bool) -> Record:
    if line.data is None:
        raise ValueError(f"longer than {limits.line_bytes:,} bytes (limit line_bytes)")
    text = decode(line.data)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        record = literal(text) if literals else None
        if record is None:
            raise ValueError(f"not JSON ({_reason(error)})") from None
    if not isinstance(record, dict):
        raise ValueError(f"a JSON {type(record).__name__} instead of an object")
    return record


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0]


def literal(text: str, longest: int = 1 << 16) -> Any:
    """A Python literal such as ``"['a', 'b']"``, None if it is none or longer than ``longest`` characters.

    ``ast.literal_eval`` runs no code, but a huge or deep text can exhaust the parser: hence the cap.
    """
    if len(text) > longest:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _flat(record: Record, limits: Limits) -> Record:
    for key in (USER, ITEM):
        if isinstance(record.get(key), (bool, list, dict)):
            raise ValueError(f"{key} is a {type(record[key]).__name__}; ids are text or whole numbers")
    return {_text(key) or "": _text(value) for key, value in record.items()}


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if not value.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("half a surrogate pair in the text")
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return _text(CATEGORY_SEPARATOR.join(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return json.dumps(value)
