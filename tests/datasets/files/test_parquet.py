from __future__ import annotations

import base64
import gc
import json
import sys
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from palate.datasets import Dataset, Limits
from palate.datasets.convert import write_folder
from palate.datasets.files import parquet
from palate.datasets.files.parquet import ParquetDecoder, read_parquet
from palate.datasets.inspect import inspect
from palate.errors import DataError, LimitError, PalateError
from palate.machine import start_child


def test_types_and_rows_survive_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "READ_ROWS", 3)
    table = pl.DataFrame({"user_id": range(10), "item_id": ["x"] * 10, "rating": [float("nan"), *range(9)]})
    table.write_parquet(tmp_path / "ratings.parquet", row_group_size=4)
    data = Dataset.load(tmp_path)
    assert data.interactions["user_id"].to_list() == [str(n) for n in range(1, 10)]
    assert [str(reject) for reject in data.rejects.rows] == [
        "ratings.parquet:1: column rating: rating nan is not a finite number"
    ]


def test_categories_nested_columns_and_bytes(tmp_path: Path) -> None:
    items = pl.DataFrame(
        {
            "item_id": pl.Series(["a", "b"], dtype=pl.Categorical),
            "genres": [["x", "y"], []],
            "image": [b"\x89PNG", None],
            "place": [{"city": "Oslo", "zip": 1}, {"city": "", "zip": 2}],
        }
    )
    items.write_parquet(tmp_path / "items.parquet")
    pl.DataFrame({"user_id": [1], "item_id": ["a"]}).write_parquet(tmp_path / "interactions.parquet")
    data = Dataset.load(tmp_path)
    assert data.items["item_id"].dtype == pl.String
    assert data.items["category"].to_list() == ["x|y", ""]
    assert data.items["image"].to_list() == [b"\x89PNG", None]
    assert data.rejects.total == 0


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\x00" * 100 + b"PAR1", b"user_id,item_id\n"])
def test_what_is_no_parquet(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ratings.parquet").write_bytes(data)
    with pytest.raises(DataError, match=r"ratings.parquet cannot be read as Parquet \(.*\). Write the file again."):
        Dataset.load(tmp_path)


NOT_UTF8 = pa.Array.from_buffers(pa.string(), 2, pa.array([b"caf\xe9", b"a"]).buffers())


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    table = pa.table({"user_id": NOT_UTF8, "item_id": pa.array([1, 2])})
    pq.write_table(table, tmp_path / "ratings.parquet")
    with pytest.raises(DataError, match=r"ratings.parquet cannot be read as Parquet \(.*Invalid UTF8"):
        Dataset.load(tmp_path)
    with pytest.raises(DataError, match=r"interactions cannot be taken \(.*Invalid UTF8"):
        Dataset.from_tables(table)


COLUMNS = {
    "bool": pa.array([True, False]),
    "null": pa.nulls(2),
    "half": pa.array(np.array([1, 2], dtype=np.float16)),
    "decimal": pa.array([Decimal("1.5"), Decimal(2)]),
    "date": pa.array([date(2020, 1, 1)] * 2),
    "time": pa.array([time(1)] * 2),
    "duration": pa.array([timedelta(1)] * 2),
    "binary": pa.array([b"\xff", b"a"]),
    "not utf8": NOT_UTF8,
    "list": pa.array([[1], [2]]),
    "list of text": pa.array([["a"], []]),
    "fixed list": pa.array([[1.0], [2.0]], pa.list_(pa.float32(), 1)),
    "struct": pa.array([{"a": 1}, {"a": 2}]),
    "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    "dictionary": pa.array(["a", "../b"]).dictionary_encode(),
    "numbers as codes": pa.array([1, 2]).dictionary_encode(),
    "view": pa.array(["a", "b"]).cast(pa.string_view()),
    "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("column", ["user_id", "item_id", "rating", "event", "timestamp", "title", "image", "other"])
def test_a_column_of_any_type_is_used_or_refused(tmp_path: Path, column: str, kind: str) -> None:
    table = {"user_id": pa.array(["a", "b"]), "item_id": pa.array(["1", "2"]), column: COLUMNS[kind]}
    for name in ("interactions", "items"):
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    try:
        data = Dataset.load(tmp_path)
    except DataError:
        return
    data.coded()
    data.item_texts()
    assert json.dumps(inspect(data))
    assert Dataset.load(write_folder(data, tmp_path / "out")).fingerprint() == data.fingerprint()


def test_paths_packed_as_codes_are_checked(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": [1, 2], "image": COLUMNS["dictionary"]}), tmp_path / "items.parquet")
    pq.write_table(pa.table({"user_id": [1], "item_id": [1]}), tmp_path / "interactions.parquet")
    assert [reject.column for reject in Dataset.load(tmp_path).rejects.rows] == ["image"]


def test_a_repeated_column(tmp_path: Path) -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array([1])], names=["user_id", "user_id", "item_id"])
    pq.write_table(table, tmp_path / "ratings.parquet")
    with pytest.raises(DataError, match=r"ratings.parquet has the column 'user_id' twice. Rename one of them."):
        Dataset.load(tmp_path)


def test_limits_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"x": range(100), "y": ["text"] * 100}).write_parquet(path)
    with pytest.raises(LimitError, match=r"a.parquet has 100 rows, over 99 \(limit rows\)"):
        list(read_parquet(path, Limits(rows=99)))
    with pytest.raises(LimitError, match=r"a.parquet has 2 columns, over 1 \(limit columns\)"):
        list(read_parquet(path, Limits(columns=1)))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.binary(), pa.large_string(), pa.list_(pa.string()), pa.struct([("s", pa.string())])]
)
def test_text_counts_at_its_full_length(tmp_path: Path, kind: pa.DataType) -> None:
    value: object = "x" * 1000
    if pa.types.is_list(kind):
        value = ["x" * 500, "x" * 500]
    elif pa.types.is_struct(kind):
        value = {"s": value}
    elif pa.types.is_binary(kind):
        value = b"x" * 1000
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array([value] * 1000, kind)}), path)
    assert path.stat().st_size < 10_000
    assert sum(piece.frame.height for piece in read_parquet(path, Limits(decoded_bytes=1_000_000))) == 1000
    with pytest.raises(LimitError, match=r"decodes to more than 999,999 bytes \(limit decoded_bytes\)"):
        list(read_parquet(path, Limits(decoded_bytes=999_999)))


def test_many_small_numbers_count_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": pa.array([[0] * 100_000], pa.list_(pa.int8()))}), path)
    with pytest.raises(LimitError, match=r"limit decoded_bytes"):
        list(read_parquet(path, Limits(decoded_bytes=99_999)))


# Two columns of one row, and one bit that is wrong: the library ends its process over it.
ABORTS = (
    "P(e~L6#x|$6&5TN0u=xi1{DSz00002000020RaF20AUpX6&4j1EENJ302Kxm1{?qY00IC200IF40001D6$BYPH2@d}b7N>_ZDADz02K@*0vHE%"
    "b7gX0X=Eh;OdJ3J02K@+0vHErbY*Q{X=Eh;OdJ3J02Trn92qPo02~zz86^e)85jq3b7gX0X=D`u76KML7Ca^hNgNdb6#x|i06Z1~83q|900IC2"
    "044w&6$}|A1^^it2WfO=ZC`0*6#y0j7CaU_CPYab6#x|g6#@V}76KUt872S%0000McoqUC2o`t%C?IfQa&dKKbS-0Wa4lhSa&LDac4cyNX>V>I"
    "GBqwRE-@J_8~^|u0002j0000`K~ga"
)


def test_IN_05_a_file_that_the_decoder_dies_of_is_one_line_and_the_next_is_read(tmp_path: Path) -> None:
    bad, good, decoder = tmp_path / "bad.parquet", tmp_path / "good.parquet", ParquetDecoder()
    bad.write_bytes(base64.b85decode(ABORTS))
    pl.DataFrame({"n": [1, 2]}).write_parquet(good)
    for _ in range(2):
        with pytest.raises(
            DataError, match=r"^bad.parquet cannot be read as Parquet \(the decoder fails on it\)\. Write"
        ):
            list(read_parquet(bad, Limits(), decoder))
        assert sum(piece.frame.height for piece in read_parquet(good, Limits(), decoder)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is kept on Linux only")
def test_IN_05_a_decoder_that_wants_more_memory_than_it_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "READ_ROWS", 50_000_000)
    monkeypatch.setattr(parquet, "SPARE_MEMORY", 100 << 20)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": pa.array(np.zeros(50_000_000, dtype=np.int64))}), path)
    with pytest.raises(
        LimitError, match=r"^a.parquet needs over .* bytes of memory to decode\. Write smaller row groups"
    ):
        list(read_parquet(path, Limits(decoded_bytes=401 << 20)))


def test_a_child_that_does_not_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "start_child", lambda script, memory, requests: start_child(script, requests=requests))
    pl.DataFrame({"n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(PalateError, match=r"^the process that decodes Parquet does not run \(exit code 1\)\. Install"):
        list(read_parquet(tmp_path / "a.parquet", Limits()))


def test_a_child_ends_with_its_decoder_and_with_a_file_that_is_left(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    decoder = ParquetDecoder()
    pieces = read_parquet(tmp_path / "a.parquet", Limits(), decoder)
    next(pieces)
    left = decoder._child
    assert left is not None
    pieces.close()
    assert left._process.returncode is not None
    assert len(list(read_parquet(tmp_path / "a.parquet", Limits(), decoder))) == 2
    child = decoder._child
    assert child is not None
    assert child._process.poll() is None
    del decoder
    gc.collect()
    assert child._process.poll() is not None


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": [], "year": []}, schema={"item_id": pl.String, "year": pl.Int16}).write_parquet(
        tmp_path / "items.parquet"
    )
    pl.DataFrame({"user_id": [1], "item_id": [1]}).write_parquet(tmp_path / "interactions.parquet")
    assert Dataset.load(tmp_path).items.schema["year"] == pl.Int16


def test_types_that_polars_panics_at_are_read_as_near_ones(tmp_path: Path) -> None:
    table = pa.table(
        {
            "user_id": ["a"],
            "item_id": ["b"],
            "wide": pa.array([Decimal("1.5")], pa.decimal256(60, 1)),
            "timestamp": pa.array([5_000_000], pa.timestamp("us", "no/where")),
        }
    )
    pq.write_table(table, tmp_path / "ratings.parquet")
    for data in (Dataset.load(tmp_path), Dataset.from_tables(table)):
        assert data.interactions.row(0) == ("a", "b", None, None, 5.0, 1.5)
