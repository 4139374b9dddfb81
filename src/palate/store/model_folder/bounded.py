"""Parquet out of a model folder, with limits that are counted and not believed.

A dictionary-encoded column can turn 5 MB into 50 GB while its metadata says 5 MB. So the tables of a model folder are
written without compression (then a page is no larger than the file), and before a table is built its rows are streamed
once with texts left in their dictionaries, adding up the bytes that the dictionaries stand for.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from palate.errors import LimitError, ModelFolderError

MAX_ROWS = 50_000_000
MAX_DECODED_BYTES = 1 << 30
MAX_BATCH_ROWS = 1 << 16
BATCH_VALUES = 1 << 20  # a value is at most 8 bytes here, or an index of 4 into a dictionary

# A fixed-length array of a megabyte a value would decode to gigabytes in the first batch, so that type is not read.
_PHYSICAL_TYPES = {"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY"}
_MAX_FOOTER_TEXT = 1 << 20
_MAX_FOOTER_LIST = 10_000  # columns, row groups, key-value pairs


def to_parquet(table: pl.DataFrame, what: str) -> bytes:
    """The table as Parquet that :func:`from_parquet` reads back.

    Raises:
        ModelFolderError: If a column is nested or of a type that is not kept.
        LimitError: If the table is larger than a limit.
    """
    buffer = io.BytesIO()
    try:
        table.write_parquet(buffer, compression="uncompressed", statistics=False)
    except pl.exceptions.PolarsError as error:
        raise ModelFolderError(f"{what} cannot be kept: {error}. Leave out columns of objects.") from error
    data = buffer.getvalue()
    _check(np.frombuffer(data, dtype=np.uint8), what)
    return data


def from_parquet(data: NDArray[np.uint8], what: str) -> pl.DataFrame:
    """The table in a Parquet file.

    Args:
        data: The whole file, shape (bytes,).
        what: The file's name, for errors.
    Raises:
        ModelFolderError: If it is not flat, uncompressed Parquet.
        LimitError: If it has more than ``MAX_ROWS`` rows or stands for more than ``MAX_DECODED_BYTES`` bytes.
    """
    _check(data, what)
    try:
        return pl.DataFrame(_open(data).read())
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise _unreadable(what, error) from error


def _check(data: NDArray[np.uint8], what: str) -> None:
    try:
        texts = _check_metadata(_open(data).metadata, what)
        _count(_open(data, read_dictionary=texts), what)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(what, error) from error


def _open(data: NDArray[np.uint8], **options: Any) -> pq.ParquetFile:
    source = pa.BufferReader(pa.py_buffer(data))
    limits = {"thrift_string_size_limit": _MAX_FOOTER_TEXT, "thrift_container_size_limit": _MAX_FOOTER_LIST}
    return pq.ParquetFile(source, **limits, **options)


def _check_metadata(metadata: pq.FileMetaData, what: str) -> list[str]:
    """Refuse what the streaming count could not bound; return the columns of texts."""
    if metadata.num_rows > MAX_ROWS:
        raise LimitError(f"{what} has {metadata.num_rows:,} rows, of at most MAX_ROWS = {MAX_ROWS:,}. Leave some out.")
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    for column in columns:
        if column.max_repetition_level or column.path != column.name or column.physical_type not in _PHYSICAL_TYPES:
            raise _unsafe(what, f"column {column.path[:40]!r} is nested or of the type {column.physical_type}")
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            compression = metadata.row_group(group).column(index).compression
            if compression != "UNCOMPRESSED":
                raise _unsafe(what, f"column {columns[index].path[:40]!r} is compressed ({compression})")
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _count(file: pq.ParquetFile, what: str) -> None:
    decoded = 0
    rows = max(1, BATCH_VALUES // max(1, file.metadata.num_columns))
    for batch in file.iter_batches(min(rows, MAX_BATCH_ROWS)):
        decoded += sum(map(_decoded_bytes, batch.columns))
        if decoded > MAX_DECODED_BYTES:
            raise LimitError(
                f"{what} stands for more than MAX_DECODED_BYTES = {MAX_DECODED_BYTES:,} bytes. "
                "Do not use this file; save the model again."
            )


def _decoded_bytes(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).to_numpy(zero_copy_only=False)
    return int(lengths[column.indices.drop_null().to_numpy()].sum(dtype=np.int64))


def _unreadable(what: str, error: Exception) -> ModelFolderError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return ModelFolderError(f"{what} is not readable Parquet: {reason}. Save the model again.")


def _unsafe(what: str, fact: str) -> ModelFolderError:
    return ModelFolderError(f"{what}: {fact}; a model folder keeps flat, uncompressed tables. Save the model again.")
