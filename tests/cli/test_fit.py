from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner, Recommender
from palate.errors import OptionError
from tests.cli.folders import kept, write_data

NO_CONTENT = ("--encoder", "none")


def test_fit_writes_a_model_and_says_what_it_learned_from(cli, planted, tmp_path):
    result = cli("fit", planted, "--out", tmp_path / "m", *NO_CONTENT, "--seed", 3, "--json")
    assert result.code == 0
    expected = {"users": 60, "items": 40, "answers": 519, "likelihood": "gaussian", "encoder": "none", "labels": 0}
    assert expected.items() <= result.json.items()
    assert result.json["scale"] == {"low": 1.0, "high": 5.0, "given": False}
    again = cli("fit", planted, "--out", tmp_path / "again", *NO_CONTENT, "--seed", 3)
    assert "519 answers by 60 users on 40 items" in again.out
    assert f"Next: palate interview {tmp_path / 'again'} --user you" in again.out
    first, second = (Learner.load(tmp_path / name).recommend("u01", k=40) for name in ("m", "again"))
    assert first == second


def test_fit_with_the_default_encoder(cli, planted, tmp_path):
    result = cli("fit", planted, "--out", tmp_path / "m", "--json")
    assert (result.code, result.json["encoder"]) == (0, "default")


def test_a_model_is_not_written_among_the_data(cli, planted, tmp_path):
    shop = tmp_path / "shop" / "orders.csv"
    shop.parent.mkdir()
    shop.write_text("user_id,item_id,rating\na,1,5\n")
    before = sorted(planted.iterdir())
    for path, out in ((planted, planted), (shop, planted), (shop, shop.parent)):
        result = cli("fit", path, "--out", out, *NO_CONTENT)
        assert (result.code, result.err) == (
            2,
            f"Error: {out} holds data, and a model needs a folder of its own. Give another, such as my-model.\n",
        )
    with pytest.raises(OptionError, match="holds data"):
        Learner.fit(Dataset.load(planted), encoder="none", dim=2).save(planted)
    assert sorted(planted.iterdir()) == before
    assert [path.name for path in shop.parent.iterdir()] == ["orders.csv"]


def test_rows_that_cannot_be_read_are_a_warning_or_with_strict_an_error(cli, tmp_path):
    rows = "".join(f"u{u},i{i},{1 + (u * i) % 5}\n" for u in range(6) for i in range(6))
    (tmp_path / "ratings.csv").write_text(f"user_id,item_id,rating\n{rows}u1,i1,much\n")
    lenient = cli("fit", tmp_path / "ratings.csv", "--out", tmp_path / "m", *NO_CONTENT, "--json")
    assert lenient.code == 0
    assert lenient.err.startswith("Warning: 1 rows could not be read; the first: ratings.csv:38: column rating:")
    strict = cli("fit", tmp_path / "ratings.csv", "--out", tmp_path / "n", "--strict")
    assert (strict.code, strict.out) == (2, "")
    assert not (tmp_path / "n").exists()


# into a folder that keeps answers


def test_a_fit_into_the_folder_counts_the_answers_kept_and_keeps_them(cli, planted, model):
    cli("tell", model, "--user", "ann", "--item", "i07", "--answer", "5")
    result = cli("fit", planted, "--out", model, *NO_CONTENT, "--json")
    assert (result.code, result.json["labels"], result.json["answers"]) == (0, 1, 519)
    assert [(answer.user_id, answer.item_id, answer.value) for answer in kept(model)] == [("ann", "i07", 5.0)]
    assert Learner.load(model).told["ann"] == tuple(kept(model))


def test_a_fit_of_data_that_the_kept_answers_do_not_fit_changes_nothing(cli, model, tmp_path):
    cli("tell", model, "--user", "ann", "--item", "i07", "--answer", "5")
    config = (model / "config.json").read_bytes()
    other = write_data(tmp_path / "data", [(f"u{u}", f"x{i}", 1 + (u + i) % 5) for u in range(8) for i in range(6)])
    result = cli("fit", other, "--out", model, *NO_CONTENT)
    fact = f"{model} keeps answers that this data does not fit: item 'i07' is not in the model (6 items)."
    assert (result.code, result.err) == (2, f"Error: {fact} Give another folder.\n")
    assert (model / "config.json").read_bytes() == config
    assert cli("recommend", model, "--user", "ann", "--json").code == 0


# refit


def test_a_refit_learns_from_the_data_and_the_whole_log_and_other_processes_see_it(cli, planted, tmp_path):
    folder = tmp_path / "m"
    cli("fit", planted, "--out", folder, *NO_CONTENT, "--dim", 4, "--history", "factors")
    for item, answer in (("i07", "5"), ("i08", "1"), ("i03", "unknown")):
        cli("tell", folder, "--user", "ann", "--item", item, "--answer", answer)
    cli("tell", folder, "--user", "ann", "--item", "i15", "--answer", "2")
    cli("undo", folder, "--user", "ann")
    cli("see", folder, "--user", "bob", "--item", "i01,i02", "--event", "click")
    with Recommender.open(folder) as other:
        before = other.learner
        result = cli("refit", folder, "--json")
        assert (result.code, result.json["labels"], result.json["users"]) == (0, 3, 61)
        after = other.learner
    assert after.told == before.told and set(after.told) == {"ann"}
    assert "bob" in after.model.user_ids and "bob" not in before.model.user_ids
    assert after.model.taste.items.dim <= 4
    histories = [learner.memory.history("bob") for learner in (before, after)]
    assert [history.items.tolist() for history in histories] == [[0, 1], [0, 1]]  # seen, and not twice
    assert not after.memory.seen
    assert not np.array_equal(before.model.taste.items.level, after.model.taste.items.level)
    again = Learner.load(folder)
    assert again.recommend("ann", 40) == after.recommend("ann", 40)


def test_a_refit_that_fails_leaves_the_model_that_was_there(cli, model, monkeypatch):
    cli("tell", model, "--user", "ann", "--item", "i07", "--answer", "5")
    before = {path.name: path.read_bytes() for path in model.iterdir() if path.is_file()}
    shown = cli("recommend", model, "--user", "ann", "--json").json
    monkeypatch.setattr("palate.store.model_folder.folder.files.write", _no_space)
    result = cli("refit", model)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "the model that was there can still be loaded" in result.err
    monkeypatch.undo()
    assert (model / "config.json").read_bytes() == before["config.json"]
    assert cli("recommend", model, "--user", "ann", "--json").json == shown


def _no_space(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_folder_without_data_says_how_to_refit_it(cli, planted, tmp_path):
    Learner.fit(Dataset.load(planted), encoder="none", dim=2).save(tmp_path / "m")
    result = cli("refit", tmp_path / "m")
    remedy = f"Fit its data into it: palate fit PATH --out {tmp_path / 'm'}, or refit(data)."
    assert (result.code, result.err) == (2, f"Error: {tmp_path / 'm'} keeps no data to refit it from. {remedy}\n")
    assert cli("fit", planted, "--out", tmp_path / "m", *NO_CONTENT).code == 0
    assert cli("refit", tmp_path / "m").code == 0


def test_data_without_taste_is_said_by_every_command(cli, tmp_path):
    rng, rows = np.random.default_rng(0), 4_500
    pairs = rng.permutation(300 * 100)[:rows]
    table = {
        "user_id": [f"u{pair // 100}" for pair in pairs],
        "item_id": [f"i{pair % 100}" for pair in pairs],
        "rating": np.clip(np.rint(3 + (pairs % 100) / 100 + rng.normal(size=rows)), 1, 5),
    }
    data = tmp_path / "data"
    data.mkdir()
    pl.DataFrame(table).write_csv(data / "interactions.csv")
    words = "no taste found in 4,500 answers: lists are by popularity and content"
    assert words in " ".join(cli("fit", data, "--out", tmp_path / "model", "--encoder", "none").out.split())
    assert any(words[1:] in sentence for sentence in cli("data", "inspect", data, "--json").json["suspicious"])
    for command in (["recommend"], ["ask"], ["profile"]):
        result = cli(*command, tmp_path / "model", "--user", "ann")
        assert (result.code, result.err.splitlines()[0]) == (0, f"Note: {words}.")
    listed = cli("recommend", tmp_path / "model", "--user", "ann", "--json")
    assert all("liked" in item["reason"] and "you" not in item["reason"] for item in listed.json["items"])
    assert cli("tell", tmp_path / "model", "--user", "ann", "--item", "i3", "--answer", "1").code == 0


def test_a_scale_is_given_or_said_to_be_the_datas(cli, planted, tmp_path):
    read_off = cli("fit", planted, "--out", tmp_path / "a", "--encoder", "none")
    assert "gaussian, 1 to 5, as the data has it" in read_off.out
    given = cli("fit", planted, "--out", tmp_path / "b", "--encoder", "none", "--scale", "0:6")
    assert "gaussian, 0 to 6\n" in "\n".join(part.rstrip() for part in given.out.splitlines()) + "\n"
    assert cli("tell", tmp_path / "b", "--user", "ann", "--item", "i07", "--answer", "6").code == 0
    assert cli("refit", tmp_path / "b").code == 0
    assert Recommender.open(tmp_path / "b").learner.model.scale.high == 6.0
