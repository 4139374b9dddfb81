from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from palate.datasets import Dataset, Limits
from palate.datasets.files import jsonlines
from palate.datasets.files.jsonlines import literal, read_json_lines
from palate.errors import DataError, LimitError

GOOD = b'{"user_id": "a", "item_id": 1, "rating": 4, "timestamp": "2017-01-01"}\n'


def loaded(tmp_path: Path, data: bytes, name: str = "ratings.jsonl") -> Dataset:
    (tmp_path / name).write_bytes(data)
    return Dataset.load(tmp_path)


def test_good_rows(tmp_path: Path) -> None:
    data = loaded(tmp_path, GOOD + b"\r\n" + b'{"user_id": 7, "item_id": 2.0, "event": "Click", "place": {"x": [1]}}')
    assert data.interactions.rows() == [
        ("a", "1", 4.0, None, 1_483_228_800.0, None),
        ("7", "2", None, "click", None, '{"x": [1]}'),
    ]


def test_gzip(tmp_path: Path) -> None:
    assert loaded(tmp_path, gzip.compress(GOOD), "ratings.jsonl.gz").interactions.height == 1


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (b'{"user_id": "a", "item_id"', "", "not JSON (Expecting ':' delimiter"),
        (b"[1, 2]", "", "a JSON list instead of an object"),
        (b"[" * 100_000, "", "not JSON (nested too deep)"),
        (b'{"user_id": true, "item_id": 1}', "", "user_id is a bool; ids are text or whole numbers"),
        (b'{"user_id": ["a"], "item_id": 1}', "", "user_id is a list; ids are text or whole numbers"),
        (b'{"user_id": null, "item_id": 1}', "user_id", "user_id is missing"),
        (b'{"item_id": 1}', "user_id", "user_id is missing"),
        (b'{"user_id": "\\ud800", "item_id": 1}', "", "half a surrogate pair in the text"),
        (b'{"user_id": "\\u0000", "item_id": 1}', "user_id", "user_id '\\x00' holds a control character"),
        (b'{"user_id": "a", "item_id": 1, "rating": NaN}', "rating", "rating 'NaN' is not a finite number"),
        (b'{"user_id": "a", "item_id": 1, "rating": 1e999}', "rating", "rating 'Infinity' is not a finite number"),
        (b'{"user_id": "a", "item_id": 1, "rating": true}', "rating", "rating 'true' is not a finite number"),
        (b'{"user_id": "a", "item_id": ' + b"9" * 5000 + b"}", "", "not JSON (Exceeds the limit (4300 digits)"),
        (b'{"user_id": "\xe9"}', "", "not UTF-8 at byte 14 of the line (0xe9)"),
    ],
)
def test_one_bad_line_is_one_reject(tmp_path: Path, line: bytes, column: str, reason: str) -> None:
    data = loaded(tmp_path, GOOD + line + b"\n" + GOOD)
    assert data.interactions.height == 2
    (reject,) = data.rejects.rows
    assert (reject.line, reject.column) == (2, column)
    assert reject.reason.startswith(reason)


def test_integers_past_64_bits_are_fine_as_ids(tmp_path: Path) -> None:
    data = loaded(tmp_path, b'{"user_id": 9223372036854775808, "item_id": -1}\n')
    assert data.interactions.row(0)[:2] == ("9223372036854775808", "-1")


def test_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ratings.jsonl is empty. It needs one JSON object a line."):
        loaded(tmp_path, b"")


def test_literals_are_read_and_never_run() -> None:
    assert literal("['a', 'b']") == ["a", "b"]
    assert literal("__import__('os').getcwd()") is None
    assert literal("[" * 10_000) is None
    assert literal("'" + "a" * (1 << 16) + "'") is None


def test_a_key_that_is_no_text(tmp_path: Path) -> None:
    data = loaded(tmp_path, GOOD + b'{"user_id": "a", "item_id": 1, "\\ud800": 1}\n')
    assert [reject.reason for reject in data.rejects.rows] == ["half a surrogate pair in the text"]


def test_rare_keys_do_not_make_a_table_many_times_the_file(tmp_path: Path) -> None:
    rows = b"".join(b'{"user_id": "a", "item_id": 1, "k%d": 1}\n' % (row % 2_000) for row in range(20_000))
    with pytest.raises(LimitError, match=r"ratings.jsonl has 2,002 different keys, .*\(limit empty_cells\)"):
        loaded(tmp_path, rows)


def test_limits_count_over_all_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "ROWS_A_PIECE", 10)
    path = tmp_path / "ratings.jsonl"
    path.write_bytes(b"".join(b'{"k%d": 1}\n' % row for row in range(100)))
    for limits, name in ((Limits(columns=99), "columns"), (Limits(rows=99), "rows")):
        with pytest.raises(LimitError, match=rf"limit {name}"):
            list(read_json_lines(path, limits))
    assert sum(piece.frame.height for piece in read_json_lines(path, Limits(columns=100, rows=100))) == 100
