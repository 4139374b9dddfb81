"""What every file reader yields: a piece of a table as it was written, before columns are checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from palate.datasets.files.rejects import Reject

LINE = "__line__"  # position in the file; never leaves this package


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one file.

    Attributes:
        file: Name for messages.
        frame: Columns as read, and LINE.
        rejects: Rows of the same stretch that are no rows at all.
        notes: How the file was taken, where it is not written as documented.
    """

    file: str
    frame: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def with_frame(self, frame: pl.DataFrame) -> Piece:
        return replace(self, frame=frame)

    def reject(self, at_fault: pl.Expr, column: str, reason: Callable[[Any], str]) -> Piece:
        """The piece without the rows at fault; ``reason`` gets the value that each has in ``column``, "" the line."""
        marked = self.frame.with_columns(at_fault.fill_null(value=True).alias("__fault__"))
        faulty = marked.filter(pl.col("__fault__"))
        rejects = [
            Reject(self.file, line, column, reason(value))
            for line, value in zip(faulty[LINE], faulty[column or LINE], strict=True)
        ]
        kept = marked.filter(~pl.col("__fault__")).drop("__fault__")
        return replace(self, frame=kept, rejects=self.rejects + rejects)


def shorten(value: object, longest: int = 60) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."
