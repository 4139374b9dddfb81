from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset
from palate.datasets.samples import social_sample


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return social_sample(users=200, items=80, rng=np.random.default_rng(0))


def test_one_state_gives_one_community(sample: Dataset) -> None:
    again = social_sample(users=200, items=80, rng=np.random.default_rng(0))
    assert again.fingerprint() == sample.fingerprint()
    assert social_sample(users=200, items=80, rng=np.random.default_rng(1)).fingerprint() != sample.fingerprint()


def test_its_events_are_documented_and_in_order(sample: Dataset) -> None:
    assert set(sample.interactions["event"]) == {"view", "like", "dislike", "share"}
    assert sample.interactions["timestamp"].is_sorted()
    opened = sample.interactions.filter(pl.col("event") == "view").join(sample.items, on="item_id")
    assert (opened["timestamp"] + 1.0 >= opened["published"]).all()
    assert not opened.select("user_id", "item_id").is_duplicated().any()


def test_many_come_late(sample: Dataset) -> None:
    first = sample.interactions.group_by("user_id").agg(pl.col("timestamp").min())["timestamp"]
    late = sample.interactions["timestamp"].quantile(0.8)
    assert 0.1 < (first > late).mean() < 0.4


def test_friends_like_the_same(sample: Dataset) -> None:
    """What two friends voted up overlaps more than what two strangers did."""
    up = sample.interactions.filter(pl.col("event").is_in(["like", "share"]))
    liked = {user: set(items) for user, items in up.group_by("user_id").agg("item_id").iter_rows()}

    def overlap(pairs: list[tuple[str, str]]) -> float:
        both = [(liked[a], liked[b]) for a, b in pairs if a in liked and b in liked]
        return float(np.mean([len(a & b) / len(a | b) for a, b in both]))

    friends = sample.friends.rows()
    strangers = list(
        zip((a for a, _ in friends), np.random.default_rng(0).permutation([b for _, b in friends]), strict=True)
    )
    assert overlap(friends) > 1.25 * overlap(strangers)
    assert (sample.friends["user_id"] != sample.friends["friend_id"]).all()
