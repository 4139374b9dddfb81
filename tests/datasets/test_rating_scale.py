"""A rating scale that is given, or read off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from palate import Dataset, Learner
from palate.cli.app import app
from palate.datasets.convert import write_folder
from palate.entities import RATING
from palate.errors import DataError, OptionError
from palate.model.scale import Scale
from palate.records import rate
from tests.worlds import data


def five(folder: Path, toml: str = "") -> Path:
    """A data folder with ratings from 0.5 to 3.5, without the ends 0 and 4."""
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "user_id": [f"u{n % 30}" for n in range(600)],
            "item_id": [f"i{rng.integers(20)}" for _ in range(600)],
            "rating": rng.integers(1, 8, 600) / 2,
        }
    )
    folder.mkdir(exist_ok=True)
    rows.write_csv(folder / "interactions.csv")
    if toml:
        (folder / "palate.toml").write_text(toml)
    return folder


def test_ends_come_from_the_argument_then_the_folder_then_the_data(tmp_path: Path) -> None:
    plain, said = five(tmp_path / "a"), five(tmp_path / "b", "scale = [0, 4]\n")
    assert (Dataset.load(plain).scale, Dataset.load(said).scale) == (None, (0.0, 4.0))
    assert Dataset.load(said, scale="0:5").scale == (0.0, 5.0)
    for of, ends in ((Dataset.load(plain), (0.5, 3.5)), (Dataset.load(said), (0.0, 4.0))):
        scale = Learner.fit(of, encoder="none").model.scale
        assert (scale.low, scale.high) == ends and scale.is_given == (of.scale is not None)


def test_a_scale_that_is_given_can_be_answered_with_and_comes_back_from_a_folder(tmp_path: Path) -> None:
    learner = Learner.fit(Dataset.load(five(tmp_path / "a"), scale=(0, 4)), encoder="none")
    assert learner.tell(rate("ann", "i1", 4)).state("ann").values == (4.0,)
    learner.save(tmp_path / "model")
    assert Learner.load(tmp_path / "model").model.scale == learner.model.scale
    again = write_folder(Dataset.load(tmp_path / "a", scale=(0, 4)), tmp_path / "out")
    assert Dataset.load(again).scale == (0.0, 4.0)
    write_folder(Dataset.load(tmp_path / "a"), again)  # in the place of what said so
    assert Dataset.load(again).scale is None


def test_a_scale_that_the_data_leaves(tmp_path: Path) -> None:
    folder = five(tmp_path / "a")
    off = int((Dataset.load(folder).interactions[RATING] > 3).sum())
    message = rf"^{off} of 600 ratings are off the scale 0 to 3; the first: 3\.5\. Give a scale that holds them, or"
    with pytest.raises(DataError, match=message):
        Dataset.load(folder, scale=(0, 3))
    with pytest.raises(DataError, match=message):
        Dataset.from_tables(Dataset.load(folder).interactions, scale="0:3")
    found = CliRunner().invoke(app, ["data", "inspect", str(folder), "--scale", "0:3"])
    assert "off the scale 0 to 3" in str(found.exception)


@pytest.mark.parametrize("scale", ["4:0", "1", "1:2:3", "a:b", "nan:1", "0:inf", (1,), (5, 5), [1, "b"], 5, {1: 2}])
def test_what_is_no_scale(scale: object, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^(the )?scale .*Give "):
        Dataset.load(five(tmp_path / "a"), scale=scale)  # type: ignore[arg-type]


TOML = ["scale = [4, 0]", "scale = 4", "scales = [0, 4]", "scale = [0, 4", "scale = ['a', 'b']", "a = " + "[" * 50_000]


@pytest.mark.parametrize("toml", TOML, ids=range(len(TOML)))
def test_a_file_that_says_no_scale(toml: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^palate\.toml cannot be used: "):
        Dataset.load(five(tmp_path / "a", toml))
    with pytest.raises(DataError, match=r"^palate\.toml has 70,000 bytes, of at most 65,536\."):
        Dataset.load(five(tmp_path / "a", "#" * 70_000))


def test_levels_that_nobody_gave_are_levels_at_the_ends_alone() -> None:
    values = np.array([1.0, 2.0, 2.0, 3.0])
    assert Scale.of(values, (0.0, 4.0)).levels == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert Scale.of(values).levels == (1.0, 2.0, 3.0)
    assert Scale.of(np.linspace(0, 1, 50), (-1.0, 2.0)).levels == (-1.0, 2.0)


def test_scores_stay_on_the_scale_and_keep_their_order() -> None:
    learner = Learner.fit(data(), encoder="none")
    ids = learner.model.catalogue.ids
    fan = learner.tell([rate("fan", item, 5.0) for item in ids[:40]])
    listed = fan.recommend("fan", 80)
    state, items = fan.state("fan"), fan.model.taste.items
    mean = items.level + state.belief.score(items.factors)
    assert mean.max() > 5.0  # what it would be without
    scores = np.array([one.score for one in listed])
    assert scores.max() < 5.0 and len(set(scores)) == len(scores) and all(one.std > 0.0 for one in listed)
