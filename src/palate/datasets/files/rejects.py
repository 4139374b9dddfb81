"""Rows that could not be read: counted, kept with their place and reason, never dropped silently."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from palate.datasets.files.formulas import inert
from palate.errors import DataError

KEPT = 1_000  # a file of nothing but bad rows must not fill the memory


class Reject(NamedTuple):
    """One row that could not be read.

    Attributes:
        line: Line of a text file from 1, header included; for Parquet and tables the row from 1.
        column: The column at fault, empty where the whole line is.
    """

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        column = f" column {self.column}:" if self.column else ""
        return f"{self.file}:{self.line}:{column} {self.reason}"


def inert_cells(reject: Reject) -> list[str]:
    """Its cells in a CSV file: what it quotes of the data is no formula there."""
    return [inert(str(cell)) for cell in reject]


class Rejects:
    """The rejected rows of one data set: how many, and the first 1,000 of them.

    Args:
        strict: Raise at the first rejected row instead of counting it.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.total = 0
        self.rows: list[Reject] = []

    def __len__(self) -> int:
        return self.total

    def extend(self, rejects: Iterable[Reject]) -> None:
        """Take rejects in the order of their lines.

        Raises:
            DataError: In strict mode, for the first of them; the message names file and line.
        """
        for reject in sorted(rejects, key=lambda reject: reject.line):
            if self.strict:
                remedy = "Correct the row, or leave out --strict (strict=True) to count such rows and go on."
                raise DataError(f"{str(reject).rstrip('.')}. {remedy}")
            self.total += 1
            if len(self.rows) < KEPT:
                self.rows.append(reject)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV of file, line, column and reason; its last row counts what was not kept."""
        with Path(path).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(Reject._fields)
            writer.writerows(map(inert_cells, self.rows))
            if self.total > len(self.rows):
                writer.writerow(("", "", "", f"{self.total - len(self.rows):,} more rejected rows are not listed"))
