"""What lies in the folders that commands read and write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from palate import Answer, Dataset, Record
from palate.datasets.convert import write_folder
from palate.loop.checkpoint import open_log
from palate.store.protocol import active


def rows(model: Path) -> list[Record]:
    """All rows of a model's log."""
    with open_log(model) as log:
        return list(log.records())


def kept(model: Path) -> list[Answer]:
    """The answers in a model's log that nobody took back."""
    return [row.content for row in active(rows(model)) if isinstance(row.content, Answer)]


def write_data(folder: Path, rows: Sequence[tuple[str, str, float]], items: pl.DataFrame | None = None) -> Path:
    """A data folder of (user, item, rating)."""
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    return write_folder(Dataset.from_tables(frame, items), folder)
