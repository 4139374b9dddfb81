from __future__ import annotations

import json
import re

import polars as pl
import pytest

from tests.cli.folders import write_data

ITEM_KEYS = {"item_id", "title", "score", "std", "reason"}


def test_recommend_as_json(cli, model):
    result = cli("recommend", model, "--user", "u01", "-k", 3, "--json")
    assert result.json | {"items": []} == {
        "user": "u01",
        "unit": "expected rating, 1 to 5",
        "notes": [],
        "items": [],
    }
    assert [set(item) for item in result.json["items"]] == [ITEM_KEYS] * 3
    scores = [item["score"] for item in result.json["items"]]
    assert scores == sorted(scores, reverse=True)


def test_recommend_for_people_shows_id_title_score_and_reason(cli, model):
    found = cli("recommend", model, "--user", "u01", "-k", 1, "--json").json["items"][0]
    shown = cli("recommend", model, "--user", "u01", "-k", 1).out
    for text in (found["item_id"], found["title"], f"{found['score']:.2f} ± {found['std']:.2f}"):
        assert text in shown


def test_an_id_to_leave_out_that_no_item_has_is_said(cli, model):
    for command in ("recommend", "companions"):
        result = cli(command, model, "--user", "ann", "--exclude", "i07,zzz,zzz", "--json")
        assert result.err.splitlines()[0] == ("Warning: no item has the id 'zzz', so leaving it out changes nothing.")
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


def test_companions_are_shown_where_the_model_counted_them(cli, planted, model, tmp_path):
    refused = cli("companions", model, "--user", "ann")
    remedy = "Fit it with companions=True (--companions)."
    assert (refused.code, refused.err) == (2, f"Error: the model has counted no companions: 0 were fitted. {remedy}\n")
    assert cli("fit", planted, "--out", tmp_path / "m", "--encoder", "none", "--companions").code == 0
    assert cli("tell", tmp_path / "m", "--user", "ann", "--item", "i07", "--answer", "5").code == 0
    result = cli("companions", tmp_path / "m", "--user", "ann", "-k", "3", "--json")
    assert (result.code, len(result.json["items"]), result.json["notes"]) == (0, 3, [])
    assert set(result.json["items"][0]) == {"item_id", "title", "score", "reason"}
    shown = cli("companions", tmp_path / "m", "--user", "bob", "-k", "3")
    assert "only differences mean something" in shown.out
    assert "Nothing is known of this user" in shown.out


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
