from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from palate import Learner
from palate.loop import all_lists
from palate.loop.all_lists import COLUMNS
from tests.cli.folders import write_data

ITEM_KEYS = {"item_id", "title", "score", "std", "reason", "chance"}


def test_recommend_as_json(cli, model):
    result = cli("recommend", model, "--user", "u01", "-k", 3, "--json")
    assert result.json | {"items": []} == {
        "user": "u01",
        "unit": "expected rating, 1 to 5",
        "notes": [],
        "items": [],
    }
    assert [set(item) for item in result.json["items"]] == [ITEM_KEYS] * 3
    chances = [item["chance"] for item in result.json["items"]]
    assert chances == sorted(chances, reverse=True) and 0 < chances[0] < 1


def test_recommend_for_people_shows_id_title_score_and_reason(cli, model):
    found = cli("recommend", model, "--user", "u01", "-k", 1, "--json").json["items"][0]
    shown = cli("recommend", model, "--user", "u01", "-k", 1).out
    numbers = (f"{found['score']:.2f} ± {found['std']:.2f}", f"{found['chance']:.1%}")
    for text in (found["item_id"], found["title"], *numbers):
        assert text in shown


def test_an_id_to_leave_out_that_no_item_has_is_said(cli, model):
    result = cli("recommend", model, "--user", "ann", "--exclude", "i07,zzz,zzz", "--json")
    assert result.err.splitlines()[0] == "Warning: no item has the id 'zzz', so leaving it out changes nothing."
    assert result.err.count("zzz") == 1


def test_filters(cli, model):
    def ids(*options: object) -> list[str]:
        result = cli("recommend", model, "--user", "ann", "-k", 40, "--json", *options)
        assert result.code == 0, result.err
        return [item["item_id"] for item in result.json["items"]]

    everything = ids()
    assert ids("--exclude", f"{everything[0]},{everything[1]}") == everything[2:]
    assert ids("--exclude", everything[0], "--exclude", "gone") == everything[1:]
    assert ids("--allow", "i07,i03") == [item for item in everything if item in ("i07", "i03")]
    assert 0 < len(ids("--category", "crime")) < len(everything)
    assert ids("--min-certainty", "1") == []
    assert sorted(ids("--diversity", "0.9")) == sorted(everything)
    unfamiliar = Learner.load(model).recommend("ann", 40, familiarity=0.2)
    assert ids("--familiarity", "0.2") == [one.item_id for one in unfamiliar] != everything
    cli("tell", model, "--user", "ann", "--item", everything[0], "--answer", "1")
    assert everything[0] not in ids()
    assert everything[0] in ids("--include-seen")
    wrong = cli("recommend", model, "--user", "ann", "--category", "Crimes")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith("Error: category 'Crimes' has no item. Did you mean 'crime'? The categories are: ")


@pytest.mark.parametrize("user", ["nobody", "雪国", "'; DROP TABLE labels"])
def test_an_unknown_user_gets_what_people_in_general_like(cli, model, user):
    result = cli("recommend", model, "--user", user, "--json")
    assert (result.code, result.json["notes"], len(result.json["items"])) == (0, ["unknown-user"], 10)
    shown = cli("recommend", model, "--user", user).out
    assert shown.splitlines()[-1] == "Nothing is known of this user: this is what people in general like."


def test_a_user_whose_id_was_nearly_typed_is_named(cli, model):
    for command in ("recommend", "profile"):
        shown = cli(command, model, "--user", "u001").out
        assert re.search(r"Nothing is known of this user: .* Did you mean 'u0\d'\?$", shown.rstrip()), shown


def test_companions_is_the_one_list_by_another_name_and_says_so(cli, planted, model, tmp_path):
    same = cli("recommend", model, "--user", "ann", "-k", "3", "--json", "--exclude", "i07", "--include-seen")
    result = cli("companions", model, "--user", "ann", "-k", "3", "--json", "--exclude", "i07", "--include-seen")
    assert (result.code, result.json) == (0, same.json)
    assert (
        result.err == "Note: there is one list now, so companions shows what recommend does. Call palate recommend.\n"
    )
    fitted = cli("fit", planted, "--out", tmp_path / "m", "--encoder", "none", "--companions")
    assert fitted.code == 0 and "--companions changes nothing" in fitted.err
    assert cli("recommend", tmp_path / "m", "--user", "ann").out == cli("recommend", model, "--user", "ann").out


# the lists of many


def test_the_lists_of_everybody_are_in_one_file(cli, model, tmp_path):
    cli("tell", model, "--user", "ann", "--item", "i07", "--answer", "5")
    out = tmp_path / "lists.parquet"
    result = cli("recommend", model, "--all", "--out", out, "-k", 4, "--familiarity", "0.5", "--json")
    assert (result.code, result.json) == (0, {"path": str(out), "users": 61, "rows": 244, "k": 4, "notes": []})
    table = pl.read_parquet(out)
    assert dict(table.schema) == COLUMNS
    assert table["user_id"].unique(maintain_order=True).to_list() == [*(f"u{n:02}" for n in range(1, 61)), "ann"]
    learner = Learner.load(model)
    for user in ("u07", "ann"):
        shown = learner.recommend(user, 4, familiarity=0.5)
        rows = [(user, n, one.item_id, one.score, one.std, one.chance, one.reason) for n, one in enumerate(shown, 1)]
        assert table.filter(pl.col("user_id") == user).rows() == rows


def test_the_lists_of_some_are_in_their_order_and_who_has_none_is_said(cli, model, tmp_path):
    users, out = tmp_path / "users.txt", tmp_path / "new" / "lists.parquet"
    users.write_text("u03\n\n 雪国 \nu03\nu01", encoding="utf-8")
    result = cli("recommend", model, "--users", users, "--out", out, "-k", 1)
    assert (result.code, result.out) == (0, f"3 rows for 3 users in {out}.\n")
    assert pl.read_parquet(out)["user_id"].to_list() == ["u03", "雪国", "u01"]
    result = cli("recommend", model, "--users", users, "--out", out, "--allow", "i09", "--exclude", "i09")
    assert result.out.splitlines() == [
        f"0 rows for 3 users in {out}.",
        "For some users nothing is left to show: they have no row.",
    ]
    assert dict(pl.read_parquet(out).schema) == COLUMNS and len(pq.read_table(out)) == 0


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ([], "said 0 times: nobody"),
        (["--all", "--user", "ann"], "said 2 times: --user and --all"),
        (["--all"], "--all is given with no --out"),
        (["--user", "ann", "--out", "x.parquet"], "--user is given with --out"),
        (["--all", "--out", "lists.csv"], "a file whose name ends with .parquet"),
        (["--users", "none.txt", "--out", "x.parquet"], "none.txt cannot be read: No such file"),
        (["--all", "--out", "x.parquet", "--category", "Crimes"], "category 'Crimes' has no item"),
        (["--all", "--out", "x.parquet", "--familiarity", "2"], "familiarity is 2"),
        (["--all", "--out", "file/x.parquet"], "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_file(cli, model, tmp_path, monkeypatch, options, fact):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    before = sorted(tmp_path.iterdir())
    result = cli("recommend", model, *options)
    assert (result.code, result.out) == (2, "")
    assert fact in result.err and result.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_not_finished_is_not_there(cli, model, tmp_path, monkeypatch):
    out = tmp_path / "lists.parquet"
    assert cli("recommend", model, "--all", "--out", out, "-k", 1).code == 0
    before = out.read_bytes()
    made = all_lists.recommend

    def failing(memory, user, *rest, **options):
        if user == "u40":
            raise KeyboardInterrupt
        return made(memory, user, *rest, **options)

    monkeypatch.setattr(all_lists, "recommend", failing)
    monkeypatch.setattr(all_lists, "USERS_AT_ONCE", 10)
    assert cli("recommend", model, "--all", "--out", out, "-k", 9).code == 130
    assert out.read_bytes() == before and not [path for path in tmp_path.iterdir() if path.name.startswith(".writing")]


# profile


def test_profile(cli, model):
    result = cli("profile", model, "--user", "u01", "--json").json
    assert {entry["category"] for entry in result["categories"]} >= {"crime", "romance"}
    for entry in result["categories"]:
        assert entry["low"] <= entry["mean"] <= entry["high"]
    assert "not sure yet" in cli("profile", model, "--user", "u01").out


def test_a_profile_without_categories_says_so(cli, tmp_path):
    rows = [(f"u{u}", f"i{i}", 1 + (u * i) % 5) for u in range(8) for i in range(6)]
    cli("fit", write_data(tmp_path / "data", rows), "--out", tmp_path / "m", "--encoder", "none")
    assert cli("profile", tmp_path / "m", "--user", "u1", "--json").json["notes"] == ["no-categories"]
    assert "no categories" in cli("profile", tmp_path / "m", "--user", "u1").out


# what others wrote into the data


def test_hostile_titles_cannot_steer_the_terminal(cli, tmp_path):
    titles = ["\x1b[2J\x1b]0;owned\x07", "[red]x[/red]", "雪国" * 50_000, "\u202etxet", "a\nb", ""]
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(6)], "title": titles, "category": ["[bold]"] * 6})
    rows = [(f"u{u}", f"i{i}", 1 + (u * i) % 5) for u in range(8) for i in range(6)]
    cli("fit", write_data(tmp_path / "data", rows, items), "--out", tmp_path / "m", "--encoder", "none")
    for command in ("recommend", "ask", "profile"):
        shown = cli(command, tmp_path / "m", "--user", "ann")
        assert shown.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(shown.out)
        assert len(shown.out) < 20_000
    assert "[red]x[/red]" in cli("recommend", tmp_path / "m", "--user", "ann").out
    talk = cli("interview", tmp_path / "m", "--user", "ann", stdin="u\nu\nu\nu\nu\nu\n")
    assert talk.code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(talk.out)


def test_json_is_plain_ascii(cli, model):
    out = cli("recommend", model, "--user", "雪国", "--json").out
    assert out.isascii()
    assert json.loads(out)["user"] == "雪国"
