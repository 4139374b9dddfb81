"""Parquet, read batch by batch after its decoded size was counted.

What a file says of its own size is not believed: a dictionary column packs fifty gigabytes of text into five
megabytes. Text columns are therefore first streamed as dictionaries and the length of each value is added up, which
costs no more memory than the codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from palate.datasets.files.limits import Limits
from palate.datasets.files.raw import LINE, Piece
from palate.errors import DataError, LimitError

COUNTED_ROWS = 1 << 16
READ_ROWS = 1 << 19


def read_parquet(path: Path, limits: Limits) -> Iterator[Piece]:
    """Stream a Parquet file in its own types.

    Raises:
        DataError: If it is no Parquet file or is damaged.
        LimitError: If rows, columns or decoded bytes are over the limit; nothing was materialised then.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_shape(file, path.name, limits)
        _check_decoded(path, limits)
        with pq.ParquetFile(path) as file:
            yield from _batches(file, path.name)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name} cannot be read as Parquet ({why[:120]}). Write the file again.") from None


def _batches(file: pq.ParquetFile, name: str) -> Iterator[Piece]:
    row = 0
    for batch in file.iter_batches(batch_size=READ_ROWS):
        batch.validate(full=True)  # text that is not UTF-8 is undefined behaviour further on
        frame = pl.DataFrame(pl.from_arrow(batch))
        lines = pl.int_range(row + 1, row + 1 + frame.height, dtype=pl.Int64, eager=True)
        row += frame.height
        yield Piece(name, frame.with_columns(lines.alias(LINE)))


def _check_shape(file: pq.ParquetFile, name: str, limits: Limits) -> None:
    metadata = file.metadata
    if metadata.num_rows > limits.rows:
        raise LimitError(f"{name} has {metadata.num_rows:,} rows, over {limits.rows:,} (limit rows). Split the file.")
    if metadata.num_columns > limits.columns:
        raise LimitError(
            f"{name} has {metadata.num_columns:,} columns, over {limits.columns:,} (limit columns). Leave some out."
        )
    names = file.schema_arrow.names
    if repeated := [column for column in names if names.count(column) > 1]:
        raise DataError(f"{name} has the column {repeated[0]!r} twice. Rename one of them.")
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
    # a value takes a byte at least, and a page is never larger than its column chunk says
    if sum(max(chunk.total_uncompressed_size, chunk.num_values) for chunk in chunks) > limits.decoded_bytes:
        raise _too_large(name, limits)


def _check_decoded(path: Path, limits: Limits) -> None:
    with pq.ParquetFile(path) as file:
        leaves = [file.schema.column(place) for place in range(len(file.schema))]
    texts = [leaf.path for leaf in leaves if leaf.physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")]
    if not texts:
        return
    decoded = 0
    with pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=COUNTED_ROWS, columns=texts):
            decoded += sum(_text_bytes(column) for column in batch.columns)
            if decoded > limits.decoded_bytes:
                raise _too_large(path.name, limits)


def _text_bytes(values: pa.Array) -> int:
    """Bytes of all text in an array, dictionaries written out, lists and structs flattened."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(values.dictionary)
        return int(pc.sum(lengths.take(values.indices)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _text_bytes(values.flatten())
    if pa.types.is_struct(kind):
        return sum(_text_bytes(field) for field in values.flatten())
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        return int(pc.sum(pc.binary_length(values)).as_py() or 0)
    return int(values.nbytes)


def _too_large(name: str, limits: Limits) -> LimitError:
    return LimitError(
        f"{name} decodes to more than {limits.decoded_bytes:,} bytes (limit decoded_bytes). "
        "Split the file, or give Dataset.load limits=Limits(decoded_bytes=...)."
    )
