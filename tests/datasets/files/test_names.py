"""Tables of other people, whose columns have other names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from palate.datasets import Dataset
from palate.errors import DataError, OptionError

ORDERS = "order,customer_id,sku,stars\n1,ann,a,5\n2,bob,b,3\n"
PRODUCTS = "id,name\na,Alpha\nb,Beta\n"
SHOP = {"user_id": "customer_id", "item_id": "sku", "rating": "stars"}


def write(folder: Path, **files: str) -> Path:
    for stem, text in files.items():
        (folder / f"{stem}.csv").write_text(text)
    return folder


def test_columns_are_mapped_in_files_and_tables_alike(tmp_path: Path) -> None:
    orders = write(tmp_path, orders=ORDERS) / "orders.csv"
    read = Dataset.load(orders, columns=SHOP)
    taken = Dataset.from_tables(pd.read_csv(orders), columns=SHOP)
    for data in (read, taken):
        assert data.interactions.select("user_id", "item_id", "rating").rows() == [("ann", "a", 5.0), ("bob", "b", 3.0)]
        assert data.notes == ()
    assert read.interactions.columns[-1] == "order"


def test_a_table_may_have_names_of_its_own(tmp_path: Path) -> None:
    folder = write(tmp_path, interactions=ORDERS, items=PRODUCTS)
    with pytest.raises(DataError) as error:
        Dataset.load(folder, columns=SHOP)
    assert str(error.value) == (
        "items.csv has no column 'sku' to take as item_id. The columns there: id, name. "
        "Say which with --columns items.item_id=NAME."
    )
    data = Dataset.load(folder, columns=SHOP | {"items.item_id": "id"})
    assert data.items.select("item_id", "title").rows() == [("a", "Alpha"), ("b", "Beta")]


def test_a_mapped_column_goes_before_one_of_our_name() -> None:
    table = pl.DataFrame({"user_id": [1, 2], "customer": ["ann", "bob"], "item_id": ["a", "b"]})
    data = Dataset.from_tables(table, columns={"user_id": "customer"})
    assert data.interactions["user_id"].to_list() == ["ann", "bob"]
    assert data.interactions["other_user_id"].to_list() == [1, 2]


@pytest.mark.parametrize("header", ["User_ID;ITEM ID;Rating", "userid;item-id;RATING", "UserId\tItemId\tVote"])
def test_spellings_and_delimiters_are_taken_with_a_note(tmp_path: Path, header: str) -> None:
    delimiter, words = ("\t", "tabs") if "\t" in header else (";", "semicolons")
    row = delimiter.join(('"a;b"', "i", "4"))
    data = Dataset.load(write(tmp_path, ratings=f"{header}\n{row}\n") / "ratings.csv")
    assert data.interactions.row(0)[:3] == ("a;b", "i", 4.0)
    written = header.split(delimiter)
    assert data.notes == (
        f"ratings.csv: {words} stand between the columns",
        f"ratings.csv: the column {written[0]!r} is read as user_id",
        f"ratings.csv: the column {written[1]!r} is read as item_id",
        f"ratings.csv: the column {written[2]!r} is read as rating",
    )


def test_documented_names_need_no_note_and_the_exact_one_goes_first(tmp_path: Path) -> None:
    data = Dataset.load(write(tmp_path, ratings="USER_ID,userId,movieId\nx,ann,7\n") / "ratings.csv")
    assert data.interactions.row(0)[:2] == ("ann", "7")
    assert data.interactions["USER_ID"].to_list() == ["x"]
    assert data.notes == ()


def test_a_comma_stays_a_comma_where_quoted_names_hold_others(tmp_path: Path) -> None:
    data = Dataset.load(write(tmp_path, ratings='user_id,item_id,"a;b;c;d"\n1;2,3,4\n') / "ratings.csv")
    assert data.interactions.row(0)[:2] == ("1;2", "3")


@pytest.mark.parametrize(
    ("header", "remedy"),
    [
        ("customer_id,sku", "--columns user_id=customer_id,item_id=sku"),
        ("sku,price,buyer", "--columns user_id=buyer,item_id=sku"),
        ("Customer ID,SKU", "--columns 'user_id=Customer ID,item_id=SKU'"),
        ("one,two,three", "--columns user_id=one,item_id=two"),
        ("item_id", "--columns user_id=NAME"),
        ("who,dish,stars,date", "--columns user_id=who,item_id=dish,rating=stars,timestamp=date"),
    ],
)
def test_a_header_of_other_names_is_one_message_with_the_option(tmp_path: Path, header: str, remedy: str) -> None:
    row = ",".join("x" for _ in header.split(","))
    with pytest.raises(DataError) as error:
        Dataset.load(write(tmp_path, ratings=f"{header}\n{row}\n") / "ratings.csv")
    shown = header.replace(",", ", ")
    assert f"ratings.csv has no column 'user_id' (its columns: {shown}). Say which is which, such as {remedy}, " in str(
        error.value
    )


def test_one_column_may_be_two_of_ours(tmp_path: Path) -> None:
    folder = write(tmp_path, ratings="who,dish\nann,soup\n", items="dish,kitchen\nsoup,Thai\n")
    data = Dataset.load(folder, columns={"user_id": "who", "item_id": "dish", "title": "dish", "category": "kitchen"})
    assert data.items.select("item_id", "title", "category").rows() == [("soup", "soup", "Thai")]


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"usr_id": "customer_id"}, OptionError, "columns maps 'usr_id' to 'customer_id'. Did you mean 'user_id'?"),
        ({"user_id": 3}, OptionError, "columns maps 'user_id' to 3."),
        ({"users.title": "x"}, OptionError, "columns maps 'users.title' to 'x'."),
        (
            {"user_id": "custmer_id", "item_id": "sku"},
            DataError,
            "interactions has no column 'custmer_id' to take as user_id. Did you mean 'customer_id'?",
        ),
        (
            SHOP | {"timestamp": "wen"},
            DataError,
            "no table has a column 'wen' to take as timestamp. The columns there: customer_id, sku, stars, when.",
        ),
    ],
)
def test_a_mapping_that_fits_nothing(columns: dict[str, str], error: type[Exception], message: str) -> None:
    table = pl.DataFrame({"customer_id": ["a"], "sku": ["b"], "stars": [1], "when": [1]})
    with pytest.raises(error) as raised:
        Dataset.from_tables(table, columns=columns)
    assert message in str(raised.value).replace(" Did you mean 'when'?", "")
    assert "\n" not in str(raised.value)
