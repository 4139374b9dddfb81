"""Faults of imports: files that are broken, or made to hurt."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

import palate
from palate.datasets.files.limits import Limits
from palate.datasets.files.rejects import Reject
from palate.errors import DataError, LimitError
from palate.exchange.dump import dump
from palate.exchange.json_files import read_elements
from palate.exchange.load import Loaded, load
from palate.records import Consent, rate
from palate.store.open_store import open_store

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}
GOOD = [f'{{"key": "k{number}", "user_id": "ann", "item_id": "i{number}", "value": 4}}' for number in range(3)]
CSV = "key,user_id,item_id,value"

# Imports a file in a process of its own; says what came of it, and the most memory it had beyond what it began with.
IMPORT = """
import json, resource, sys
from pathlib import Path
from palate.exchange.load import load
from palate.exchange.tabular import read_csv
from palate.store.open_store import open_store
import polars as pl
pl.DataFrame({"a": ["1"]}).filter(pl.col("a") == "1")
path, place = map(Path, sys.argv[1:])
def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_store(place) as log:
    before, error, found = most(), "", None
    try:
        found = load(path, log, path.suffixes[0][1:], rejects=path.with_name("rejects.csv"))
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    kept = [record.content.key for record in log.records()]
print(json.dumps({"megabytes": (most() - before) / 1024, "error": error, "kept": kept,
                  "found": found and [found.added, found.repeated, found.rejected]}))
"""


def imported(path: Path) -> dict[str, object]:
    command = [sys.executable, "-c", IMPORT, str(path), str(path.with_name("labels.sqlite"))]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def rejects(folder: Path) -> list[list[str]]:
    path = folder / "rejects.csv"
    return list(csv.reader(path.read_text().splitlines()))[1:] if path.exists() else []


def _long_line(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(f'{GOOD[0]}\n{{"key": "'.encode())
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(f'"}}\n{GOOD[1]}\n'.encode())


def _zeros(gigabytes: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        zeros = gzip.compress(bytes(50_000_000), 1)
        with path.open("wb") as stream:
            stream.write(gzip.compress(f"{GOOD[0]}\n".encode()))
            for _ in range(int(gigabytes * 20)):
                stream.write(zeros)

    return write


def _text(*lines: str, end: str = "\n", encoding: str = "utf-8") -> Callable[[Path], None]:
    return lambda path: path.write_bytes(end.join([*lines, ""]).encode(encoding)) and None


ROWS = [f"k{number},ann,i{number},4" for number in range(3)]
WRONG: dict[str, tuple[str, Callable[[Path], None], int, list[tuple[int, str, str]]]] = {
    # name: file, how it is made, good rows, and of each reject the line, the column and what the reason holds
    "one line of 200 MB": ("a.jsonl", _long_line, 2, [(2, "", "longer than 1,048,576 bytes")]),
    "no JSON": ("a.jsonl", _text(GOOD[0], "{", "[1]", "7", GOOD[1]), 2, [(n, "", "JSON") for n in (2, 3, 4)]),
    "a key twice": ("a.jsonl", _text(GOOD[0], '{"key": "a", "key": "b"}'), 1, [(2, "", "appears twice")]),
    "no finite number": (
        "a.jsonl",
        _text(*(GOOD[0].replace("4}", f"{bad}}}") for bad in ("NaN", "1e999", "1" * 5_000, '"4"', "true")), GOOD[1]),
        1,
        [(1, "", "NaN"), (2, "", "not finite"), (3, "", ""), (4, "value", "finite"), (5, "value", "finite")],
    ),
    "half a surrogate, a zero byte": (
        "a.jsonl",
        _text(*(GOOD[0].replace("ann", bad) for bad in (r"\ud800", r"\u0000", "x" * 257)), GOOD[1]),
        1,
        [(1, "user_id", "surrogate"), (2, "user_id", "control"), (3, "user_id", "257 bytes")],
    ),
    "an unknown column": ("a.jsonl", _text(GOOD[0], '{"user": "ann"}'), 1, [(2, "user", "unknown")]),
    "an unclosed quote": ("a.csv", _text(CSV, ROWS[0], '"k9,ann,i9,4', ROWS[1]), 2, [(3, "", "does not close")]),
    "a zero byte": ("a.csv", _text(CSV, ROWS[0], "k9,an\0n,i9,4", ROWS[1]), 2, [(3, "", "NUL at byte 6")]),
    "a byte-order mark": ("a.csv", _text("\ufeff" + CSV, *ROWS), 3, []),
    "latin-1 bytes": ("a.csv", _text(CSV, ROWS[0], "k9,é,i9,4", encoding="latin-1"), 1, [(3, "", "not UTF-8")]),
    "mixed line ends": ("a.csv", _text(f"{CSV}\r\n{ROWS[0]}\n{ROWS[1]}\r", ROWS[2]), 3, []),
    "ragged rows": (
        "a.csv",
        _text(CSV, ROWS[0], "k9,ann", f"{ROWS[1]},5", ROWS[2]),
        2,
        [(n, "", "columns") for n in (3, 4)],
    ),
    "no number": ("a.csv", _text(CSV, ROWS[0], "k9,ann,i9,four"), 1, [(3, "value", "is not a number")]),
    "two rows of a key": ("a.csv", _text(CSV, ROWS[0], "k0,ann,i0,5", ROWS[1]), 2, [(3, "key", "is taken")]),
}


@pytest.mark.parametrize("name", WRONG)
def test_IN_04_good_rows_go_in_and_bad_ones_are_told(tmp_path: Path, name: str) -> None:
    file, make, good, bad = WRONG[name]
    make(tmp_path / file)
    with open_store(tmp_path / "labels.sqlite") as log:
        format = file.partition(".")[2]
        found = load(tmp_path / file, log, format, rejects=tmp_path / "rejects.csv")
        assert found == Loaded(added=good, rejected=len(bad))
        told = rejects(tmp_path)
        assert [(row[0], int(row[1]), row[2]) for row in told] == [(file, line, column) for line, column, _ in bad]
        for (*_, reason), row in zip(bad, told, strict=True):
            assert reason in row[3]
        kept = list(log.records())
        assert load(tmp_path / file, log, format, rejects=tmp_path / "rejects.csv") == Loaded(0, good, len(bad))
        assert list(log.records()) == kept


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("key,user_id,item_id,value,value", "has the column 'value' twice"),
        ("key,user_id,item_id,stars", "'stars', which is unknown"),
        (",".join(f"c{number}" for number in range(100_000)), "columns, over 4,096"),
        (",".join(f"column{number}" for number in range(1_000_000)), "the header is longer than"),
    ],
)
def test_IN_04_a_header_that_is_none_is_told_before_any_row(tmp_path: Path, header: str, what: str) -> None:
    _text(header, "k9,ann,i9,4,4")(tmp_path / "a.csv")
    with open_store(tmp_path / "labels.sqlite") as log:
        with pytest.raises(DataError, match=what):
            load(tmp_path / "a.csv", log, "csv", rejects=tmp_path / "rejects.csv")
        assert list(log.records()) == []


def test_IN_04_one_line_of_200_megabytes_takes_no_memory(tmp_path: Path) -> None:
    _long_line(tmp_path / "a.jsonl")
    found = imported(tmp_path / "a.jsonl")
    assert (found["found"], found["error"]) == ([2, 0, 1], "")
    assert float(str(found["megabytes"])) < 64


@pytest.mark.parametrize("gigabytes", [pytest.param(0.5), pytest.param(10.0, marks=pytest.mark.long)])
def test_IN_04_a_bomb_of_zeros_takes_no_memory(tmp_path: Path, gigabytes: float) -> None:
    _zeros(gigabytes)(tmp_path / "a.jsonl.gz")
    found = imported(tmp_path / "a.jsonl.gz")
    assert float(str(found["megabytes"])) < 64
    assert found["kept"] == ["k0"]
    if gigabytes > 4:
        assert "LimitError" in str(found["error"]) and "holds more than 4,294,967,296 bytes" in str(found["error"])
    else:
        assert found["found"] == [1, 0, 1]


def test_IN_04_a_limit_is_told_and_what_came_before_it_is_kept(tmp_path: Path) -> None:
    _zeros(0.1)(tmp_path / "a.jsonl.gz")
    with open_store(tmp_path / "labels.sqlite") as log:
        with pytest.raises(LimitError, match=r"limit decoded_bytes"):
            load(
                tmp_path / "a.jsonl.gz", log, "jsonl", rejects=tmp_path / "r.csv", limits=Limits(decoded_bytes=1 << 24)
            )
        assert [record.content.key for record in log.records()] == ["k0"]


def test_IN_04_a_list_that_is_broken_gives_what_is_whole(tmp_path: Path) -> None:
    def document(number: int, label: str = "4") -> str:
        return json.dumps({"id": number, "text": '}],"{', "label": [label], "item_id": f"i{number}"})

    elements = [document(0), "7", document(1, "x" * 2_000_000), '{"id": }', document(2), '{"id": 3, "label']
    (tmp_path / "a.json").write_text(" [" + " ,\n".join(elements))
    with open_store(tmp_path / "labels.sqlite") as log:
        found = load(tmp_path / "a.json", log, "doccano", rejects=tmp_path / "rejects.csv")
        assert [record.answer.item_id for record in log.records()] == ["i0", "i2"]
    assert found == Loaded(added=2, rejected=4)
    assert [row[1] for row in rejects(tmp_path)] == ["2", "3", "4", "6"]


def test_PR_02_an_old_file_does_not_bring_back_who_was_erased(tmp_path: Path) -> None:
    path, again = tmp_path / "old.jsonl", tmp_path / "r.csv"
    with open_store(tmp_path / "labels.sqlite") as log, open_store(tmp_path / "other.sqlite") as other:
        log.append([rate(user, "film", 4.0, key=f"{user} 1") for user in ("ann", "bob", "ann")])
        log.append([Consent("bob", ("serve",), "2025-01", 1.0)])  # it must not let them in again
        dump(log, path, "jsonl")
        load(path, other, "jsonl", rejects=again)
        log.erase("bob")
        assert load(path, log, "jsonl", rejects=again) == Loaded(repeated=1, rejected=2)
        assert "'bob' was erased" in again.read_text() and "the user was erased" in again.read_text()
        assert list(log.records(user_id="bob")) == []
        log.append([Consent("bob", ("serve",), "2026-01")])  # who comes back says so
        assert load(path, log, "jsonl", rejects=again) == Loaded(added=1, repeated=1, rejected=1)
        dump(log, tmp_path / "back.jsonl", "jsonl")
        with open_store(tmp_path / "elsewhere.sqlite") as elsewhere:
            for added, repeated in ((4, 0), (0, 4)):  # a file that tells of the erasure and of what came after it
                assert load(tmp_path / "back.jsonl", elsewhere, "jsonl", rejects=again) == Loaded(added, repeated)
        log.erase("bob")
        # what says that bob was erased travels with the rows, and holds where they are read
        dump(log, tmp_path / "new.jsonl", "jsonl")
        assert b"bob" not in (tmp_path / "new.jsonl").read_bytes()
        load(tmp_path / "new.jsonl", other, "jsonl", rejects=again)
        assert list(other.records(user_id="bob")) == []
        assert other.verify().is_whole


def test_IN_04_an_element_of_a_list_takes_no_more_than_a_line(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as stream:
        stream.write(b'[{"id": 1, "label": ["4"], "item_id": "i1"}, {"id": "')
        for _ in range(60):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}, {"id": 2, "label": ["4"], "item_id": "i2"}]')
    found = []
    tracemalloc.start()
    try:
        found = [line for line, row in read_elements(tmp_path / "a.json", Limits()) if not isinstance(row, Reject)]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [1, 3]
    assert most < 32 << 20
