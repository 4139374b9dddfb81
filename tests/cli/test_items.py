from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

from palate import Dataset, Learner, Recommender


@pytest.fixture(scope="module")
def _worded(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("worded") / "model"
    Recommender.create(folder, Dataset.load(planted), categories=True).close()
    return folder


@pytest.fixture
def worded(_worded, tmp_path):
    """A model that reads texts, of this test alone."""
    return shutil.copytree(_worded, tmp_path / "worded")


SHOP = (
    "sku;name;text\nnew1;Last Alibi;a detective hunts a murderer\nnew2;Slow Waltz;two lovers dance\ni07;Other;other\n"
)


def test_items_are_added_from_a_shops_own_table_and_stay_through_a_refit(cli, worded, tmp_path):
    table = tmp_path / "new-items.csv"
    table.write_text(SHOP)
    before = Learner.load(worded).model.catalogue.table
    add = ["item", "add", worded, table, "--columns", "item_id=sku,title=name"]
    added = cli(*add, "--json")
    assert (added.code, added.json) == (0, {"path": str(worded), "added": 2, "known": 1, "items": 42})
    assert added.err == "Note: new-items.csv: semicolons stand between the columns\n"
    found = cli("recommend", worded, "--user", "ann", "--allow", "new1,new2", "--json").json["items"]
    assert {item["title"] for item in found} == {"Last Alibi", "Slow Waltz"}
    assert len({item["score"] for item in found}) == 2, "what they hold is read"
    assert cli("tell", worded, "--user", "ann", "--item", "new1", "--answer", "5").code == 0
    again = cli(*add)
    assert (again.code, again.out) == (
        0,
        "Added 0 items; the model holds 42.\n3 were in it already and stay as they are: palate fit reads them anew.\n",
    )
    assert cli("refit", worded, "--json").json["items"] == 42
    after = Learner.load(worded)
    assert after.model.catalogue.table.select(before.columns).head(40).equals(before)
    assert after.model.catalogue.names[-2:] == ["Last Alibi", "Slow Waltz"]
    assert [answer.item_id for answer in after.told["ann"]] == ["new1"]


def test_items_come_as_any_table_or_a_data_folder(cli, model, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"item_id": "new1", "title": "One"}) + "\n")
    pl.DataFrame({"item_id": ["new2"], "title": ["Two"]}).write_parquet(tmp_path / "b.parquet")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "items.tsv").write_text("item_id\ttitle\nnew3\tThree\n")
    assert cli("item", "add", model, tmp_path / "a.jsonl").out == "Added 1 item; the model holds 41.\n"
    assert [cli("item", "add", model, path, "--json").json["items"] for path in (tmp_path / "b.parquet", folder)] == [
        42,
        43,
    ]
    assert Learner.load(model).model.catalogue.names[-3:] == ["One", "Two", "Three"]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("", [], "new.csv is empty. It needs a header line with the column names."),
        ("sku\nx\n", [], "new.csv has no column 'item_id' (its columns: sku). Say which is which, such as --columns "),
        (
            "sku\nx\n",
            ["--columns", "item_id=skus"],
            "new.csv has no column 'skus' to take as item_id. Did you mean 'sk",
        ),
        ("item_id\n\x07\n", [], "new.csv has no item that can be read (1 rejected rows). The first is new.csv:2:"),
        ("item_id,title\nx,a\nx,b\n", ["--strict"], "items:3: column item_id: item_id 'x' has a row already. Correct"),
        (None, [], "there is no file or folder "),
    ],
)
def test_a_table_that_cannot_be_taken_adds_nothing(cli, model, tmp_path, table, options, message):
    if table is not None:
        (tmp_path / "new.csv").write_text(table)
    result = cli("item", "add", model, tmp_path / "new.csv", *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1].startswith(f"Error: {message}")
    assert len(Learner.load(model).model.catalogue) == 40


def test_rows_that_cannot_be_read_are_said_and_the_others_added(cli, model, tmp_path):
    (tmp_path / "new.csv").write_text("item_id,title\nx,a\n,b\n")
    result = cli("item", "add", model, tmp_path / "new.csv")
    assert (result.code, result.out) == (0, "Added 1 item; the model holds 41.\n")
    assert result.err.startswith("Warning: 1 rows could not be read; the first: new.csv:3: column item_id:")


def test_an_unknown_item_is_told_how_it_may_become_known(cli, model):
    result = cli("tell", model, "--user", "ann", "--item", "zzz", "--answer", "5")
    remedy = "Add it with `palate item add` or Learner.with_items, or give one of its items."
    assert (result.code, result.err) == (2, f"Error: item 'zzz' is not in the model (40 items). {remedy}\n")


def test_what_each_part_of_an_item_says_of_it_is_shown(cli, worded, model):
    found = cli("item", "show", worded, "i07", "--json").json
    assert (found["item_id"], [one["modality"] for one in found["modalities"]]) == (
        "i07",
        ["text", "category", "words"],
    )
    assert found["left"] <= found["unexplained"]
    shown = cli("item", "show", worded, "i07").out
    assert shown.startswith(f"{found['title']} (i07), {found['answers']:,} answers\n")
    for text in ("text", "category", "Left open: ±"):
        assert text in shown
    assert "Content" not in cli("item", "show", model, "i07").out, "that model reads nothing of it"
    assert cli("item", "show", model, "I07").err.endswith("Did you mean 'i07'?\n")


def test_an_item_is_withdrawn_from_lists_and_comes_back(cli, model):
    first = cli("recommend", model, "--user", "ann", "-k", "1", "--json").json["items"][0]["item_id"]
    assert cli("item", "withdraw", model, first).out == f"{first} is in no list any more; 1 withdrawn in all.\n"
    shown = cli("recommend", model, "--user", "ann", "-k", "50", "--json").json["items"]
    assert first not in {item["item_id"] for item in shown}
    back = cli("item", "withdraw", model, first, "--again", "--json").json
    assert back == {"path": str(model), "item_id": first, "withdrawn": False, "items": 0}
    assert cli("recommend", model, "--user", "ann", "-k", "1", "--json").json["items"][0]["item_id"] == first
    assert cli("item", "withdraw", model, "nowhere").code == 2
