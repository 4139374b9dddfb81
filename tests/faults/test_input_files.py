"""Hostile and broken files: each is refused or loses its bad rows only, in bounded memory."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import palate
from palate.datasets import Dataset, Limits
from palate.datasets.convert import write_folder
from palate.datasets.inspect import inspect
from palate.errors import DataError, LimitError

MEGABYTE = 1 << 20
HEADER = "user_id,item_id,rating\n"

# VmHWM and not ru_maxrss: the latter counts the memory of the process that forked this one.
CHILD = """
import json, sys
from palate.datasets import Dataset
from palate.errors import PalateError
try:
    data = Dataset.load(sys.argv[1])
    result = {"rows": data.interactions.height, "rejects": [str(reject) for reject in data.rejects.rows]}
except PalateError as error:
    result = {"error": type(error).__name__, "message": str(error)}
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(result | {"peak": int(peak.split()[1]) << 10}))
"""


def load_in_child(path: Path) -> dict[str, object]:
    """What loading gives in a fresh process, and the peak of that process's resident memory in bytes."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to measure memory")
    command = [sys.executable, "-c", CHILD, str(path)]
    environment = os.environ | {"PYTHONPATH": str(Path(palate.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    result: dict[str, object] = json.loads(done.stdout)
    return result


# IN-01: numbers that JSON should not carry

NUMBERS = ["NaN", "-Infinity", "1e999", "9" * 5000]


@pytest.mark.parametrize("number", NUMBERS)
def test_IN_01_numbers_in_jsonl(tmp_path: Path, number: str) -> None:
    row = '{{"user_id": "a", "item_id": 1, "{}": {}}}\n'
    path = tmp_path / "ratings.jsonl"
    path.write_text(row.format("rating", 4) + row.format("rating", number) + row.format("timestamp", number))
    data = Dataset.load(path)
    assert data.interactions.height == 1
    assert [reject.line for reject in data.rejects.rows] == [2, 3]


@pytest.mark.parametrize("number", [*NUMBERS, "-inf", "0x10", "1,5,2"])
def test_IN_01_numbers_in_csv(tmp_path: Path, number: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(f'{HEADER}a,1,4\nb,1,"{number}"\n')
    data = Dataset.load(path)
    assert data.interactions["rating"].to_list() == [4.0]
    assert [(reject.line, reject.column) for reject in data.rejects.rows] == [(3, "rating")]


def test_IN_01_numbers_in_parquet(tmp_path: Path) -> None:
    table = {"user_id": [1, 2**63, 3], "item_id": [1, 1, 1], "rating": [4.0, float("inf"), float("nan")]}
    pl.DataFrame(table, schema_overrides={"user_id": pl.UInt64}).write_parquet(tmp_path / "ratings.parquet")
    data = Dataset.load(tmp_path)
    assert [reject.line for reject in data.rejects.rows] == [2, 3]
    assert json.dumps(inspect(data), allow_nan=False)


# IN-02: text that breaks stores

ODD_IDS = ["e\u0301", "\u0430", "  outer  ", "🎬", "a|b,c", "'; DROP TABLE users; --"]


def test_IN_02_odd_ids_come_back_in_one_normal_form(tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_text("".join(json.dumps({"user_id": user, "item_id": user}) + "\n" for user in ODD_IDS))
    data = Dataset.load(path, strict=True)
    expected = [unicodedata.normalize("NFC", user).strip() for user in ODD_IDS]
    assert data.interactions["user_id"].to_list() == expected
    again = Dataset.load(write_folder(data, tmp_path / "out"), strict=True)
    assert again.interactions["item_id"].to_list() == expected


def test_IN_02_equal_normal_forms_are_one_id_and_look_alikes_are_two() -> None:
    users = ["\u00e9", "e\u0301", "a", "\u0430"]
    data = Dataset.from_tables(pl.DataFrame({"user_id": users, "item_id": [1] * 4}))
    assert data.interactions["user_id"].n_unique() == 3


# zero-width, direction, tag, soft hyphen, variation and filler: two ids that look alike must not be two users
HIDDEN = [f"a{letter}b" for letter in "\u200b\u200d\u202e\u2066\u2060\ufeff\u00ad\ufe0f\u3164\u2028\U000e0041"]


@pytest.mark.parametrize(
    "user", ["\\u0000", "a\\u0000b", "\\ud800", "\\n" * 3, "x" * 257, "x" * (MEGABYTE // 2), *HIDDEN]
)
def test_IN_02_ids_that_no_store_keeps(tmp_path: Path, user: str) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_text(f'{{"user_id": "{user}", "item_id": 1}}\n{{"user_id": "good", "item_id": 1}}\n')
    data = Dataset.load(path)
    assert data.interactions["user_id"].to_list() == ["good"]
    assert data.rejects.rows[0].line == 1
    assert len(data.rejects.rows[0].reason) < 200


# IN-04: hostile or broken CSV and JSON lines


def test_IN_04_one_line_of_200_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    with path.open("wb") as file:
        file.write(f"{HEADER}a,1,3\n".encode())
        for _ in range(200):
            file.write(b"x" * MEGABYTE)
        file.write(b"\nb,2,4\n")
    result = load_in_child(path)
    assert result["rows"] == 2
    assert result["rejects"] == ["ratings.csv:3: longer than 1,048,576 bytes (limit line_bytes)"]
    assert result["peak"] <= 256 * MEGABYTE  # type: ignore[operator]


def test_IN_04_a_million_columns(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("c," * 1_000_000 + "\n")
    result = load_in_child(path)
    assert result["error"] == "LimitError"
    assert result["message"] == "ratings.csv:1: the header is longer than 1,048,576 bytes (limit line_bytes)."
    path.write_text(HEADER + "a,1,3\n" + "," * 1_000_000 + "\nb,2,4\n")
    result = load_in_child(path)
    assert result["rejects"] == ["ratings.csv:3: 1,000,001 columns instead of 3"]
    assert result["peak"] <= 256 * MEGABYTE  # type: ignore[operator]
    path.write_text(",".join(f"c{place}" for place in range(5000)) + "\n")
    with pytest.raises(LimitError, match=r"5,000 columns, over 4,096 \(limit columns\)"):
        Dataset.load(path)


@pytest.mark.parametrize("name", ["ratings.csv.gz", "ratings.jsonl.gz"])
def test_IN_04_ten_gigabytes_of_zeros_in_a_gzip(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    member = gzip.compress(bytes(64 * MEGABYTE), compresslevel=9)
    path.write_bytes(member * 160)
    if name == "ratings.csv.gz":
        result = load_in_child(path)
        assert result["error"] == "LimitError"
        assert result["peak"] <= 256 * MEGABYTE  # type: ignore[operator]
    with pytest.raises(LimitError, match=r"limit (line|decoded)_bytes"):
        Dataset.load(path, limits=Limits(decoded_bytes=128 * MEGABYTE))


def test_IN_04_every_kind_of_broken_row_in_one_file(tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbfuser_id,item_id,rating",  # 1: a mark at the very start is no fault
        b"a,1,3",
        b'"unclosed,1,3',  # 3
        b"n\x00l,1,3",  # 4
        b"caf\xe9,1,3",  # 5: latin-1
        b"b,2,4\r",
        b"ragged,1",  # 7
        b"ragged,1,2,3",  # 8
        b"\xef\xbb\xbfc,1,3",  # 9: a mark where two files were joined
        b'"quoted, with comma",2,5',
        b"d,1,five",  # 11
        b"e,,5",  # 12
        b"old\rmac,1,2",  # 13
        b"z,9,1",
    ]
    (tmp_path / "ratings.csv").write_bytes(b"\n".join(lines))
    data = Dataset.load(tmp_path)
    assert data.interactions["user_id"].to_list() == ["a", "b", "quoted, with comma", "z"]
    assert [reject.line for reject in data.rejects.rows] == [3, 4, 5, 7, 8, 9, 11, 12, 13]
    data.rejects.write(tmp_path / "rejects.csv")
    written = pl.read_csv(tmp_path / "rejects.csv")
    assert written["line"].to_list() == [3, 4, 5, 7, 8, 9, 11, 12, 13]
    assert written.filter(pl.col("line") == 5)["reason"].item() == "not UTF-8 at byte 4 of the line (0xe9)"
    assert written.filter(pl.col("line") == 11)["column"].item() == "rating"
    with pytest.raises(DataError, match=r"^ratings.csv:3: a quote opens and does not close. Correct the row"):
        Dataset.load(tmp_path, strict=True)


def test_IN_04_the_same_good_file_twice_adds_nothing(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(HEADER + "a,1,3\nb,2,4\n")
    out = tmp_path / "out"
    first = Dataset.load(write_folder(Dataset.load(tmp_path / "ratings.csv"), out))
    second = Dataset.load(write_folder(Dataset.load(tmp_path / "ratings.csv"), out))
    assert second.interactions.height == 2
    assert second.fingerprint() == first.fingerprint()


def test_IN_04_an_unclosed_quote_before_many_rows_takes_none_of_them(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + '"a,1,3\n' + "".join(f"u{row},1,3\n" for row in range(200_000)))
    data = Dataset.load(path)
    assert data.interactions.height == 200_000
    assert [reject.line for reject in data.rejects.rows] == [2]


# IN-05: a Parquet file that unpacks ten thousandfold


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 million rows of one text of 1,000 bytes: 5 MB packed, 50 GB as text."""
    codes = pa.array(np.zeros(50_000_000, dtype=np.int8))
    short, long = (pa.DictionaryArray.from_arrays(codes, pa.array([text])) for text in ("i", "x" * 1000))
    path = tmp_path_factory.mktemp("bomb") / "bomb.parquet"
    pq.write_table(pa.table({"user_id": short, "item_id": short, "text": long}), path, compression="zstd")
    assert path.stat().st_size < 12_000_000
    return path


@pytest.mark.parametrize("table", ["interactions", "items"])
def test_IN_05_parquet_bomb(tmp_path: Path, bomb: Path, table: str) -> None:
    pl.DataFrame({"user_id": ["a"], "item_id": ["i"]}).write_parquet(tmp_path / "interactions.parquet")
    (tmp_path / f"{table}.parquet").unlink(missing_ok=True)
    (tmp_path / f"{table}.parquet").symlink_to(bomb)
    result = load_in_child(tmp_path)
    assert result["error"] == "LimitError"
    assert result["message"] == (
        f"{table}.parquet decodes to more than 4,294,967,296 bytes (limit decoded_bytes). "
        "Split the file, or give Dataset.load limits=Limits(decoded_bytes=...)."
    )
    assert result["peak"] <= 512 * MEGABYTE  # type: ignore[operator]


# IN-09: impossible times and disorder, as far as files go

TIMES = {
    "1970-01-01T00:00:00Z": 0.0,
    "2106-02-07T06:28:16Z": 4_294_967_296.0,
    "2016-12-31T23:59:60Z": 1_483_228_800.0,
    "2017-01-01 00:00:00": 1_483_228_800.0,  # without a zone: UTC
    "2024-10-27T02:30:00+02:00": 1_729_989_000.0,  # the two sides of a fold
    "2024-10-27T02:30:00+01:00": 1_729_992_600.0,
}


def test_IN_09_times_that_are_odd_but_possible(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    rows = [f"u,{place},{time}" for place, time in enumerate(TIMES)]
    path.write_text("user_id,item_id,timestamp\n" + "\n".join(rows))
    data = Dataset.load(path, strict=True)
    assert data.interactions["timestamp"].to_list() == list(TIMES.values())
    ahead = "1 timestamps are more than a day ahead of the clock; kept as claimed"
    assert ahead in inspect(data, now=1_800_000_000.0)["suspicious"]


@pytest.mark.parametrize(
    "time", ["-1", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "99999999999", "2024-02-30", "25:00"]
)
def test_IN_09_impossible_times(tmp_path: Path, time: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(f"user_id,item_id,timestamp\nu,1,5\nu,2,{time}\n")
    data = Dataset.load(path)
    assert [(reject.line, reject.column) for reject in data.rejects.rows] == [(3, "timestamp")]
    assert data.interactions["item_id"].to_list() == ["1"]


def test_IN_09_shuffled_and_ordered_delivery_end_in_the_same_state() -> None:
    rows = [(f"u{place % 7}", f"i{place % 5}", place % 4 + 1, float(place)) for place in range(200)]
    shuffled = random.Random(0).sample(rows, len(rows))
    names = ["user_id", "item_id", "rating", "timestamp"]
    ordered, mixed = (Dataset.from_tables(pl.DataFrame(r, schema=names, orient="row")) for r in (rows, shuffled))
    assert ordered.fingerprint() == mixed.fingerprint()
    kept = [
        set(zip(c.users.tolist(), c.items.tolist(), c.values.tolist(), strict=True))
        for c in (ordered.coded(), mixed.coded())
    ]
    assert kept[0] == kept[1]


# MF-06: paths in data columns

BAD_PATHS = [
    "../secret.png",
    "%2e%2e/secret.png",
    "..\\secret.png",
    "/etc/passwd",
    "file:///etc/passwd",
    "http:///#/../../etc/passwd",
    "?../../etc/passwd",
    "C:secret.png",
    "link/secret.png",
]


@pytest.mark.parametrize("column", ["image", "audio"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_MF_06_paths_in_columns(tmp_path: Path, column: str, ending: str) -> None:
    root, sibling = tmp_path / "data", tmp_path / "data-sibling"
    root.mkdir()
    sibling.mkdir()
    (root / "link").symlink_to(sibling)
    bad = [*BAD_PATHS, "nul\x00.png"] if ending != "csv" else BAD_PATHS
    items = pl.DataFrame({"item_id": range(len(bad) + 1), column: [*bad, "media/good.png"]})
    pl.DataFrame({"user_id": [1], "item_id": [1]}).write_csv(root / "interactions.csv")
    path = root / f"items.{ending}"
    {"csv": items.write_csv, "jsonl": items.write_ndjson, "parquet": items.write_parquet}[ending](path)
    data = Dataset.load(root)
    assert data.items[column].to_list() == [*[None] * len(bad), "media/good.png"]  # the items stay
    assert [reject.column for reject in data.rejects.rows] == [column] * len(bad)
    assert all(reject.reason for reject in data.rejects.rows)
    with pytest.raises(DataError, match=rf"items.{ending}:\d: column {column}: the path '../secret.png' climbs out"):
        Dataset.load(root, strict=True)
