"""The generated shop: what is used up is bought again, what lasts is not, and newcomers come until the end."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset
from palate.datasets.samples.shop import KINDS, shop_sample
from palate.datasets.splits import global_time

USED_UP = [kind.name for kind in KINDS if kind.cycle is not None]


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return shop_sample(rng=np.random.default_rng(0))


def test_the_same_generator_gives_the_same_shop_and_another_one_another(shop: Dataset) -> None:
    assert shop_sample(rng=np.random.default_rng(0)).fingerprint() == shop.fingerprint()
    assert shop_sample(rng=np.random.default_rng(1)).fingerprint() != shop.fingerprint()


def test_what_is_used_up_is_bought_again_and_what_lasts_is_not(shop: Dataset) -> None:
    bought = shop.interactions.filter(pl.col("event") == "purchase").join(shop.items, on="item_id")
    times = bought.group_by("user_id", "item_id", "category").len()
    is_used_up = pl.col("category").is_in(USED_UP)
    assert (times.filter(~is_used_up)["len"] == 1).all()
    assert (times.filter(is_used_up)["len"] > 1).mean() > 0.2


def test_events_stand_in_the_order_of_a_visit_and_returns_follow_purchases(shop: Dataset) -> None:
    first = shop.interactions.group_by("user_id", "item_id", "event").agg(pl.col("timestamp").min())
    each = first.pivot("event", index=["user_id", "item_id"], values="timestamp")
    assert (each["view"] < each["purchase"]).drop_nulls().all() and each["purchase"].count() > 4000
    returned = each.filter(pl.col("return").is_not_null())
    assert (returned["purchase"] < returned["return"]).all() and returned.height > 100
    assert set(returned.join(shop.items, on="item_id")["category"]).isdisjoint(USED_UP)


def test_customers_come_until_the_end(shop: Dataset) -> None:
    parts = global_time(shop)
    before, after = (set(part.interactions["user_id"]) for part in (parts.train, parts.test))
    assert len(after - before) >= 30


def test_products_have_titles_of_their_own_prices_and_stock() -> None:
    items = shop_sample(users=5, items=300, rng=np.random.default_rng(0)).items
    assert items["title"].n_unique() == 300 and items["title"].str.ends_with(", pack of 2").sum() == 12
    assert items["price"].min() > 0.0 and (items["stock"] >= 0).all() and (items["stock"] == 0).sum() in range(3, 40)
    assert not items.select((pl.col("title") == "") | (pl.col("text") == "")).to_series().any()
