from __future__ import annotations

import csv
import gzip
import io
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.datasets.files import delimited
from palate.datasets.files.delimited import CSV, TSV, Layout, read_delimited
from palate.datasets.files.limits import DEFAULT_LIMITS, Limits
from palate.datasets.files.raw import LINE
from palate.datasets.files.rejects import Reject
from palate.errors import DataError, LimitError


def read(
    path: Path, layout: Layout = CSV, limits: Limits = DEFAULT_LIMITS, *, fast: bool = True
) -> tuple[pl.DataFrame, list[Reject]]:
    pieces = list(read_delimited(path, layout, limits, fast=fast))
    return pl.concat(piece.frame for piece in pieces), [reject for piece in pieces for reject in piece.rejects]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_rows_carry_their_line(tmp_path: Path) -> None:
    frame, rejects = read(write(tmp_path / "a.csv", b"x,y\n1,\n\n3,4\n"))
    assert frame.rows() == [("1", "", 2), ("3", "4", 4)]
    assert rejects == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1", "1 columns instead of 2"),
        (b"1,2,3", "3 columns instead of 2"),
        (b"a\x00,2", "NUL at byte 2 of the line"),
        (b"caf\xe9,2", "not UTF-8 at byte 4 of the line (0xe9)"),
        (b"\xef\xbb\xbf1,2", "byte-order mark at byte 1 of the line, as where files were joined"),
        (b"1\r,2", "a carriage return inside the line; lines end with LF or CR LF"),
        (b'"open,2', "a quote opens and does not close"),
        (b'"a"b,2', "not a row of quoted fields (',' expected after '\"')"),
        (b"x" * 101, "longer than 100 bytes (limit line_bytes)"),
    ],
)
def test_one_bad_line_is_one_reject(tmp_path: Path, line: bytes, reason: str) -> None:
    path = write(tmp_path / "a.csv", b"x,y\n1,2\n" + line + b"\n3,4\n5,6\n")
    frame, rejects = read(path, limits=Limits(line_bytes=100))
    assert rejects == [Reject("a.csv", 3, "", reason)]
    assert frame.rows() == [("1", "2", 2), ("3", "4", 4), ("5", "6", 5)]


def test_a_quote_does_not_swallow_a_later_quoted_row(tmp_path: Path) -> None:
    frame, rejects = read(write(tmp_path / "a.csv", b'x,y\n"open,2\n3,4\n"five",6\n7,8\n'))
    assert [reject.line for reject in rejects] == [2]
    assert frame["x"].to_list() == ["3", "five", "7"]


def test_a_quoted_field_may_run_over_lines(tmp_path: Path) -> None:
    frame, rejects = read(write(tmp_path / "a.csv", b'x,y\n"one\r\ntwo",2\n3,"a ""b"""\n'))
    assert rejects == []
    assert frame.rows() == [("one\ntwo", "2", 2), ("3", 'a "b"', 4)]


def test_line_ends_may_be_mixed_and_the_last_absent(tmp_path: Path) -> None:
    frame, _ = read(write(tmp_path / "a.csv", b"\xef\xbb\xbfx,y\r\n1,2\n3,4\r\n5,6"))
    assert frame.columns == ["x", "y", LINE]
    assert frame["y"].to_list() == ["2", "4", "6"]


def test_documented_latin_1_is_read_only_where_the_layout_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "u.item", b"1|Mis\xe9rables\n")
    frame, _ = read(path, Layout("|", ("id", "title"), quoted=False, fallback="latin-1"))
    assert frame["title"].to_list() == ["Misérables"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.csv is empty. It needs a header line with the column names."),
        (b"x,y,x\n1,2,3\n", "a.csv:1: the header has the column 'x' twice. Rename one of them."),
        (b"x,\xe9\n", "a.csv:1: the header cannot be read: not UTF-8 at byte 3 of the line (0xe9)."),
        (b"\xff\xfex\x00", "a.csv is UTF-16 text (it starts with ff fe). Save it as UTF-8."),
    ],
)
def test_a_file_without_a_usable_header(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError) as error:
        read(write(tmp_path / "a.csv", data))
    assert str(error.value).startswith(message)


def test_limits_are_named(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.csv", b",".join(b"c%d" % n for n in range(20)) + b"\n")
    with pytest.raises(LimitError, match="20 columns, over 10 \\(limit columns\\)"):
        read(wide, limits=Limits(columns=10))
    long = write(tmp_path / "long.csv", b"x,y\n" + b"1,2\n" * 11)
    with pytest.raises(LimitError, match="more than 10 rows \\(limit rows\\)"):
        read(long, limits=Limits(rows=10))
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(long.read_bytes()))
    with pytest.raises(LimitError, match="more than 40 bytes after decompression \\(limit decoded_bytes\\)"):
        read(packed, limits=Limits(decoded_bytes=40))


def test_gzip_is_read_and_a_torn_one_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"x,y\n1,2\n")
    assert read(write(tmp_path / "a.csv.gz", packed))[0].rows() == [("1", "2", 2)]
    with pytest.raises(DataError, match=r"torn.csv.gz is not a whole gzip file"):
        read(write(tmp_path / "torn.csv.gz", packed[:-6]))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("fast", [True, False])
def test_a_line_of_just_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes, fast: bool) -> None:
    path = write(tmp_path / "a.csv", b"x,y" + end + b"1," + b"2" * 10 + end + b"1," + b"2" * 11 + end + b"3,4" + end)
    for chunk in range(1, 40):
        monkeypatch.setattr("palate.datasets.files.lines.CHUNK", chunk)
        frame, rejects = read(path, limits=Limits(line_bytes=12), fast=fast)
        assert frame[LINE].to_list() == [2, 4]
        assert [reject.line for reject in rejects] == [3]


CELLS = st.text(st.sampled_from('ab1,"\t:\n\r\x00é\ufeff\x1f '), max_size=6)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2)), noise=st.lists(st.binary(max_size=8), max_size=3))
def test_fast_and_careful_paths_agree(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], noise: list[bytes]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    data = b"x,y\n1,2\n" + text.getvalue().encode() + b"\n".join(noise)
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", data)
    for layout in (CSV, TSV, Layout("::", ("x", "y"), quoted=False)):
        quick, quick_rejects = read(path, Layout(layout.delimiter, ("x", "y"), layout.quoted))
        slow, slow_rejects = read(path, Layout(layout.delimiter, ("x", "y"), layout.quoted), fast=False)
        assert quick.equals(slow)
        assert quick_rejects == slow_rejects


@given(
    rows=st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00")), min_size=3, max_size=3))
)
def test_what_csv_writes_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["x", "y", "z"], *rows])
    frame, rejects = read(path)
    assert rejects == []
    assert frame.drop(LINE).rows() == [tuple(row) for row in rows]


def test_a_long_file_changes_to_the_careful_path_and_keeps_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palate.datasets.files.lines.CHUNK", 64)
    monkeypatch.setattr(delimited, "ROWS_A_PIECE", 7)
    lines = [f"{n},{n}" for n in range(2, 100)]
    lines[60] = "broken"
    frame, rejects = read(write(tmp_path / "a.csv", "\n".join(["x,y", *lines]).encode()))
    assert frame["x"].cast(pl.Int64).equals(frame[LINE].rename("x"))
    assert [reject.line for reject in rejects] == [62]


def test_many_lines_of_open_quotes_take_seconds(tmp_path: Path) -> None:
    started = time.process_time()
    _, rejects = read(write(tmp_path / "a.csv", b'x,y\n"open\n' + b'a","\n' * 150_000))
    assert len(rejects) == 150_001
    assert time.process_time() - started < 30  # a line that looks at all those before it takes many minutes
