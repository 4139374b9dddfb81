from __future__ import annotations

import datetime
import io

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from palate.errors import LimitError, ModelFolderError
from palate.store.model_folder import bounded


def buffer(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, dtype=np.uint8)


def written(table: pa.Table, **options: object) -> NDArray[np.uint8]:
    target = io.BytesIO()
    pq.write_table(table, target, **{"compression": "none", **options})
    return buffer(target.getvalue())


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame(),
        pl.DataFrame(schema={"item_id": pl.String, "n": pl.Int64}),
        pl.DataFrame({"item_id": ["a", "é", None], "n": [1, None, 3], "x": [0.5, None, float("nan")]}),
        pl.DataFrame({"c": pl.Series(["u", "v", "u"], dtype=pl.Categorical)}),
        pl.DataFrame({"b": [b"\xff", None], "t": [True, None], "d": [datetime.date(2020, 2, 29), None]}),
        pl.DataFrame({"s": pl.Series([1, 2], dtype=pl.Int8), "f": pl.Series([1, 2], dtype=pl.Float32)}),
    ],
)
def test_a_flat_table_comes_back(table: pl.DataFrame) -> None:
    read = bounded.from_parquet(buffer(bounded.to_parquet(table, "items")), "items")
    assert read.schema == table.schema
    assert read.equals(table)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pl.DataFrame({"l": [[1]]}), "column 'l.list.element' is nested"),
        (pl.DataFrame({"s": [{"a": "x"}]}), "column 's.a' is nested"),
        (pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)}), "items cannot be kept"),
    ],
)
def test_what_is_not_flat_is_not_saved(table: pl.DataFrame, reason: str) -> None:
    with pytest.raises(ModelFolderError, match=reason):
        bounded.to_parquet(table, "items")


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "brotli"])
def test_compressed_tables_are_refused(compression: str) -> None:
    data = written(pa.table({"a": ["x" * 100]}), compression=compression)
    with pytest.raises(ModelFolderError) as caught:
        bounded.from_parquet(data, "items")
    assert str(caught.value) == (
        f"items: column 'a' is compressed ({compression.upper()}); a model folder keeps flat, uncompressed tables. "
        "Save the model again."
    )


def test_fixed_length_values_are_refused() -> None:
    table = pa.table({"a": pa.array([b"x" * 1000], type=pa.binary(1000))})
    with pytest.raises(ModelFolderError, match="column 'a' is nested or of the type FIXED_LEN_BYTE_ARRAY"):
        bounded.from_parquet(written(table), "items")


def test_texts_that_share_their_beginnings_are_refused() -> None:
    """DELTA_BYTE_ARRAY turns a few bytes a value into any number of them, outside every dictionary."""
    data = written(
        pa.table({"a": ["x" * 1000] * 1000}), use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"}
    )
    with pytest.raises(ModelFolderError, match="items is not readable Parquet: Not yet implemented"):
        bounded.from_parquet(data, "items")


def test_rows_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_ROWS", 3)
    assert len(bounded.from_parquet(written(pa.table({"a": [1, 2, 3]})), "items")) == 3
    with pytest.raises(LimitError, match=r"^items has 4 rows, of at most MAX_ROWS = 3\. Leave some out\.$"):
        bounded.from_parquet(written(pa.table({"a": [1, 2, 3, 4]})), "items")


@pytest.mark.parametrize(
    ("table", "size"),
    [
        (pa.table({"a": ["x" * 100, None, "é"] * 50}), 50 * 102),
        (pa.table({"a": ["x" * 60] * 100_000}), 6_000_000),  # more than one batch
    ],
)
def test_texts_are_counted_to_the_byte(monkeypatch: pytest.MonkeyPatch, table: pa.Table, size: int) -> None:
    monkeypatch.setattr(bounded, "MAX_DECODED_BYTES", size)
    assert len(bounded.from_parquet(written(table), "items")) == len(table)
    monkeypatch.setattr(bounded, "MAX_DECODED_BYTES", size - 1)
    with pytest.raises(LimitError, match=f"^items stands for more than MAX_DECODED_BYTES = {size - 1:,} bytes"):
        bounded.from_parquet(written(table), "items")


def test_many_constant_columns_are_counted_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({f"c{number}": np.zeros(20_000) for number in range(200)})
    monkeypatch.setattr(bounded, "MAX_DECODED_BYTES", 16_000_000)
    with pytest.raises(LimitError):
        bounded.from_parquet(written(table), "items")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 100, b"item_id,title\n", bytes(1000)])
def test_what_is_no_parquet_is_refused(data: bytes) -> None:
    with pytest.raises(ModelFolderError, match=r"^items is not readable Parquet: .* Save the model again\.$"):
        bounded.from_parquet(buffer(data), "items")


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(ModelFolderError, match="items is not readable Parquet"):
        bounded.from_parquet(written(table), "items")
