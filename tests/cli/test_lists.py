from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner
from palate.datasets.convert import write_folder
from palate.errors import OptionError
from palate.loop.checkpoint import open_log
from palate.store.protocol import active

ITEM_KEYS = {"item_id", "title", "score", "std", "reason"}


def kept(model):
    with open_log(model) as log:
        return [label.answer for label in active(log.records())]


def write_data(folder, rows, items=None):
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    return write_folder(Dataset.from_tables(frame, items), folder)


# fit


def test_fit_writes_a_model_that_loads_and_says_what_it_learned_from(cli, planted, tmp_path):
    result = cli("fit", planted, "--out", tmp_path / "m", "--encoder", "none", "--json")
    assert result.code == 0
    assert {
        "users": 60,
        "items": 40,
        "answers": 519,
        "likelihood": "gaussian",
        "encoder": "none",
        "labels": 0,
    }.items() <= (result.json.items())
    assert result.json["scale"] == {"low": 1.0, "high": 5.0}
    assert len(Learner.load(tmp_path / "m").model.catalogue) == 40


def test_fit_is_the_same_for_the_same_seed(cli, planted, tmp_path):
    for name in ("a", "b"):
        assert cli("fit", planted, "--out", tmp_path / name, "--encoder", "none", "--seed", 3).code == 0
    first, second = (Learner.load(tmp_path / name).recommend("u01", k=5) for name in ("a", "b"))
    assert first == second


def test_fit_for_people(cli, planted, tmp_path):
    result = cli("fit", planted, "--out", tmp_path / "m", "--encoder", "none")
    assert "519 answers by 60 users on 40 items" in result.out
    assert f"Next: palate interview {tmp_path / 'm'} --user you" in result.out


def test_fit_with_the_default_encoder(cli, planted, tmp_path):
    result = cli("fit", planted, "--out", tmp_path / "m", "--json")
    assert result.code == 0
    assert result.json["encoder"] == "default"
    assert cli("recommend", tmp_path / "m", "--user", "ann", "--json").code == 0


def test_a_model_is_not_written_among_the_data(cli, planted, tmp_path):
    shop = tmp_path / "shop" / "orders.csv"
    shop.parent.mkdir()
    shop.write_text("user_id,item_id,rating\na,1,5\n")
    before = sorted(planted.iterdir())
    for path, out in ((planted, planted), (shop, planted), (shop, shop.parent)):
        result = cli("fit", path, "--out", out, "--encoder", "none")
        assert (result.code, result.err) == (
            2,
            f"Error: {out} holds data, and a model needs a folder of its own. Give another, such as my-model.\n",
        )
    with pytest.raises(OptionError, match="holds data"):
        Learner.fit(Dataset.load(planted), encoder="none", dim=2).save(planted)
    assert sorted(planted.iterdir()) == before
    assert [path.name for path in shop.parent.iterdir()] == ["orders.csv"]


def test_companions_are_shown_where_the_model_counted_them(cli, planted, model, tmp_path):
    refused = cli("companions", model, "--user", "ann")
    assert (refused.code, "0 were fitted" in refused.err) == (2, True)
    assert cli("fit", planted, "--out", tmp_path / "m", "--encoder", "none", "--companions").code == 0
    assert cli("tell", tmp_path / "m", "--user", "ann", "--item", "i07", "--answer", "5").code == 0
    result = cli("companions", tmp_path / "m", "--user", "ann", "-k", "3", "--json")
    assert (result.code, len(result.json["items"]), result.json["notes"]) == (0, 3, [])
    assert set(result.json["items"][0]) == {"item_id", "title", "score", "reason"}
    shown = cli("companions", tmp_path / "m", "--user", "bob", "-k", "3")
    assert "only differences mean something" in shown.out
    assert "Nothing is known of this user" in shown.out


def test_a_refit_counts_the_answers_kept_and_keeps_them(cli, planted, model):
    assert cli("tell", model, "--user", "ann", "--item", "i07", "--answer", "5").code == 0
    result = cli("fit", planted, "--out", model, "--encoder", "none", "--json")
    assert (result.code, result.json["labels"]) == (0, 1)
    assert [(answer.user_id, answer.item_id, answer.value) for answer in kept(model)] == [("ann", "i07", 5.0)]
    assert len(Learner.load(model).told["ann"]) == 1


def test_a_refit_on_data_that_the_kept_answers_do_not_fit_changes_nothing(cli, model, tmp_path):
    assert cli("tell", model, "--user", "ann", "--item", "i07", "--answer", "5").code == 0
    config = (model / "config.json").read_bytes()
    other = write_data(tmp_path / "data", [(f"u{u}", f"x{i}", 1 + (u + i) % 5) for u in range(8) for i in range(6)])
    result = cli("fit", other, "--out", model, "--encoder", "none")
    assert result.code == 2
    assert result.err.startswith("Error: ")
    assert "'i07'" in result.err
    assert result.err.count("\n") == 1
    assert (model / "config.json").read_bytes() == config
    assert cli("recommend", model, "--user", "ann", "--json").code == 0


def test_rows_that_cannot_be_read_are_a_warning_or_with_strict_an_error(cli, tmp_path):
    rows = "".join(f"u{u},i{i},{1 + (u * i) % 5}\n" for u in range(6) for i in range(6))
    (tmp_path / "ratings.csv").write_text(f"user_id,item_id,rating\n{rows}u1,i1,much\n")
    lenient = cli("fit", tmp_path / "ratings.csv", "--out", tmp_path / "m", "--encoder", "none", "--json")
    assert lenient.code == 0
    assert lenient.err.startswith("Warning: 1 rows could not be read; the first: ratings.csv:38: column rating:")
    strict = cli("fit", tmp_path / "ratings.csv", "--out", tmp_path / "n", "--strict")
    assert (strict.code, strict.out) == (2, "")
    assert not (tmp_path / "n").exists()


# recommend


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
    assert ids("--diversity", "0.9") != everything
    cli("tell", model, "--user", "ann", "--item", everything[0], "--answer", "1")
    assert everything[0] not in ids()
    assert everything[0] in ids("--include-seen")


@pytest.mark.parametrize("user", ["nobody", "雪国", "../../etc/passwd", "a b", "'; DROP TABLE labels"])
def test_an_unknown_user_gets_what_people_in_general_like(cli, model, user):
    result = cli("recommend", model, "--user", user, "--json")
    assert (result.code, result.json["notes"], len(result.json["items"])) == (0, ["unknown-user"], 10)
    assert "Nothing is known of this user" in cli("recommend", model, "--user", user).out


def test_ids_are_normalised_as_everywhere(cli, model):
    assert cli("tell", model, "--user", " Zoe\u0301 ", "--item", " i07", "--answer", "4").code == 0
    assert [answer.user_id for answer in kept(model)] == ["Zoé"]
    assert cli("recommend", model, "--user", "Zoé", "--json").json["notes"] == []
    assert cli("undo", model, "--user", "Zoe\u0301").code == 0


# ask


def test_ask_as_json(cli, model):
    result = cli("ask", model, "--user", "ann", "-k", 3, "--strategy", "epig", "--json")
    assert (result.json["strategy"], result.json["unit"], result.json["notes"]) == ("epig", "nats", ["unknown-user"])
    for question in result.json["questions"]:
        assert set(question) == {
            "user_id", "item_id", "title", "strategy", "value", "answerable", "propensity", "why",
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
    assert cli("undo", model, "--user", "ann", "--key", "first").out.startswith("Taken back: 4 for ")
    assert cli("recommend", model, "--user", "ann", "--json").json["items"] == before
    nothing = cli("undo", model, "--user", "ann")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
    assert "has told nothing that could be undone" in nothing.err


def test_an_unknown_key_is_wrong_input(cli, model):
    cli("tell", model, "--user", "ann", "--item", "i15", "--answer", "4")
    result = cli("undo", model, "--user", "ann", "--key", "nope")
    assert result.code == 2
    assert len(kept(model)) == 1


@pytest.mark.parametrize("answer", ["6", "0", "like", "nan", "-inf", "1e999", "", "four"])
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


def test_negative_ratings(cli, tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", float(rng.uniform(-10, 10))) for u in range(20) for i in range(8)]
    cli("fit", write_data(tmp_path / "data", rows), "--out", tmp_path / "m", "--encoder", "none")
    assert (
        cli("tell", tmp_path / "m", "--user", "ann", "--item", "i1", "--answer", "-3.5", "--json").json["value"] == -3.5
    )


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


def test_a_copy_of_a_model_folder_is_a_model_of_its_own(cli, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "copy")
    cli("tell", copy, "--user", "ann", "--item", "i15", "--answer", "4")
    assert (len(kept(copy)), len(kept(model))) == (1, 0)


def test_json_is_plain_ascii(cli, model):
    out = cli("recommend", model, "--user", "雪国", "--json").out
    assert out.isascii()
    assert json.loads(out)["user"] == "雪国"


KINDS = "rate,pair,group,concept,preview"


def test_ask_compares_kinds_by_what_they_tell_per_second(cli, model):
    result = cli("ask", model, "--user", "ann", "-k", 4, "--forms", KINDS, "--json").json
    assert (result["strategy"], result["unit"]) == ("gain-per-second", "squared rating per second")
    values = [question["value"] for question in result["questions"]]
    assert values == sorted(values, reverse=True) and len(values) == 4
    assert {question["form"] for question in result["questions"]} <= set(KINDS.split(","))
    two = cli("ask", model, "--user", "ann", "-k", 6, "--forms", "group,concept", "--json").json["questions"]
    assert {question["form"] for question in two} == {"group", "concept"}


def test_ask_for_an_unknown_kind_is_an_error(cli, model):
    result = cli("ask", model, "--user", "ann", "--forms", "rate,essay")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "Error: the kind of question 'essay' is unknown. Give one of rate, pair, group, page, concept, preview.\n"
    )


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--item", "i01", "--others", "i02", "--kind", "pair", "--answer", "0"], ("pair", ["i02"], [], 0.0)),
        (
            ["--item", "i01", "--others", "i02,i03", "--kind", "group", "--answer", "i03,i01"],
            ("group", ["i02", "i03"], ["i03", "i01"], 2.0),
        ),
        (["--item", "i01", "--others", "i02", "--kind", "group", "--answer", "none"], ("group", ["i02"], [], 0.0)),
        (["--item", "crime", "--kind", "concept", "--answer", "yes"], ("concept", [], [], 1.0)),
        (["--item", "i01", "--kind", "preview", "--answer", "unknown"], ("preview", [], [], None)),
    ],
)
def test_tell_takes_answers_to_every_kind(cli, model, options, kept):
    result = cli("tell", model, "--user", "ann", *options, "--json").json
    assert (result["form"], result["others"], result["tapped"], result["value"]) == kept
    told = Learner.load(model).told["ann"]
    assert [answer.form.value for answer in told] == [kept[0]]
    assert "Taken back" in cli("undo", model, "--user", "ann").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--item", "i01", "--others", "i01", "--kind", "pair", "--answer", "1"], "item 'i01' comes twice in a pair. "),
        (["--item", "i01", "--kind", "group", "--answer", "none"], "a group has 1 item. "),
        (["--item", "i01", "--others", "i02", "--kind", "pair", "--answer", "4"], "the answer '4' is unknown. Give 1"),
        (["--item", "opera", "--kind", "concept", "--answer", "1"], "concept 'opera' is unknown: the model has no"),
    ],
)
def test_tell_says_what_is_wrong_with_an_answer_to_a_kind(cli, model, options, message):
    result = cli("tell", model, "--user", "ann", *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Error: {message}")
