from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate import Dataset
from palate.datasets import planted_world
from palate.errors import DataError, OptionError
from palate.evaluation.encoder_cost import Measured, installed, measure_encoders, recommend

SLOW = Measured("slow", 8, 10.0, 100.0, 500, rmse=0.900)
NEAR = Measured("near", 8, 100.0, 10.0, 200, rmse=0.905)
FAST = Measured("fast", 8, 1000.0, 1.0, 100, rmse=0.950)
NONE = Measured("none", 0, None, 0.0, None, rmse=0.990)
BROKEN = Measured("broken", failed="its weights are missing")


@pytest.mark.parametrize(
    ("rows", "budget", "expected"),
    [
        ([NONE, SLOW, NEAR, FAST], None, "near"),
        ([NONE, SLOW, NEAR, FAST], 5.0, "fast"),
        ([NONE, SLOW, NEAR, FAST], 0.5, "none"),
        ([BROKEN, SLOW], None, "slow"),
        ([NONE, Measured("worse", 8, 9.0, 9.0, 9, rmse=1.2)], None, "none"),
        ([Measured("first", 8, 9.0, 9.0, 9), Measured("second", 8, 99.0, 1.0, 9)], None, "first"),
    ],
)
def test_what_is_recommended(rows: list[Measured], budget: float | None, expected: str) -> None:
    assert recommend(rows, budget).name == expected


def test_a_budget_that_none_keeps() -> None:
    with pytest.raises(
        OptionError, match=r"^no encoder that was measured encodes all texts within 2\.0 seconds\. Give"
    ):
        recommend([SLOW, BROKEN], 2.0)


@pytest.mark.long
def test_the_encoders_are_measured_on_the_data() -> None:
    world = planted_world(users=60, items=40, rng=np.random.default_rng(0))
    seen: list[tuple[str, int, int]] = []
    found = measure_encoders(world.dataset, ["none", "default", "xyz"], progress=lambda *what: seen.append(what))
    none, default, unknown = found
    assert (none.dimension, none.seconds, none.failed, default.dimension, default.failed) == (0, 0.0, "", 512, "")
    assert none.rmse is not None and default.rmse is not None and 0 < default.rmse < 5
    assert default.texts_per_second and default.seconds == pytest.approx(
        sum(map(bool, world.dataset.item_texts())) / default.texts_per_second
    )
    assert default.megabytes and default.megabytes > 30
    assert unknown.failed.startswith("there is no encoder 'xyz'.")
    assert seen[0] == ("measuring", 0, 3) and seen[-1] == ("measuring", 3, 3)


def test_without_ratings_the_cost_alone_is_measured() -> None:
    events = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "event": ["view", "view"]})
    data = Dataset.from_tables(events, pl.DataFrame({"item_id": ["x", "y"], "text": ["a film", "a war"]}))
    assert measure_encoders(data, ["none"]) == [Measured("none", 0, seconds=0.0)]


def test_data_without_texts_is_refused() -> None:
    data = Dataset.from_tables(pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "rating": [1.0]}), name="bare")
    with pytest.raises(DataError, match=r"^no item of bare has a text\. Give items with text, title or category\.$"):
        measure_encoders(data, ["none"])


def test_what_is_installed_can_be_named() -> None:
    assert {"none", "use-multilingual"} <= set(installed())
    assert "FOLDER" not in installed()
    assert "efficientnet-lite0" not in installed()
