"""What shards are made of: one or several data sets as they lie, read piece by piece."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from palate.datasets.files.assemble import Assembly, Sink
from palate.datasets.files.boundary import boundary
from palate.datasets.files.limits import Limits
from palate.datasets.files.names import KNOWN, Mapped, check_mapping, check_used
from palate.datasets.files.rejects import Rejects
from palate.datasets.rating_scale import Ends, ends_of
from palate.datasets.rating_scale import read as read_scale
from palate.datasets.readers.folder import read_items
from palate.datasets.readers.formats import read_path
from palate.entities import ITEM
from palate.errors import OptionError
from palate.errors.checks import flag, path_of, several
from palate.vocabulary import Vocabulary

LIMITS = Limits(rows=1 << 40, decoded_bytes=1 << 40)  # of a file that is read piece by piece
_LEAST_BYTES = 3  # of an event in a file
_UNPACKED = 10  # times as large a gzipped file may be


@dataclass(frozen=True, slots=True)
class Source:
    """Data sets, read in this order.

    Attributes:
        paths: Data folders or files.
        items: A table of items, which goes before theirs; None: theirs alone.
        columns: What they call our columns.
        strict: Whether the first row that cannot be read is an error.
        scale: Ends of the scale, where they are given.
        vocabulary: What events mean.
    """

    paths: tuple[Path, ...]
    items: Path | None
    columns: Mapping[str, str]
    strict: bool
    scale: Ends | None
    vocabulary: Vocabulary

    @classmethod
    def of(
        cls,
        paths: object,
        items: object = None,
        columns: Mapped | None = None,
        strict: bool = False,
        scale: Sequence[float] | str | None = None,
        events: Mapping[str, str] | None = None,
    ) -> Source:
        """Arguments and errors as of :meth:`palate.Dataset.load`, of one path or several."""
        given = (paths,) if isinstance(paths, (str, os.PathLike)) else several(paths, "the paths of the data")
        if not given:
            raise OptionError("there is no data to shard. Give the path of a data folder or file.")
        checked = tuple(path_of(path, "the path of the data") for path in given)
        vocabulary, ends = Vocabulary(), ends_of(scale)
        for path in checked:
            vocabulary, ends = vocabulary.with_added(Vocabulary.read(path)), ends or read_scale(path)
        vocabulary = vocabulary.with_added(Vocabulary({} if events is None else events))
        table = None if items is None else path_of(items, "the table of items")
        return cls(checked, table, check_mapping(columns), flag(strict, "strict"), ends, vocabulary)

    def read(self, sink: Sink, rejects: Rejects) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """Pour all interactions into ``sink``; gives the table of items, the first row of each, and notes."""
        tables: list[pl.DataFrame] = []
        notes: dict[str, None] = {}
        if self.items is not None:
            assembly = Assembly(
                LIMITS, rejects, {name: one for name, one in self.columns.items() if _is_of_items(name)}
            )
            with boundary(self.items.name):
                tables.append(read_items(self.items, assembly).items)
            notes.update(assembly.notes)
        for path in self.paths:
            assembly = Assembly(LIMITS, rejects, self.columns, sink=sink)
            with boundary(path.name):
                tables.append(read_path(path, assembly).items)
            check_used(assembly.mapping, assembly.columns)
            notes.update(assembly.notes)
        items = pl.concat(tables, how="diagonal_relaxed").unique(ITEM, keep="first", maintain_order=True)
        return items, tuple(notes)

    def _files(self) -> Iterator[Path]:
        for path in (*self.paths, *([] if self.items is None else [self.items])):
            folders = [path, path / "original"] if path.is_dir() else []
            yield from sorted(one for folder in folders if folder.is_dir() for one in folder.iterdir() if one.is_file())
            if path.is_file():
                yield path

    def described(self) -> dict[str, Any]:
        """Files and how they are read, for JSON."""
        return {
            "files": [[path.name, path.stat().st_size] for path in self._files()],
            "columns": dict(self.columns),
            "strict": self.strict,
            "scale": None if self.scale is None else list(self.scale),
            "events": dict(self.vocabulary.added),
        }

    def written(self) -> list[int]:
        """When each file was last written to, in nanoseconds since the epoch."""
        return [path.stat().st_mtime_ns for path in self._files()]

    def most_events(self) -> int:
        """More events than its files can hold, by their size."""
        sizes = (path.stat().st_size * (_UNPACKED if path.suffix == ".gz" else 1) for path in self._files())
        return math.ceil(sum(sizes) / _LEAST_BYTES)


def _is_of_items(column: str) -> bool:
    return column.startswith("items.") or column in KNOWN["items"]
