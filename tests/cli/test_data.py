from __future__ import annotations

import pytest
from typer.main import get_command

from palate import Dataset
from palate.cli.app import app
from palate.errors import FetchError


def test_inspect(cli, planted):
    found = cli("data", "inspect", planted, "--json").json
    assert found["counts"].items() >= {"interactions": 519, "users": 60, "item_rows": 40}.items()
    shown = cli("data", "inspect", planted).out
    for text in ("519", "60 users", "1 to 5", found["sha256"], "Nothing looks wrong."):
        assert text in shown


def test_inspect_shows_what_looks_wrong(cli, tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,item_id,rating\nu1,i1,5\nu1,i2,5\nu1,i3,x\n")
    result = cli("data", "inspect", tmp_path / "ratings.csv")
    assert result.code == 0
    assert "cannot read ratings.csv:4: column rating" in result.out
    assert "! only one user has interactions" in result.out
    assert cli("data", "inspect", tmp_path / "ratings.csv", "--json").json["rejects"]["total"] == 1
    assert cli("data", "inspect", tmp_path / "ratings.csv", "--strict").code == 2


SHOP = "Customer;sku;stars;price\n" + "".join(f"u{u};i{i};{1 + (u * i) % 5};9\n" for u in range(6) for i in range(6))


def test_a_shop_with_columns_of_its_own(cli, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(SHOP)
    refused = cli("data", "inspect", path)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "such as --columns user_id=Customer,item_id=sku,rating=stars, in Python columns={" in refused.err
    columns = ("--columns", "user_id=customer,item_id=sku", "--columns", "rating=stars")
    shown = cli("data", "inspect", path, *columns).out
    for text in ("36: 6 users, 6 items", "Not used", "interactions: price", "orders.csv: semicolons stand between"):
        assert text in shown
    fitted = cli("fit", path, "--out", tmp_path / "model", "--encoder", "none", *columns, "--json")
    assert (fitted.code, fitted.json["answers"]) == (0, 36)
    assert fitted.err.splitlines() == [
        "Note: orders.csv: semicolons stand between the columns",
        "Note: orders.csv: the column 'Customer' is read as user_id",
    ]
    assert cli("data", "convert", path, tmp_path / "out", *columns).code == 0
    assert Dataset.load(tmp_path / "out").interactions["rating"].null_count() == 0


def test_every_command_that_takes_data_takes_columns():
    groups = [get_command(app)]
    commands = [
        c for group in groups for c in group.commands.values() if not (hasattr(c, "commands") and groups.append(c))
    ]
    taking = [c for c in commands if any(p.metavar == "PATH" for p in c.params)]
    assert {c.name for c in taking} >= {"fit", "simulate", "evaluate", "inspect", "convert"}
    for command in taking:
        assert "--columns" in [name for param in command.params for name in param.opts], command.name


def test_a_mapping_without_an_equals_sign(cli, tmp_path):
    result = cli("data", "inspect", tmp_path, "--columns", "user_id")
    assert (result.code, result.err) == (
        2,
        "Error: --columns has 'user_id' without =. Write user_id=customer_id,item_id=sku.\n",
    )


def test_inspect_of_events_without_ratings_or_times(cli, tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id,event\nu1,i1,view\nu2,i2,view\nu1,i2,click\n")
    shown = cli("data", "inspect", tmp_path).out
    assert "view 2 (for), click 1 (for)" in shown
    assert "there are no timestamps" in shown


def test_convert_writes_the_data_folder(cli, tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,item_id,rating\nu1,i1,5\nu2,i2,4\n")
    result = cli("data", "convert", tmp_path / "ratings.csv", tmp_path / "out", "--json")
    assert result.json == {
        "path": str(tmp_path / "out"),
        "rows": {"interactions": 2, "items": 0, "users": 0},
        "rejects": 0,
    }
    assert Dataset.load(tmp_path / "out").interactions.height == 2


def test_convert_puts_bad_rows_into_a_file_and_an_earlier_one_goes(cli, tmp_path):
    source, out = tmp_path / "ratings.csv", tmp_path / "out"
    source.write_text("user_id,item_id,rating\nu1,i1,5\nu2,,4\n")
    result = cli("data", "convert", source, out)
    assert result.code == 0
    assert "Wrote 1 interactions" in result.out
    assert "rejects.csv" in result.err
    header, row = (out / "rejects.csv").read_text().splitlines()
    assert header == "file,line,column,reason"
    assert row.startswith("ratings.csv,3,item_id,")
    assert cli("data", "inspect", out).code == 0
    source.write_text("user_id,item_id,rating\nu1,i1,5\n")
    cli("data", "convert", source, out)
    assert not (out / "rejects.csv").exists()


def test_convert_strictly_writes_nothing(cli, tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,item_id,rating\nu1,i1,5\nu2,,4\n")
    assert cli("data", "convert", tmp_path / "ratings.csv", tmp_path / "out", "--strict").code == 2
    assert not (tmp_path / "out").exists()


def test_fetch_says_where(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("palate.datasets.fetch.fetch", lambda name: tmp_path / name)
    result = cli("data", "fetch", "movielens-100k", "--json")
    assert result.json == {"name": "movielens-100k", "path": str(tmp_path / "movielens-100k")}


def test_fetch_of_an_unknown_name(cli):
    result = cli("data", "fetch", "netflix")
    assert (result.code, result.out) == (2, "")
    assert result.err == "Error: there is no data set 'netflix' to fetch. There are: movielens-100k.\n"


def test_fetch_that_fails_is_exit_code_1(cli, monkeypatch):
    def fail(name: str) -> None:
        raise FetchError("it could not be had. Check the network.")

    monkeypatch.setattr("palate.datasets.fetch.fetch", fail)
    result = cli("data", "fetch", "movielens-100k")
    assert (result.code, result.err) == (1, "Error: it could not be had. Check the network.\n")


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_a_path_that_is_not_there(cli, tmp_path, command):
    result = cli("data", command, tmp_path / "gone", *([tmp_path / "out"] if command == "convert" else []))
    assert result.code == 2
    assert result.err == f"Error: there is no file or folder {tmp_path / 'gone'}. Check the path.\n"
