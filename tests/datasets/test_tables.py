from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from palate.datasets import Dataset
from palate.errors import DataError, OptionError


def rows(**columns: object) -> pl.DataFrame:
    return pl.DataFrame({"user_id": ["a", "a", "b"], "item_id": [1, 2, 1], **columns})


def loaded(tmp_path: Path, text: str, name: str = "ratings.csv") -> Dataset:
    (tmp_path / name).write_text(text)
    return Dataset.load(tmp_path)


def test_columns_are_always_there_in_their_types() -> None:
    data = Dataset.from_tables(rows(position=[7, 8, 9]))
    assert data.interactions.schema == pl.Schema(
        {
            "user_id": pl.String,
            "item_id": pl.String,
            "rating": pl.Float64,
            "event": pl.String,
            "timestamp": pl.Float64,
            "position": pl.Int64,
        }
    )
    assert data.items.columns == ["item_id", "title", "text", "category"]
    assert data.users.columns == ["user_id"]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_tables_come_back_in_their_kind(make: type) -> None:
    table = make({"user_id": ["a", "b"], "item_id": [1, 2], "rating": [1.0, 2.0]})
    data = Dataset.from_tables(table, make({"item_id": [1], "title": ["One"]}))
    for name in ("interactions", "items", "users", "friends"):
        assert type(data.table(name)) is type(table)  # type: ignore[arg-type]
    assert data.interactions["item_id"].to_list() == ["1", "2"]
    with pytest.raises(
        OptionError, match=r"the table 'ratings' is unknown\. Use interactions, items, users or friends\."
    ):
        data.table("ratings")  # type: ignore[arg-type]


def test_lazy_frames_are_collected() -> None:
    assert isinstance(Dataset.from_tables(rows().lazy()).table("interactions"), pl.DataFrame)


def test_something_that_is_no_table() -> None:
    with pytest.raises(DataError, match=r"interactions is a list. Give a pandas, Polars or PyArrow table."):
        Dataset.from_tables([1, 2])


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"user_id": ["a", 1], "item_id": [1, 2]}),
        pd.DataFrame([["a", "b", 1]], columns=["user_id", "user_id", "item_id"]),
    ],
)
def test_tables_with_mixed_types_or_a_repeated_name(table: pd.DataFrame) -> None:
    with pytest.raises(
        DataError, match=r"interactions cannot be taken \(.*\). Give every column its own name and one type"
    ):
        Dataset.from_tables(table)


def test_ids_of_integers_and_of_text_are_the_same_text() -> None:
    numbers = Dataset.from_tables(pl.DataFrame({"user_id": [1, 20], "item_id": [3, 4]}))
    gaps = Dataset.from_tables(pd.DataFrame({"user_id": [1.0, 20.0], "item_id": [3, 4]}))
    text = Dataset.from_tables(pl.DataFrame({"user_id": [" 1", "20 "], "item_id": ["3", "4"]}))
    assert numbers.fingerprint() == text.fingerprint() == gaps.fingerprint()


def test_missing_column_names_what_there_is() -> None:
    with pytest.raises(DataError) as error:
        Dataset.from_tables(pl.DataFrame({"user": ["a"], "item_id": [1]}))
    assert str(error.value) == (
        "interactions has no column 'user_id' (its columns: user, item_id). Say which is which, such as "
        "--columns user_id=user, in Python columns={'user_id': 'user'}."
    )


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("rating", [1.0, float("nan"), 2.0], "rating nan is not a finite number"),
        ("rating", [1.0, float("-inf"), 2.0], "rating -inf is not a finite number"),
        ("rating", ["1", "1e999", "2"], "rating '1e999' is not a finite number"),
        ("rating", [1.0, -1e30, 2.0], "rating -1e+30 is not below 1e+30 in size"),
        ("rating", ["1", "1e308", "2"], "rating '1e308' is not below 1e+30 in size"),
        ("rating", ["1", "good", "2"], "rating 'good' is not a finite number"),
        ("timestamp", [0, -1, 5], "timestamp -1 is not between 1970 and 2200"),
        ("timestamp", ["0", "2200-01-01", "5"], "timestamp '2200-01-01' is not between 1970 and 2200"),
        ("timestamp", ["0", "nan", "5"], "timestamp 'nan' is not between 1970 and 2200"),
        (
            "timestamp",
            ["0", "4/5/2026", "5"],
            "timestamp '4/5/2026' is no time; give seconds since the epoch, ISO 8601 "
            "(2026-05-04) or day.month.year (4.5.2026)",
        ),
        ("user_id", ["a", None, "b"], "user_id is missing"),
        ("user_id", ["a", " ", "b"], "user_id is empty. Give every row an id of 1 to 256 bytes."),
        (
            "user_id",
            ["a", "x\x00", "b"],
            "user_id 'x\\x00' holds a control character or half a surrogate pair. Remove it.",
        ),
        ("item_id", [1.0, 1.5, 2.0], "item_id 1.5 is a float. Ids are text or whole numbers."),
    ],
)
def test_a_bad_value_is_a_reject_with_its_place(column: str, values: list[object], reason: str) -> None:
    table = rows().with_columns(pl.Series(column, values))
    data = Dataset.from_tables(table)
    assert [(r.line, r.column, r.reason) for r in data.rejects.rows] == [(2, column, reason)]
    assert data.interactions.height == 2
    with pytest.raises(DataError) as error:
        Dataset.from_tables(table, strict=True)
    assert str(error.value).startswith(f"interactions:2: column {column}: {reason.rstrip('.')}. Correct the row")


def test_columns_that_cannot_hold_ids_or_ratings() -> None:
    with pytest.raises(DataError, match=r"the column user_id of interactions holds List"):
        Dataset.from_tables(rows().with_columns(user_id=pl.Series([[1], [2], [3]])))
    with pytest.raises(DataError, match=r"no interaction that can be read \(3 rejected rows\). The first is "):
        Dataset.from_tables(rows(rating=[True, False, True]))


def test_missing_ratings_are_no_rejects_in_any_kind() -> None:
    nan = pd.DataFrame({"user_id": ["a", "b"], "item_id": [1, 2], "rating": [1.0, float("nan")]})  # NaN: missing
    data = Dataset.from_tables(nan)
    assert data.interactions["rating"].to_list() == [1.0, None]
    assert data.rejects.total == 0
    assert len(data.coded().values) == 1


def test_empty_cells_of_text_are_missing(tmp_path: Path) -> None:
    data = loaded(tmp_path, "user_id,item_id,rating,event,timestamp\na,1,,Click,\nb,2,3, ,9\n")
    assert data.interactions.rows() == [("a", "1", None, "click", None), ("b", "2", 3.0, None, 9.0)]


def test_rejects_are_in_order_and_written(tmp_path: Path) -> None:
    data = loaded(tmp_path, "user_id,item_id,rating\na,1,x\nragged\nb,2,3\n,2,3\n")
    assert [str(reject) for reject in data.rejects.rows] == [
        "ratings.csv:2: column rating: rating 'x' is not a finite number",
        "ratings.csv:3: 1 columns instead of 3",
        "ratings.csv:5: column user_id: user_id is empty. Give every row an id of 1 to 256 bytes.",
    ]
    data.rejects.write(tmp_path / "rejects.csv")
    written = pl.read_csv(tmp_path / "rejects.csv")
    assert written.columns == ["file", "line", "column", "reason"]
    assert written["line"].to_list() == [2, 3, 5]


def test_strict_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user_id,item_id,rating\na,1,x\nragged\n")
    with pytest.raises(DataError, match=r"^ratings.csv:2: column rating: rating 'x' is not a finite number. Correct"):
        Dataset.load(tmp_path, strict=True)


def test_only_the_first_thousand_rejects_are_kept(tmp_path: Path) -> None:
    data = loaded(tmp_path, "user_id,item_id\na,1\n" + ",1\n" * 1_234)
    assert (data.rejects.total, len(data.rejects.rows)) == (1_234, 1_000)
    data.rejects.write(tmp_path / "rejects.csv")
    assert (tmp_path / "rejects.csv").read_text().splitlines()[-1] == ",,,234 more rejected rows are not listed"


def test_a_repeated_item_is_a_reject_and_the_first_is_kept() -> None:
    items = pl.DataFrame({"item_id": [1, 2, 1], "title": ["One", "Two", "Uno"]})
    data = Dataset.from_tables(rows(), items)
    assert data.items["title"].to_list() == ["One", "Two"]
    assert [str(reject) for reject in data.rejects.rows] == ["items:3: column item_id: item_id '1' has a row already"]


def test_item_texts_join_title_text_and_category_words() -> None:
    items = pl.DataFrame(
        {
            "item_id": [1, 2, 3],
            "title": ["Alien", "", None],
            "text": ["In space.", "", "Only text"],
            "category": [["Horror", "Sci-Fi"], [], None],
            "year": [1979, 0, 0],
        }
    )
    data = Dataset.from_tables(rows(), items)
    assert data.item_texts() == ["Alien. In space. Horror, Sci-Fi", "", "Only text"]
    assert data.items["category"].to_list() == ["Horror|Sci-Fi", "", ""]
    assert data.items["year"].to_list() == [1979, 0, 0]


def test_a_title_of_a_hundred_thousand_characters_is_kept(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(f'item_id,title\n1,"{"é" * 100_000}"\n')
    data = loaded(tmp_path, "user_id,item_id\na,1\n")
    assert len(data.items["title"][0]) == 100_000
    assert data.rejects.total == 0


def test_fingerprint_ignores_order_and_sees_content() -> None:
    table = rows(rating=[1.0, 2.0, None])
    items = pl.DataFrame(
        {"item_id": [1, 2], "tags": [["x", "y"], ["z"]], "image": [b"\x00\x01", b"\x02"], "n": [1, None]}
    )
    base = Dataset.from_tables(table, items)
    assert base.fingerprint() == Dataset.from_tables(table.reverse(), items.reverse(), name="other").fingerprint()
    changed = [
        Dataset.from_tables(table.with_columns(rating=pl.Series([1.0, 2.0, 3.0])), items),
        Dataset.from_tables(table, items.with_columns(image=pl.Series([b"\x00", b"\x01\x02"]))),
        Dataset.from_tables(table, items.with_columns(tags=pl.Series([["xy"], ["z"]]))),
        Dataset.from_tables(table, items.drop("n")),
        Dataset.from_tables(table, items, pl.DataFrame({"user_id": ["a"]})),
    ]
    assert len({base.fingerprint(), *(data.fingerprint() for data in changed)}) == 6


def test_fingerprint_is_the_same_on_every_machine() -> None:
    data = Dataset.from_tables(rows(rating=[1.0, 2.5, None], timestamp=[3, 2, 1]))
    assert data.fingerprint()[:16] == "ed32b243bda37371"


def test_filter_keeps_items_and_users() -> None:
    data = Dataset.from_tables(rows(), pl.DataFrame({"item_id": [1, 2]}), pl.DataFrame({"user_id": ["a", "b"]}))
    for keep in (
        np.array([True, False, False]),
        pl.Series([True, False, False]),
        pl.col("item_id") + pl.col("user_id") == "1a",
    ):
        part = data.filter(keep)
        assert part.interactions.height == 1
        assert part.items.equals(data.items)
        assert part.users.equals(data.users)


def test_path_without_a_known_format(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"holds no format that Palate knows. Expected interactions.\{parquet,csv"):
        Dataset.load(tmp_path)
    with pytest.raises(DataError, match=r"notes.txt has an unknown format. A table's name ends with .parquet, .csv"):
        Dataset.load(tmp_path / "notes.txt")
    with pytest.raises(DataError, match=r"there is no file or folder .*gone. Check the path."):
        Dataset.load(tmp_path / "gone")


def test_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ratings.csv is empty. It needs a header line with the column names."):
        loaded(tmp_path, "")
    with pytest.raises(DataError, match=r"there is no interaction that can be read \(0 rejected rows\)."):
        loaded(tmp_path, "user_id,item_id,rating\n")


def test_folders_with_the_names_of_files_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").mkdir()
    with pytest.raises(DataError, match=r"holds no format that Palate knows"):
        Dataset.load(tmp_path)


def test_two_files_of_one_table(tmp_path: Path) -> None:
    (tmp_path / "ratings.tsv").write_text("user_id\titem_id\na\t1\n")
    with pytest.raises(DataError, match=r"holds both ratings.csv and ratings.tsv. Keep one of them."):
        loaded(tmp_path, "user_id,item_id\na,1\n")


def test_windows_lines_and_unsorted_times(tmp_path: Path) -> None:
    data = loaded(tmp_path, "user_id,item_id,rating,timestamp\r\na,1,3,20\r\na,2,4,10\r\n")
    assert data.interactions["timestamp"].to_list() == [20.0, 10.0]
    assert data.rejects.total == 0


def test_who_follows_whom() -> None:
    rows = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["1", "1"]})
    pairs = pl.DataFrame({"who": ["a", "a", "b", "b", None], "friend_id": ["b", "b", "b", "gone", "a"]})
    data = Dataset.from_tables(rows, friends=pairs, columns={"friends.user_id": "who"})
    assert data.friends.rows() == [("a", "b"), ("b", "gone")]  # twice is once; nobody follows themselves
    assert [reject.reason for reject in data.rejects.rows] == ["user_id is missing", "user 'b' follows themselves"]
    assert data.fingerprint() != Dataset.from_tables(rows).fingerprint()
    with pytest.raises(DataError, match=r"friends has no column 'friend_id' \(its columns: user_id, whom\)"):
        Dataset.from_tables(rows, friends=pl.DataFrame({"user_id": ["a"], "whom": ["b"]}))


def test_a_comma_before_one_or_two_digits_is_a_decimal_comma() -> None:
    written = ["3,5", " -0,25", "4", "1,000", "1,2,3", ",5"]
    table = pl.DataFrame({"user_id": "ann", "item_id": list("abcdef"), "rating": written})
    data = Dataset.from_tables(table)
    assert data.interactions["rating"].to_list() == [3.5, -0.25, 4.0]
    assert [row.reason for row in data.rejects.rows] == [
        f"rating '{text}' is not a finite number" for text in written[3:]
    ]
