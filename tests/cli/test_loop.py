from __future__ import annotations

import shutil

import numpy as np
import pytest

from palate import Learner
from tests.cli.folders import kept, rows, write_data

# ask


def test_ask_as_json(cli, model):
    result = cli("ask", model, "--user", "ann", "-k", 3, "--strategy", "epig", "--json")
    assert (result.json["strategy"], result.json["unit"], result.json["notes"]) == ("epig", "nats", ["unknown-user"])
    for question in result.json["questions"]:
        assert set(question) == {
            "user_id", "item_id", "title", "titles", "text", "strategy", "value", "answerable", "propensity", "why",
            "form", "others", "seconds",
        }  # fmt: skip
        assert 0 < question["answerable"] <= 1
    assert len({question["item_id"] for question in result.json["questions"]}) == 3


def test_ask_keeps_nothing_and_repeats_itself(cli, model):
    first, second = (cli("ask", model, "--user", "ann", "--strategy", "random", "--json").json for _ in range(2))
    assert first == second
    assert cli("ask", model, "--user", "ann", "--strategy", "random", "--seed", 1, "--json").json != first
    assert kept(model) == []


def test_ask_never_repeats_what_was_answered(cli, model):
    (question,) = cli("ask", model, "--user", "ann", "-k", 1, "--json").json["questions"]
    cli("tell", model, "--user", "ann", "--item", question["item_id"], "--answer", "skip")
    (other,) = cli("ask", model, "--user", "ann", "-k", 1, "--json").json["questions"]
    assert other["item_id"] != question["item_id"]


# tell and undo


def test_tell_is_seen_by_the_next_recommend(cli, model):
    before = cli("recommend", model, "--user", "ann", "-k", 40, "--json").json["items"]
    told = cli("tell", model, "--user", "ann", "--item", "i15", "--answer", "1", "--json")
    assert told.json.items() >= {"user_id": "ann", "item_id": "i15", "kind": "rating", "value": 1.0}.items()
    assert (told.json["seq"], told.json["repeated"]) == (1, False)
    after = cli("recommend", model, "--user", "ann", "-k", 40, "--json").json
    assert after["notes"] == ["fewer-left"]
    assert [item["item_id"] for item in after["items"]] != [
        item["item_id"] for item in before if item["item_id"] != "i15"
    ]


@pytest.mark.parametrize(
    ("answer", "kind", "value"),
    [("4", "rating", 4.0), ("unknown", "unknown", None), ("no-opinion", "no-opinion", None), ("skip", "skipped", None)],
)
def test_the_four_answers_are_kept_apart(cli, model, answer, kind, value):
    told = cli("tell", model, "--user", "ann", "--item", "i15", "--answer", answer, "--json").json
    assert (told["kind"], told["value"]) == (kind, value)
    assert [(label.kind, label.value) for label in kept(model)] == [(kind, value)]


def test_a_key_makes_a_repeat_harmless(cli, model):
    tell = ["tell", model, "--user", "ann", "--item", "i15", "--answer", "4", "--key", "k1", "--json"]
    first, again = cli(*tell).json, cli(*tell).json
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert again | {"repeated": False} == first
    assert len(kept(model)) == 1
    other = cli("tell", model, "--user", "ann", "--item", "i15", "--answer", "5", "--key", "k1")
    assert other.code == 2
    assert "the label key 'k1' is taken" in other.err


def test_undo_takes_the_last_answer_back_exactly(cli, model):
    before = cli("recommend", model, "--user", "ann", "--json").json["items"]
    cli("tell", model, "--user", "ann", "--item", "i15", "--answer", "4", "--key", "first")
    middle = cli("recommend", model, "--user", "ann", "--json").json
    cli("tell", model, "--user", "ann", "--item", "i03", "--answer", "1")
    undone = cli("undo", model, "--user", "ann", "--json").json
    assert (undone["item_id"], undone["value"], undone["answers_left"]) == ("i03", 1.0, 1)
    assert cli("recommend", model, "--user", "ann", "--json").json == middle
    unknown = cli("undo", model, "--user", "ann", "--key", "nope")
    assert (unknown.code, "has no answer with the key 'nope'" in unknown.err) == (2, True)
    assert cli("undo", model, "--user", "ann", "--key", "first").out.startswith("Taken back: 4 for ")
    assert cli("recommend", model, "--user", "ann", "--json").json["items"] == before
    nothing = cli("undo", model, "--user", "ann")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
    assert "has told nothing that could be undone" in nothing.err


@pytest.mark.parametrize("answer", ["6", "like", "nan", ""])
def test_an_answer_off_the_scale_is_refused_and_nothing_is_kept(cli, model, answer):
    result = cli("tell", model, "--user", "ann", "--item", "i15", "--answer", answer)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert kept(model) == []


def test_likes(cli, tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", int(rng.random() < 0.6)) for u in range(20) for i in range(8)]
    data = write_data(tmp_path / "data", rows)
    assert cli("fit", data, "--out", tmp_path / "m", "--encoder", "none", "--json").json["likelihood"] == "probit"
    assert cli("recommend", tmp_path / "m", "--user", "ann", "--json").json["unit"] == "chance of a like"
    assert (
        cli("tell", tmp_path / "m", "--user", "ann", "--item", "i1", "--answer", "like", "--json").json["value"] == 1.0
    )
    assert (
        "Kept: dislike for i2"
        in cli("tell", tmp_path / "m", "--user", "ann", "--item", "i2", "--answer", "dislike").out
    )


def test_a_model_of_events_takes_like_dislike_and_not_for_me(cli, shop, tmp_path):
    model = tmp_path / "m"
    fitted = cli("fit", shop, "--event", "got=purchase,return=return:0.4", "--out", model, "--encoder", "none")
    assert "strengths got 1, return -0.4 (given)" in fitted.out
    for item, answer, value in (
        ("i01", "like", 1),
        ("i02", "dislike", -1),
        ("i04", "Not-for-me", -1),
        ("i06", "0", -1),
    ):
        told = cli("tell", model, "--user", "ann", "--item", item, "--answer", answer, "--json")
        assert told.code == 0 and told.json["value"] == value, told.err
    listed = cli("recommend", model, "--user", "ann", "-k", 8, "--json").json["items"]
    assert sum(int(one["item_id"][1:]) % 2 for one in listed) >= 7
    wrong = cli("tell", model, "--user", "ann", "--item", "i08", "--answer", "5")
    assert wrong.err == "Error: the rating 5 is off the scale. Give a number from -1 to 1.\n"
    wrong = cli("tell", model, "--user", "ann", "--item", "i08", "--answer", "meh")
    assert wrong.err.startswith("Error: the answer 'meh' is unknown. Give like, dislike, not-for-me, unknown, ")
    talk = cli("interview", model, "--user", "bob", stdin="0\n1\nq\n").out
    assert "1 like · 0 dislike\nu don't know it" in talk and "Kept: dislike" in talk and "Kept: like" in talk
    seen = cli("see", model, "--user", "ann", "--item", "i03", "--event", "got", "--json")
    assert seen.code == 0 and Learner.load(model).memory.seen["ann"][0].liking == 1.0
    unknown = cli("see", model, "--user", "ann", "--item", "i03", "--event", "gott")
    assert unknown.err.startswith("Error: the event 'gott' is unknown. Did you mean 'got'? Known events: add-to-cart, ")


def test_negative_ratings(cli, tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", float(rng.uniform(-10, 10))) for u in range(20) for i in range(8)]
    cli("fit", write_data(tmp_path / "data", rows), "--out", tmp_path / "m", "--encoder", "none")
    assert (
        cli("tell", tmp_path / "m", "--user", "ann", "--item", "i1", "--answer", "-3.5", "--json").json["value"] == -3.5
    )


def test_ids_are_normalised_as_everywhere(cli, model):
    assert cli("tell", model, "--user", " Zoe\u0301 ", "--item", " i07", "--answer", "4").code == 0
    assert [answer.user_id for answer in kept(model)] == ["Zoé"]
    assert cli("recommend", model, "--user", "Zoé", "--json").json["notes"] == []
    assert cli("undo", model, "--user", "Zoe\u0301").code == 0


def test_a_copy_of_a_model_folder_is_a_model_of_its_own(cli, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "copy")
    cli("tell", copy, "--user", "ann", "--item", "i15", "--answer", "4")
    assert (len(kept(copy)), len(kept(model))) == (1, 0)


# see


def test_what_a_user_did_is_seen_by_the_next_list_and_a_key_makes_a_repeat_harmless(cli, planted, tmp_path):
    model = tmp_path / "m"
    cli("fit", planted, "--out", model, "--encoder", "none", "--history", "factors")
    before = cli("recommend", model, "--user", "ann", "-k", 38, "--json").json
    see = ["see", model, "--user", "ann", "--item", "i01,i02", "--event", "click", "--at", "2026-03-01", "--key", "k1"]
    first = cli(*see, "--json").json
    assert first == {
        "user": "ann",
        "event": "click",
        "notes": [],
        "events": [
            {"item_id": "i01", "key": "k1", "seq": 1, "repeated": False},
            {"item_id": "i02", "key": "k1:1", "seq": 2, "repeated": False},
        ],
    }
    assert [one["repeated"] for one in cli(*see, "--json").json["events"]] == [True, True]
    assert cli(*see).out == "Kept of ann: 0 events, 2 kept before.\n"
    assert [row.content.at for row in rows(model)] == [1772323200.0] * 2
    after = cli("recommend", model, "--user", "ann", "-k", 38, "--json").json
    assert (before["notes"], after["notes"]) == (["unknown-user"], [])
    assert {item["item_id"]: item["score"] for item in after["items"]} != {
        item["item_id"]: item["score"] for item in before["items"]
    }
    assert cli("see", model, "--user", "ann", "--item", "i03", "--event", "hide").out == "Kept of ann: 1 event.\n"
    assert [event.liking for event in Learner.load(model).memory.seen["ann"]] == [1.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--item", "i01,zzz"], "item 'zzz' is not in the model (40 items). Add it with `palate item add` or "),
        (
            ["--item", "i01", "--event", "purchse"],
            "the event 'purchse' is unknown. Did you mean 'purchase'? Known events: ",
        ),
        (["--item", "i01", "--at", "soon"], "--at 'soon' is no time. Give ISO 8601, such as 2026-03-01T12:00, or "),
        (["--item", "i01", "--key", "k0"], "the event key 'k0' is taken: "),
        (["--event", "click"], "Missing option '--item'"),
    ],
)
def test_an_event_that_cannot_be_taken_is_refused_and_nothing_is_kept(cli, model, options, message):
    cli("tell", model, "--user", "ann", "--item", "i15", "--answer", "4", "--key", "k0")
    result = cli("see", model, "--user", "ann", *options)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(f"Error: {message}")
    assert len(rows(model)) == 1


def test_an_event_moves_the_list_of_a_model_without_content_too(cli, model):
    before = cli("recommend", model, "--user", "ann", "--json").json["items"]
    assert cli("see", model, "--user", "ann", "--item", "i01").out.count("\n") == 1
    assert cli("see", model, "--user", "ann", "--item", "i02", "--json").json["notes"] == []
    after = [item["item_id"] for item in cli("recommend", model, "--user", "ann", "--json").json["items"]]
    assert after != [item["item_id"] for item in before] and not {"i01", "i02"} & set(after)


# forms


FORMS = "rate,pair,group,concept,preview"


def test_ask_compares_forms_by_what_they_tell_per_second(cli, model):
    result = cli("ask", model, "--user", "ann", "-k", 4, "--forms", FORMS, "--json").json
    assert (result["strategy"], result["unit"]) == ("gain-per-second", "squared rating per second")
    values = [question["value"] for question in result["questions"]]
    assert values == sorted(values, reverse=True) and len(values) == 4
    assert {question["form"] for question in result["questions"]} <= set(FORMS.split(","))
    two = cli("ask", model, "--user", "ann", "-k", 6, "--forms", "group,concept", "--json").json["questions"]
    assert {question["form"] for question in two} == {"group", "concept"}


def test_ask_for_an_unknown_form_is_an_error(cli, model):
    result = cli("ask", model, "--user", "ann", "--forms", "rate,essay")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "Error: the form of question 'essay' is unknown. "
        "Use rate, pair, group, page, concept, preview, recall, pick or slate.\n"
    )


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--item", "i01", "--others", "i02", "--form", "pair", "--answer", "0"], ("pair", ["i02"], [], 0.0)),
        (
            ["--item", "i01", "--others", "i02,i03", "--form", "group", "--answer", "i03,i01"],
            ("group", ["i02", "i03"], ["i03", "i01"], 2.0),
        ),
        (["--item", "i01", "--others", "i02", "--form", "group", "--answer", "none"], ("group", ["i02"], [], 0.0)),
        (["--item", "crime", "--form", "concept", "--answer", "yes"], ("concept", [], [], 1.0)),
        (["--item", "i01", "--form", "preview", "--answer", "unknown"], ("preview", [], [], None)),
    ],
)
def test_tell_takes_answers_to_every_form(cli, model, options, kept):
    result = cli("tell", model, "--user", "ann", *options, "--json").json
    assert (result["form"], result["others"], result["tapped"], result["value"]) == kept
    told = Learner.load(model).told["ann"]
    assert [answer.form.value for answer in told] == [kept[0]]
    assert "Taken back" in cli("undo", model, "--user", "ann").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--item", "i01", "--others", "i01", "--form", "pair", "--answer", "1"], "item 'i01' comes twice in a pair. "),
        (["--item", "i01", "--form", "group", "--answer", "none"], "a group has 1 item. "),
        (["--item", "i01", "--others", "i02", "--form", "pair", "--answer", "4"], "the answer '4' is unknown. Give 1"),
        (["--item", "opera", "--form", "concept", "--answer", "1"], "concept 'opera' is unknown: the model has no"),
    ],
)
def test_tell_says_what_is_wrong_with_an_answer_to_a_form(cli, model, options, message):
    result = cli("tell", model, "--user", "ann", *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Error: {message}")
