from __future__ import annotations

import pytest

from palate import Dataset
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


def test_inspect_of_events_without_ratings_or_times(cli, tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id,event\nu1,i1,view\nu2,i2,view\nu1,i2,click\n")
    shown = cli("data", "inspect", tmp_path).out
    assert "view 2, click 1" in shown
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
