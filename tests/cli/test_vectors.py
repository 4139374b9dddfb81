from __future__ import annotations

import polars as pl
import pytest

from palate import Learner


def test_vectors_of_items_and_of_some_users_are_in_a_file(cli, model, tmp_path):
    items, users, some = tmp_path / "items.parquet", tmp_path / "new" / "users.arrow", tmp_path / "some.txt"
    some.write_text("u03\nu01\n", encoding="utf-8")
    learner = Learner.load(model)
    result = cli("vectors", model, "items", "--out", items)
    size = learner.model.taste.items.dim + 1
    assert (result.code, result.out) == (0, f"{len(learner.model.catalogue)} vectors of {size} numbers in {items}.\n")
    assert pl.read_parquet(items)["item_id"].to_list() == list(learner.model.catalogue.ids)
    said = cli("vectors", model, "users", "--users", some, "--out", users, "--json").json
    assert said == {"path": str(users), "of": "users", "rows": 2, "numbers": size}
    assert pl.read_ipc(users)["user_id"].to_list() == ["u03", "u01"]


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["item", "--out", "x.parquet"], "Did you mean 'items'"),
        (["items", "--out", "x.csv"], "whose name ends with .parquet"),
        (["items", "--out", "x.parquet", "--users", "none.txt"], "--users is given for vectors of items"),
        (["users", "--out", "x.parquet", "--users", "none.txt"], "none.txt cannot be read"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_file(cli, model, tmp_path, monkeypatch, arguments, fact):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    result = cli("vectors", model, *arguments)
    assert (result.code, result.out) == (2, "")
    assert fact in result.err and result.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
