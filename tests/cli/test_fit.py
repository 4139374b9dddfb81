from __future__ import annotations

import pytest

from palate import Dataset, Learner
from palate.errors import OptionError
from tests.cli.folders import kept, write_data


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
