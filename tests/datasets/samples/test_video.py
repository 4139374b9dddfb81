from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset
from palate.datasets.samples.video import KINDS, SKIPPED, SPAN, START, video_sample
from palate.datasets.splits import global_time
from palate.errors import OptionError


@pytest.fixture(scope="module")
def data() -> Dataset:
    return video_sample(rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def watched(data: Dataset) -> pl.DataFrame:
    """What was shown, with the video."""
    return data.interactions.filter(pl.col("share").is_not_null()).join(data.items, on="item_id")


def test_a_log_of_plays_skips_and_likes(data: Dataset, watched: pl.DataFrame) -> None:
    assert (data.interactions["user_id"].n_unique(), data.items.height) == (600, 240)
    assert set(data.interactions["event"]) == {"play", "skip", "like"}
    assert data.interactions["timestamp"].is_sorted()
    assert data.interactions["timestamp"].min() >= START  # type: ignore[operator]  # of a numeric column
    assert not watched.select(pl.struct("user_id", "item_id").is_duplicated().any()).item()
    assert set(watched.filter(pl.col("share") < SKIPPED)["event"]) == {"skip"}
    assert (watched["seconds"] - watched["share"] * watched["duration"]).abs().max() < 3.0  # type: ignore[operator]
    assert data.coded("event").duplicates == (data.interactions["event"] == "like").sum()  # a like follows its play


def test_the_same_state_gives_the_same_log(data: Dataset) -> None:
    assert video_sample(rng=np.random.default_rng(0)).fingerprint() == data.fingerprint()
    assert video_sample(rng=np.random.default_rng(1)).fingerprint() != data.fingerprint()


def test_new_people_arrive_and_nothing_is_watched_before_it_is_published(data: Dataset, watched: pl.DataFrame) -> None:
    parts = global_time(data)
    known = parts.train.interactions["user_id"].unique()
    assert parts.test.interactions.filter(~pl.col("user_id").is_in(known.implode()))["user_id"].n_unique() >= 50
    assert (watched["timestamp"] >= watched["published"]).all()
    assert 40 < (data.items["published"] > START).sum() < 110
    assert data.items["published"].max() < START + SPAN  # type: ignore[operator]


def test_titles_are_all_different_and_say_the_kind(data: Dataset) -> None:
    titles = data.items["title"]
    assert titles.n_unique() == 240
    assert set(data.items["category"]) == {kind.name for kind in KINDS}
    things = {kind.name: kind.things for kind in KINDS}
    for title, category in zip(titles, data.items["category"], strict=True):
        assert any(thing.lower() in title.lower() for thing in things[category]), title


def test_short_videos_are_watched_further_and_people_differ_in_kinds(watched: pl.DataFrame) -> None:
    short = watched["duration"] < watched["duration"].median()
    assert watched.filter(short)["share"].mean() > watched.filter(~short)["share"].mean() + 0.1  # type: ignore[operator]
    of_kinds = watched.group_by("user_id", "category").agg(pl.col("share").mean(), pl.len()).filter(pl.col("len") > 4)
    by_chance = watched.with_columns(pl.col("share").shuffle(seed=0)).group_by("user_id", "category")
    chance = by_chance.agg(pl.col("share").mean(), pl.len()).filter(pl.col("len") > 4)
    assert of_kinds["share"].std() > 1.4 * chance["share"].std()  # type: ignore[operator]


def test_small_logs_and_wrong_numbers() -> None:
    assert video_sample(users=1, items=1, rng=np.random.default_rng(0)).interactions.height >= 1
    with pytest.raises(OptionError, match="users is 0"):
        video_sample(users=0, rng=np.random.default_rng(0))
