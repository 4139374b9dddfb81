"""The formats by name, and which one a file has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from palate.datasets.files.limits import Limits
from palate.datasets.files.rejects import Reject
from palate.errors import OptionError
from palate.errors.checks import one_of
from palate.exchange.json_files import read_elements, read_lines, write_lines
from palate.exchange.rows import Row, RowFault, row_of
from palate.exchange.tabular import read_csv, read_parquet_rows, write_csv, write_parquet
from palate.exchange.tools import TOOLS, Meaning, Tool, fits
from palate.records import Record

WHOLE = {"jsonl": write_lines, "csv": write_csv, "parquet": write_parquet}  # these hold every row of a log
FORMATS = (*WHOLE, *TOOLS)
_BY_ENDING = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


def format_of(path: Path, name: str | None) -> str:
    """The format of that name; without one, as the file's name ends, ``.gz`` aside.

    Raises:
        OptionError: If there is none.
    """
    if name is not None:
        return one_of(name, FORMATS, "the format")
    endings = [ending for ending in path.suffixes if ending != ".gz"]
    found = _BY_ENDING.get(endings[-1]) if endings else None
    if found is None:
        raise OptionError(
            f"{path.name} does not end in {', '.join(_BY_ENDING)}. Name its format: {', '.join(FORMATS)}."
        )
    return found


def read(path: Path, format: str, meaning: Meaning, limits: Limits) -> Iterator[tuple[int, Row | Reject]]:
    """The rows of a file, each with its line, and what in it is none.

    Raises:
        DataError: If the file as a whole cannot be read.
        LimitError: If a limit is passed.
    """
    if format == "csv":
        return read_csv(path, limits)
    if format == "parquet":
        return read_parquet_rows(path, limits)
    if format == "jsonl":
        return read_lines(path, limits)
    return _of_tool(path, TOOLS[format], meaning, limits)


def _of_tool(path: Path, tool: Tool, meaning: Meaning, limits: Limits) -> Iterator[tuple[int, Row | Reject]]:
    for place, element in read_elements(path, limits):
        if isinstance(element, Reject):
            yield place, element
            continue
        try:
            yield from ((place, row) for row in tool.rows(element, meaning))
        except RowFault as fault:
            yield place, Reject(path.name, place, fault.column, fault.reason)


def write(records: Iterable[Record], path: Path, format: str) -> tuple[int, int]:
    """Write rows of a log, one at a time; how many were written, and how many a tool has no place for."""
    count = _Count(records)
    if format in WHOLE:
        WHOLE[format](map(row_of, count.all()), path)
    else:
        TOOLS[format].write(map(TOOLS[format].element, count.fitting()), path)
    return count.written, count.left_out


class _Count:
    def __init__(self, records: Iterable[Record]) -> None:
        self._records, self.written, self.left_out = records, 0, 0

    def all(self) -> Iterator[Record]:
        for record in self._records:
            self.written += 1
            yield record

    def fitting(self) -> Iterator[Record]:
        for record in self._records:
            if fits(record):
                self.written += 1
                yield record
            else:
                self.left_out += 1
