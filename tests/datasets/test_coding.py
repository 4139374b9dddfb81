from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.datasets import Dataset
from palate.errors import DataError, OptionError
from palate.vocabulary import Vocabulary


def test_numbers_follow_sorted_ids_and_items_without_ratings_count() -> None:
    table = pl.DataFrame({"user_id": ["b", "a"], "item_id": [10, 9], "rating": [4, 2], "timestamp": [5, None]})
    coded = Dataset.from_tables(table, pl.DataFrame({"item_id": [1, 9]})).coded()
    assert coded.user_ids == ["a", "b"]
    assert coded.item_ids == ["1", "10", "9"]
    assert (coded.users.tolist(), coded.items.tolist()) == ([1, 0], [1, 2])
    assert coded.values.tolist() == [4.0, 2.0]
    np.testing.assert_array_equal(coded.timestamps, [5.0, np.nan])
    assert (coded.users.dtype, coded.items.dtype, coded.values.dtype) == (np.int32, np.int32, np.float64)


def test_of_a_repeated_pair_the_last_in_time_is_kept() -> None:
    table = pl.DataFrame(
        {
            "user_id": ["a", "a", "a", "b", "b"],
            "item_id": [1, 1, 2, 1, 1],
            "rating": [5, 1, 3, 2, 4],
            "timestamp": [20, 10, 10, None, None],
        }
    )
    coded = Dataset.from_tables(table).coded()
    assert coded.values.tolist() == [5.0, 3.0, 4.0]  # for b, without times, the later row
    assert coded.duplicates == 2


def test_a_bot_counts_as_one_person() -> None:
    n = 100_000
    bot = pl.DataFrame(
        {"user_id": ["bot"] * n, "item_id": np.arange(n) % 3, "event": "play", "timestamp": np.arange(n)}
    )
    coded = Dataset.from_tables(bot).coded("event")
    assert sorted(coded.items.tolist()) == [0, 1, 2]
    assert sorted(coded.timestamps.tolist()) == [n - 3, n - 2, n - 1]
    assert coded.duplicates == n - 3


def test_events_are_for_or_against_and_what_was_shown_has_no_value() -> None:
    words = ["click", "skip", "Impression", None, "wish list"]
    table = pl.DataFrame({"user_id": ["a"] * 5, "item_id": [1, 2, 3, 4, 5], "event": words})
    coded = Dataset.from_tables(table, events={"wish_list": "like:0.4"}).coded("event")
    assert coded.values.tolist() == [1.0, -1.0, 1.0, 1.0]
    strengths = coded.strengths(Vocabulary({"wish-list": "like:0.4"}))
    np.testing.assert_allclose(strengths, [0.5, -0.3, 1.0, 0.4])
    assert coded.item_ids == ["1", "2", "3", "4", "5"]
    with pytest.raises(OptionError, match=r"values 'votes' are unknown\. Use rating or event"):
        Dataset.from_tables(table).coded("votes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        (["purchase", "refund"], "refund"),  # of equally strong ones the last
        (["purchase", "refund", "view"], "refund"),  # a view is weaker
        (["refund", "purchase"], "purchase"),
        (["dislike", "view", "click"], "dislike"),
        (["view", "skip"], "skip"),
        (["view", "purchase", "impression"], "purchase"),
    ],
)
def test_of_a_pair_the_strongest_event_counts_and_of_equally_strong_ones_the_last(events: list[str], kept: str) -> None:
    n = len(events)
    table = pl.DataFrame({"user_id": ["a"] * n, "item_id": ["x"] * n, "event": events, "timestamp": range(n)})
    for rows in (table, table.reverse()):
        coded = Dataset.from_tables(rows).coded("event")
        assert coded.words is not None and [coded.names[word] for word in coded.words] == [kept]


def test_a_weight_counts_up_to_one_event() -> None:
    table = pl.DataFrame(
        {
            "user_id": ["a"] * 4,
            "item_id": [1, 2, 3, 4],
            "event": ["play"] * 3 + ["skip"],
            "weight": [0.5, 7.0, None, 0.25],
        }
    )
    data = Dataset.from_tables(table)
    assert data.coded("event").values.tolist() == [0.5, 1.0, 1.0, -0.25]
    bad = pl.DataFrame({"user_id": ["a"] * 3, "item_id": [1, 2, 3], "weight": [0.0, -1.0, float("inf")]})
    reasons = [
        str(reject) for reject in Dataset.from_tables(pl.concat([bad, bad.with_columns(weight=1.0)])).rejects.rows
    ]
    assert ["weight 0.0 is not above 0" in reasons[0], "weight inf is not a finite number" in reasons[-1]] == [
        True,
        True,
    ]


def test_unknown_events_are_an_error_that_lists_them_with_their_counts() -> None:
    table = pl.DataFrame(
        {"user_id": ["a"] * 4, "item_id": [1, 2, 3, 4], "event": ["purchased", "purchased", "zap", "view"]}
    )
    with pytest.raises(
        DataError, match=r"^2 events are unknown: 'purchased' 2, 'zap' 1\. Did you mean 'purchase'\? Say "
    ):
        Dataset.from_tables(table).coded("event")


ROWS = st.tuples(
    st.sampled_from("abc"), st.integers(1, 3), st.none() | st.integers(1, 5), st.none() | st.integers(0, 3)
)


@given(st.lists(ROWS, min_size=1))
def test_coding_agrees_with_a_dictionary(rows: list[tuple[str, int, int | None, int | None]]) -> None:
    table = pl.DataFrame(
        rows,
        schema={"user_id": pl.String, "item_id": pl.Int64, "rating": pl.Int64, "timestamp": pl.Int64},
        orient="row",
    )
    coded = Dataset.from_tables(table).coded()
    kept: dict[tuple[str, str], float] = {}
    for user, item, rating, _ in sorted(rows, key=lambda row: -1 if row[3] is None else row[3]):
        if rating is not None:
            kept[user, str(item)] = float(rating)
    pairs = [(coded.user_ids[u], coded.item_ids[i]) for u, i in zip(coded.users, coded.items, strict=True)]
    assert dict(zip(pairs, coded.values.tolist(), strict=True)) == kept
    assert len(pairs) == len(kept)
    assert coded.duplicates == sum(row[2] is not None for row in rows) - len(kept)
