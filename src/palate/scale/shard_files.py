"""The files of shards: Parquet whose pages carry checksums, each of which says whose it is."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from palate.arrays import Array, Mask
from palate.errors import DataError
from palate.scale.manifest import AGAIN, File
from palate.store.model_folder import files

_KEY = b"palate"


class Rows(NamedTuple):
    """Answers of one shard sorted by user and item, at most one of each pair.

    Attributes:
        users: Rows of the users in the shard, (N,).
        items: Codes, (N,).
        values: (N,).
        times: Seconds since the epoch, NaN where unknown, (N,).
        ranks: Which of several events of a pair counts: the one of the highest, (N,); 0 of ratings.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: Array
    times: Array
    ranks: Array

    def take(self, places: NDArray[np.intp]) -> Rows:
        return Rows(self.users[places], self.items[places], self.values[places], self.times[places], self.ranks[places])


class Writer(NamedTuple):
    """Writes files of one folder.

    Attributes:
        of: What every file repeats (:attr:`palate.scale.manifest.Manifest.of`).
        written: Size and digest of each.
    """

    folder: Path
    of: str
    written: dict[str, File]

    def rows(self, name: str, rows: Rows) -> None:
        columns = _columns(rows)
        self.write(
            name,
            [pa.table(columns)],
            compression="zstd",
            use_dictionary=[column for column in columns if column != "item"],
            column_encoding={"item": "DELTA_BINARY_PACKED"},
        )

    def delta(self, name: str, rows: Rows, at: NDArray[np.int32], replaces: Mask) -> None:
        """Rows that came later: before which of the base's each stands, and whether it takes its place, (N,) each."""
        columns = {**_columns(rows), "at": at, "replaces": replaces}
        self.write(name, [pa.table(columns)], compression="zstd")

    def by_block(self, name: str, rows: Rows, blocks: Sequence[tuple[int, int]]) -> None:
        """The rows by block, item and user; a row group a block."""
        order = np.argsort(rows.items, kind="stable").astype(np.int32)
        columns = {"item": rows.items[order], "user": rows.users[order], "place": order}
        whole = pa.table(columns)
        ends = np.searchsorted(columns["item"], [last for _, last in blocks])
        starts = np.concatenate([[0], ends[:-1]])
        parts = [whole.slice(start, end - start) for start, end in zip(starts, ends, strict=True)]
        delta = dict.fromkeys(columns, "DELTA_BINARY_PACKED")
        self.write(name, parts, compression="none", use_dictionary=False, column_encoding=delta)

    def table(self, name: str, table: pl.DataFrame) -> None:
        self.write(name, [table.to_arrow(compat_level=pl.CompatLevel.oldest())], compression="zstd")

    def write(self, name: str, groups: Sequence[pa.Table], **options: object) -> None:
        """Write a file beside its place and rename it; a row group each."""
        said = {_KEY: json.dumps({"of": self.of, "name": name}).encode()}
        schema = groups[0].schema.with_metadata(said)
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, schema, write_page_checksum=True, **options) as writer:
            for group in groups:
                writer.write_table(group.cast(schema), row_group_size=max(1, group.num_rows))
        data = buffer.getvalue()
        files.write(self.folder / name, data)
        self.written[name] = File(len(data), files.digest(data))


def _columns(rows: Rows) -> dict[str, NDArray[Any]]:
    return {"user": rows.users, "item": rows.items, "value": rows.values, "time": rows.times, "rank": rows.ranks}


def read_table(folder: Path, name: str, of: str, columns: Sequence[str] = (), group: int | None = None) -> pa.Table:
    """A file, or some of its columns, or one of its row groups: empty where it has fewer.

    Raises:
        DataError: If it is missing, damaged, or belongs to shards of other data.
    """
    path = folder / name
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            said = json.loads((file.schema_arrow.metadata or {}).get(_KEY, b"{}"))
            if said != {"of": of, "name": name}:
                raise DataError(f"{path} belongs to shards of other data, or to another place. {AGAIN}.")
            if lacking := set(columns) - set(file.schema_arrow.names):
                raise DataError(f"{path} is damaged (it has no column {min(lacking)}). {AGAIN}.")
            wanted = list(columns) or None
            if group is None:
                return file.read(wanted, use_threads=False)
            if group >= file.num_row_groups:
                return file.schema_arrow.empty_table()
            return file.read_row_group(group, wanted, use_threads=False)
    except FileNotFoundError:
        raise DataError(f"{path} is missing. {AGAIN}.") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        why = " ".join(str(error).split())[:120]
        raise DataError(f"{path} is damaged ({why}). {AGAIN}.") from None


def read_frame(folder: Path, name: str, of: str) -> pl.DataFrame:
    """A file as a table of Polars."""
    return pl.DataFrame(pl.from_arrow(read_table(folder, name, of)))
