from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate import Dataset
from palate.datasets.samples import news_sample
from palate.datasets.samples.news import DAY, DAYS, SHOWN, START
from palate.datasets.splits import global_time
from palate.errors import OptionError

READ = pl.col("event") != "impression"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return news_sample(rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def rows(data: Dataset) -> pl.DataFrame:
    return data.interactions.join(data.items, on="item_id")


def test_sizes_and_words(data: Dataset) -> None:
    assert (data.interactions["user_id"].n_unique(), data.items.height, data.rejects.total) == (600, 240, 0)
    assert set(data.interactions["event"]) == {"impression", "click", "read", "share"}
    assert data.items["title"].n_unique() == 240
    assert all(title[0].isupper() and "{" not in title for title in data.items["title"])


def test_the_same_state_gives_the_same_site(data: Dataset) -> None:
    again, other = (news_sample(rng=np.random.default_rng(seed)).fingerprint() for seed in (0, 1))
    assert again == data.fingerprint() != other


def test_an_article_is_read_after_it_appeared_and_mostly_soon(rows: pl.DataFrame) -> None:
    age = (rows["timestamp"] - rows["published"]) / DAY
    assert age.min() >= 0  # type: ignore[operator]
    assert rows["timestamp"].max() < START + (DAYS + 0.1) * DAY  # type: ignore[operator]
    assert (age.filter(rows["event"] != "impression") < 2.0).mean() > 0.6


def test_a_visit_shows_different_articles_to_one_reader(rows: pl.DataFrame) -> None:
    visits = rows.group_by("slate").agg(
        pl.len(), pl.col("user_id").n_unique().alias("users"), pl.col("item_id").n_unique().alias("items")
    )
    assert visits["len"].max() == SHOWN
    assert (visits["users"] == 1).all()
    assert (visits["len"] == visits["items"]).all()


def test_what_is_clicked_is_not_shown_again(rows: pl.DataFrame) -> None:
    clicked = rows.filter(READ).group_by("user_id", "item_id").agg(pl.len(), pl.col("timestamp").min().alias("read"))
    assert clicked["len"].max() == 1
    shown = rows.filter(~READ).join(clicked, on=["user_id", "item_id"])
    assert (shown["timestamp"] <= shown["read"]).all()


def test_readers_have_topics(rows: pl.DataFrame) -> None:
    """Of the topic that somebody clicks most on the even days, they click more of what is shown on the odd ones."""
    odd = ((pl.col("timestamp") - START) // DAY) % 2 == 1
    rates = rows.group_by("user_id", "category").agg(
        (READ & ~odd).sum().alias("even"), (READ & odd).sum().alias("clicked"), odd.sum().alias("shown")
    )
    best = rates.sort("even", descending=True).unique("user_id", keep="first")
    assert best["clicked"].sum() / best["shown"].sum() > 1.3 * rates["clicked"].sum() / rates["shown"].sum()


def test_newcomers_come_late(data: Dataset) -> None:
    parts = global_time(data)
    old = parts.train.interactions["user_id"].unique()
    new = parts.test.interactions.filter(~pl.col("user_id").is_in(old.implode()) & READ)
    assert (new.group_by("user_id").len()["len"] > 10).sum() >= 25


@pytest.mark.parametrize(("users", "items", "what"), [(1, 240, "users is 1"), (600, 15, "items is 15")])
def test_too_few_are_an_error(users: int, items: int, what: str) -> None:
    with pytest.raises(OptionError, match=what):
        news_sample(users=users, items=items, rng=np.random.default_rng(0))
