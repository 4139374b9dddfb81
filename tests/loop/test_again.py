"""Lists with what was bought before in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Dataset, Learner, events
from palate.datasets.samples import shop_sample
from palate.model.forget import without

DAY = 86_400.0


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shop_sample(users=250, items=60, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def learner(data: Dataset) -> Learner:
    found = Learner.fit(data, encoder="none", dim=4)
    assert found.model.list_model is not None and found.model.list_model.repeats is not None
    return found


@pytest.fixture(scope="module")
def regular(data: Dataset) -> str:
    """Somebody who buys more than most, and has not bought everything."""
    bought = data.interactions.filter(pl.col("event") == "purchase")["user_id"].value_counts()
    return str(bought.sort("count", "user_id", descending=True)["user_id"][40])


def end(learner: Learner) -> float:
    assert learner.model.list_model is not None and learner.model.list_model.repeats is not None
    return learner.model.list_model.repeats.until


def plain(learner: Learner) -> Learner:
    model = learner.model
    assert model.list_model is not None
    return Learner(learner.memory.under(replace(model, list_model=replace(model.list_model, repeats=None))))


def test_what_is_due_stands_ahead_and_says_so(learner: Learner, regular: str, data: Dataset) -> None:
    bought = data.interactions.filter((pl.col("event") == "purchase") & (pl.col("user_id") == regular))
    shown = learner.at(end(learner) + 7 * DAY).recommend(regular, 10, include_seen=True)
    before = set(bought["item_id"])
    again = [item for item in shown if item.item_id in before]
    kinds = dict(zip(data.items["item_id"], data.items["category"], strict=True))
    assert len(again) >= 2 and {kinds[item.item_id] for item in again} <= {"coffee", "tea", "soap", "cat food"}
    assert all(item.reason.startswith("you bought it ") for item in again)
    assert not any("you bought it" in item.reason for item in shown if item.item_id not in before)
    days = (
        bought.with_columns((pl.col("timestamp") // DAY).alias("day")).group_by("item_id").agg(pl.col("day").n_unique())
    )
    times = dict(days.rows())[again[0].item_id]
    assert again[0].reason == ("you bought it before" if times == 1 else f"you bought it on {times} days")


def test_the_list_of_what_is_new_is_as_without_it(learner: Learner, regular: str, data: Dataset) -> None:
    assert learner.recommend(regular, 20) == plain(learner).recommend(regular, 20)
    bought = data.interactions.filter((pl.col("event") == "purchase") & (pl.col("user_id") == regular))["item_id"]
    both = [item.item_id for item in learner.recommend(regular, 60, include_seen=True)]
    before = [item.item_id for item in plain(learner).recommend(regular, 60, include_seen=True)]
    new = [item for item in before if item not in set(bought)]
    assert [item for item in both if item in set(new)] == new, "what is new keeps its order"
    assert both != before


def test_chances_of_all_have_at_most_one_altogether(learner: Learner, regular: str) -> None:
    chances = [item.chance for item in learner.recommend(regular, 60, include_seen=True)]
    assert chances == sorted(chances, reverse=True) and 0.3 < sum(chances) <= 1.1


def test_who_has_bought_everything_has_a_list_still(learner: Learner, data: Dataset) -> None:
    told = learner.see(events("eve", data.items["item_id"].to_list(), kind="purchase", at=end(learner)))
    assert len(told.recommend("eve", 60, include_seen=True)) == 60 and told.recommend("eve", 60) == []


def test_what_came_back_is_not_bought_again(learner: Learner) -> None:
    at = end(learner)
    told = learner.see(events("ann", ["p01", "p03"], kind="purchase", at=at))
    assert "you bought it before" in reasons(told, "ann", at + 20 * DAY)["p01"]
    back = told.see(events("ann", ["p01"], kind="return", at=at + DAY))
    assert list(reasons(back, "ann", at + 20 * DAY))[-1] == "p01", "it stands last"
    once_more = back.see(events("ann", ["p01"], kind="purchase", at=at + 2 * DAY))
    assert "you bought it on 2 days" in reasons(once_more, "ann", at + 20 * DAY)["p01"]
    viewed = learner.see(events("bob", ["p01"], kind="view", at=at))
    assert "you bought it" not in reasons(viewed, "bob", at + 20 * DAY)["p01"], "who looked did not buy"


def reasons(learner: Learner, user: str, time: float) -> dict[str, str]:
    return {item.item_id: item.reason for item in learner.at(time).recommend(user, 60, include_seen=True)}


def test_coffee_just_bought_is_less_likely_than_coffee_of_two_weeks_ago(learner: Learner) -> None:
    at = end(learner)
    told = learner.see(events("ann", ["p01"], kind="purchase", at=at))
    now, later = (
        next(item.chance for item in told.at(time).recommend("ann", 60, include_seen=True) if item.item_id == "p01")
        for time in (at + DAY, at + 16 * DAY)
    )
    assert later > now


def test_it_is_kept_in_a_folder_and_said_in_chinese(learner: Learner, regular: str, tmp_path: Path) -> None:
    learner.save(tmp_path / "model")
    again = Learner.load(tmp_path / "model")
    shown = learner.recommend(regular, 10, include_seen=True, language="zh")
    assert again.recommend(regular, 10, include_seen=True, language="zh") == shown
    assert any(item.reason.startswith("你买过它") for item in shown)


def test_who_is_erased_leaves_no_day(learner: Learner, regular: str, data: Dataset) -> None:
    left = without(learner.model, {regular})
    assert left.list_model is not None and left.list_model.repeats is not None
    days = left.list_model.repeats.days
    assert len(days) == len(left.user_ids) == 249
    bought = data.interactions.filter((pl.col("event") == "purchase") & (pl.col("user_id") != regular))
    pairs = bought.select("user_id", "item_id", pl.col("timestamp") // DAY).unique()
    assert len(days.items) == pairs.height
