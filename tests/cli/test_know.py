from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate import Dataset
from palate.datasets import planted_world
from palate.datasets.convert import write_folder
from palate.loop.checkpoint import open_log
from palate.records import Attribute
from palate.store.protocol import active


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A data folder whose users have an age, which is their taste, and a gender, which is none."""
    world = planted_world(users=60, items=40, rng=np.random.default_rng(0))
    users = pl.DataFrame(
        {
            "user_id": world.user_ids,
            "age": np.round(40 + 10 * world.tastes[:, 0]).astype(int),
            "gender": ["f", "m", "m"] * 20,
        }
    )
    data = Dataset.from_tables(world.dataset.interactions, world.dataset.items, users)
    return write_folder(data, tmp_path_factory.mktemp("people"))


@pytest.fixture
def model(cli, people, tmp_path):
    assert cli("fit", people, "--out", tmp_path / "m", "--encoder", "none").code == 0
    return tmp_path / "m"


def told(model):
    """What the log says of users; of one attribute the last counts."""
    with open_log(model) as log:
        rows = [record.content for record in active(log.records()) if isinstance(record.content, Attribute)]
    return {
        user: {row.name: row.value for row in rows if row.user_id == user} for user in {row.user_id for row in rows}
    }


def test_what_is_told_is_seen_by_the_next_recommend(cli, model):
    def ids() -> list[str]:
        found = cli("recommend", model, "--user", "ann", "-k", 40, "--json").json
        return [found["notes"], [item["item_id"] for item in found["items"]]]

    notes, before = ids()
    assert notes == ["unknown-user"]
    kept = cli("know", model, "--user", "ann", "--set", "age=70", "--set", " gender = f ", "--json")
    assert (kept.code, kept.json) == (0, {"user": "ann", "attributes": {"age": 70.0, "gender": "f"}})
    notes, after = ids()
    assert notes == [] and after != before
    assert told(model) == {"ann": {"age": 70.0, "gender": "f"}}


def test_know_for_people(cli, model):
    result = cli("know", model, "--user", "ann", "--set", "age=23", "--set", "gender=")
    assert result.out == "Kept of ann: age 23, gender not known.\n"


def test_what_was_told_last_counts_and_the_rest_stays(cli, model):
    cli("know", model, "--user", "ann", "--set", "age=70", "--set", "gender=f")
    cli("know", model, "--user", "ann", "--set", "age=20", "--set", "age=30")
    assert told(model) == {"ann": {"age": 30.0, "gender": "f"}}


def test_a_refit_into_the_folder_keeps_what_was_told(cli, people, model):
    cli("know", model, "--user", "ann", "--set", "age=70")
    assert cli("fit", people, "--out", model, "--encoder", "none").code == 0
    assert told(model) == {"ann": {"age": 70.0}}
    assert cli("recommend", model, "--user", "ann", "--json").json["notes"] == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--set", "age"], "--set 'age' has no name and value. Give NAME=VALUE, such as age=23."),
        (["--set", "=3"], "--set '=3' has no name and value. Give NAME=VALUE, such as age=23."),
        (["--set", "height=3"], "the attribute 'height' was not fitted. The attributes are: age, gender."),
        (["--set", "age=old"], "the attribute age is 'old'. Give a number."),
        (["--set", "gender=x", "--set", "age=3"], "the attribute gender is 'x', which no user had. Give one of f, m."),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_is_kept(cli, model, given, message):
    result = cli("know", model, "--user", "ann", *given)
    assert (result.code, result.out, result.err) == (2, "", f"Error: {message}\n")
    assert told(model) == {}


def test_a_model_without_attributes_says_so(cli, tmp_path, planted):
    rows = Dataset.load(planted)
    folder = write_folder(Dataset.from_tables(rows.interactions, rows.items), tmp_path / "data")
    cli("fit", folder, "--out", tmp_path / "m", "--encoder", "none")
    result = cli("know", tmp_path / "m", "--user", "ann", "--set", "age=23")
    assert (result.code, result.err) == (0, "")
    assert result.out == "Kept of ann: age 23. The model knows no attributes yet: the next refit may learn from it.\n"


def test_a_set_is_needed(cli, model):
    result = cli("know", model, "--user", "ann")
    assert result.code == 2
    assert "Missing option '--set'" in result.err
