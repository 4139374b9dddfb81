from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.datasets import Dataset
from palate.errors import OptionError


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


def test_events_are_one_or_nought() -> None:
    table = pl.DataFrame({"user_id": ["a"] * 3, "item_id": [1, 2, 3], "event": ["click", "skip", "seen"]})
    coded = Dataset.from_tables(table).coded("event")
    assert coded.values.tolist() == [1.0, 0.0]
    with pytest.raises(OptionError, match=r"values 'votes' are unknown\. Use rating or event"):
        Dataset.from_tables(table).coded("votes")  # type: ignore[arg-type]


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
