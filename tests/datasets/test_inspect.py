from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.datasets import Dataset, planted_world
from palate.datasets.inspect import inspect

NOW = 1_700_000_000.0
NO_ITEMS = "there is no table of items: they have no titles, and nothing is known of one before its first answer"
NO_TIMES = "there are no timestamps, so no split in time"


def data_of(items: pl.DataFrame | None = None, **columns: list[object]) -> Dataset:
    return Dataset.from_tables(pl.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["1", "2", "1"]} | columns), items)


def test_a_good_data_set_has_nothing_suspicious() -> None:
    report = inspect(planted_world(rng=np.random.default_rng(0)).dataset, now=2e9)
    assert report["suspicious"] == []
    assert report["counts"]["users"] == 400
    assert report["counts"]["categories"] == 8
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_counts_by_hand() -> None:
    items = pl.DataFrame({"item_id": ["1", "9"], "title": ["One", "Nine"], "category": ["x|y", "x"]})
    data = data_of(items, rating=[1, 4, None], event=[None, "click", None], timestamp=[86_400, 0, None])
    report = inspect(data, now=NOW)
    assert report["counts"] == {
        "friends": 0,
        "interactions": 3,
        "users": 2,
        "items": 2,
        "ratings": 2,
        "without_rating_and_event": 1,
        "item_rows": 2,
        "user_rows": 0,
        "categories": 2,
    }
    assert report["density"] == 0.75
    assert report["dates"] == {
        "known": 2,
        "first": "1970-01-01T00:00:00+00:00",
        "last": "1970-01-02T00:00:00+00:00",
        "sorted": False,
    }
    assert report["ratings"] == {"levels": 2, "lowest": 1.0, "highest": 4.0, "mean": 2.5, "histogram": {"1": 1, "4": 1}}
    assert (report["events"], report["signs"]) == ({"click": 1}, {"click": "for"})
    assert report["joins"] == {
        "items_without_row": 1,
        "interactions_without_item_row": 1,
        "items_never_seen": 1,
        "users_without_row": 0,
        "users_never_seen": 0,
    }
    assert report["suspicious"] == [
        "1 interactions have no timestamp",
        "1 items of 1 interactions have no row in items",
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"user_id": ["a", "a", "a"]}, "only one user has interactions"),
        ({"item_id": ["1", "1", "1"]}, "only one item has interactions"),
        ({"rating": [3, 3, 3]}, "all ratings are the same"),
        ({"timestamp": [5, 5, 5]}, "all timestamps are the same"),
        (
            {"timestamp": [5.0, 6.0, NOW + 90_000]},
            "1 timestamps are more than a day ahead of the clock; kept as claimed",
        ),
        (
            {"user_id": ["Ann", "ann ", "b"]},
            "1 groups of user_id differ only in case, blanks or letter forms: 'Ann' and 'ann'",
        ),
        (
            {"item_id": ["x\u00a01", "x1", "\uff58 1"]},
            "1 groups of item_id differ only in case, blanks or letter forms: 'x1' and 'x\\xa01' and '\uff58 1'",
        ),
    ],
)
def test_suspicious(columns: dict[str, list[object]], sentence: str) -> None:
    assert sentence in inspect(data_of(**columns), now=NOW)["suspicious"]


def test_a_day_ahead_is_no_more_than_a_fast_clock() -> None:
    assert inspect(data_of(timestamp=[5.0, 6.0, NOW + 86_000]), now=NOW)["suspicious"] == [NO_ITEMS]


def test_ratings_in_another_unit() -> None:
    table = pl.DataFrame(
        {"user_id": range(1000), "item_id": [1, 2] * 500, "rating": [4.0] * 500 + [5.0] * 499 + [5000.0]}
    )
    assert (
        "1 ratings are over 100 times as large as 99 % of the others: another unit?"
        in inspect(Dataset.from_tables(table), now=NOW)["suspicious"]
    )


def test_texts() -> None:
    same = pl.DataFrame({"item_id": ["1", "2"], "title": ["x", "x"]})
    assert inspect(data_of(same), now=NOW)["suspicious"] == ["all items have the same title and text", NO_TIMES]
    none = pl.DataFrame({"item_id": ["1", "2"]})
    assert inspect(data_of(none), now=NOW)["suspicious"] == ["no item has a title or text", NO_TIMES]
    some = pl.DataFrame({"item_id": ["1", "2"], "title": ["x", ""]})
    assert inspect(data_of(some), now=NOW)["suspicious"] == ["1 items (50%) have neither title nor text", NO_TIMES]
    text = pl.DataFrame({"item_id": ["1", "2"], "title": ["x", ""], "text": ["", "y"]})
    assert inspect(data_of(text), now=NOW)["suspicious"] == [
        "1 items (50%) have no title and are shown by the start of their text",
        NO_TIMES,
    ]


def test_columns_that_no_model_looks_at_are_listed() -> None:
    items = pl.DataFrame({"item_id": ["1", "2"], "title": ["x", "y"], "price": [1, 2], "author": ["p", "q"]})
    report = inspect(data_of(items, weight=[1, 2, 3], rating=[1, 2, 3]), now=NOW)
    assert report["unused"] == {"interactions": ["weight"], "items": ["price", "author"]}


def test_events_have_their_sign_and_unknown_ones_and_loose_impressions_are_said() -> None:
    events = ["refund", "impression", "purchased", "click", "impression"]
    table = pl.DataFrame({"user_id": ["a"] * 5, "item_id": [1, 2, 3, 4, 5], "event": events})
    table = table.with_columns(slate=pl.Series([None, "s1", None, None, " "]))
    report = inspect(Dataset.from_tables(table), now=NOW)
    signs = {"refund": "against", "impression": "shown", "purchased": "unknown", "click": "for"}
    assert report["signs"] == signs and report["unused"]["interactions"] == []
    fact = "1 events are unknown, and no fit takes them: 'purchased' 1. Say what they mean in events.toml"
    assert fact in report["suspicious"]
    loose = "1 of 2 impressions have no slate: that they were shown counts, and what they were shown with is not known"
    assert report["notes"] == [loose]


def test_one_user_with_the_work_of_a_crowd() -> None:
    table = pl.DataFrame({"user_id": ["bot"] * 1001 + ["a", "b"], "item_id": [*range(1001), 1, 2]})
    assert (
        "1 users have far more interactions than a person would: 'bot' has 1,001"
        in inspect(Dataset.from_tables(table), now=NOW)["suspicious"]
    )


def test_duplicates_and_rejects() -> None:
    table = pl.DataFrame({"user_id": ["a"] * 4, "item_id": [1, 1, 1, 2], "rating": [1.0, 1.0, 2.0, float("inf")]})
    report = inspect(Dataset.from_tables(table), now=NOW)
    assert report["duplicates"] == {"rows": 1, "pairs": 2}
    repeated = "1 rows repeat another: same user, item, rating, event and time; each counts once"
    assert repeated in report["suspicious"]
    assert report["rejects"] == {
        "total": 1,
        "first": ["interactions:4: column rating: rating inf is not a finite number"],
    }


def test_real_data(shared_data: Callable[[str], Path]) -> None:
    report = inspect(Dataset.load(shared_data("jester")), now=NOW)
    assert report["ratings"]["levels"] > 21
    assert sum(report["ratings"]["histogram"].values()) == report["counts"]["ratings"] == 291_699
    assert report["density"] == pytest.approx(0.727, abs=0.001)
    assert inspect(Dataset.load(shared_data("movielens-100k")), now=NOW)["suspicious"] == []
