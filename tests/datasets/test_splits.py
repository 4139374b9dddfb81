from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from palate.datasets import Dataset, Split
from palate.datasets import splits as s
from palate.errors import DataError, OptionError

SEED = 3


def generator() -> np.random.Generator:
    return np.random.default_rng(SEED)


def data_of(rows: list[tuple[int, int, int | None]]) -> Dataset:
    table = pl.DataFrame(
        rows, schema={"user_id": pl.Int64, "item_id": pl.Int64, "timestamp": pl.Int64}, orient="row"
    ).with_row_index("row")
    return Dataset.from_tables(table)


def parts(split: Split) -> list[pl.DataFrame]:
    return [part.interactions for part in (split.train, split.validation, split.test) if part is not None]


def pairs(frame: pl.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["user_id"], frame["item_id"], strict=True))


SPLITS: dict[str, Callable[[Dataset], Split]] = {
    "global_time": s.global_time,
    "leave_last_out": lambda data: s.leave_last_out(data, rng=np.random.default_rng(0)),
    "leave_last_two_out": lambda data: s.leave_last_out(data, n=2, rng=np.random.default_rng(0)),
    "random": lambda data: s.random_split(data, rng=generator()),
    "stratified_user": lambda data: s.stratified(data, by="user", rng=generator()),
    "stratified_item": lambda data: s.stratified(data, by="item", rng=generator()),
    "new_users": lambda data: s.new_users(data, rng=generator()),
    "new_items": lambda data: s.new_items(data, rng=generator()),
}
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.none() | st.integers(0, 9)), min_size=1, max_size=40)


def split_or_skip(split: Callable[[Dataset], Split], data: Dataset) -> Split:
    try:
        return split(data)
    except DataError:
        assume(False)
        raise


@pytest.mark.parametrize("name", SPLITS)
@given(rows=ROWS)
def test_no_pair_is_in_two_parts_and_no_row_is_lost(name: str, rows: list[tuple[int, int, int | None]]) -> None:
    data = data_of(rows)
    found = parts(split_or_skip(SPLITS[name], data))
    for place, part in enumerate(found):
        for other in found[place + 1 :]:
            assert not pairs(part) & pairs(other)
    assert pl.concat(found).sort("row").equals(data.interactions)


@given(rows=ROWS)
def test_training_ends_before_every_tested_pair_does(rows: list[tuple[int, int, int | None]]) -> None:
    split = split_or_skip(s.global_time, data_of(rows))
    last = split.test.interactions.group_by("user_id", "item_id").agg(pl.col("timestamp").max())["timestamp"].min()
    trained = split.train.interactions["timestamp"].max()
    assert last is not None
    assert trained is None or trained < last  # type: ignore[operator]


@given(rows=ROWS)
def test_the_left_out_are_the_last_of_their_user(rows: list[tuple[int, int, int | None]]) -> None:
    split = s.leave_last_out(data_of(rows), rng=np.random.default_rng(0))
    for (user,), tested in split.test.interactions.group_by("user_id"):
        trained = split.train.interactions.filter(pl.col("user_id") == user)
        assert tested["item_id"].n_unique() == 1
        assert trained.height > 0
        latest = tested["timestamp"].max()
        if latest is not None and (before := trained["timestamp"].max()) is not None:
            assert before <= latest  # type: ignore[operator]


@given(rows=ROWS)
def test_new_users_and_new_items_are_unknown_to_training(rows: list[tuple[int, int, int | None]]) -> None:
    for column, name in (("user_id", "new_users"), ("item_id", "new_items")):
        split = split_or_skip(SPLITS[name], data_of(rows))
        train, test = (set(part[column]) for part in parts(split))
        assert train
        assert test
        assert not train & test


def test_equal_times_fall_back_to_the_order_of_rows_and_absent_ones_come_first() -> None:
    equal = s.leave_last_out(data_of([(1, 5, 7), (1, 4, 7), (1, 3, 7)]))
    mixed = s.leave_last_out(data_of([(1, 5, 7), (1, 4, None)]))
    assert equal.test.interactions["item_id"].to_list() == ["3"]
    assert mixed.test.interactions["item_id"].to_list() == ["5"]


def test_without_times_the_last_is_drawn_never_that_of_the_table() -> None:
    undated = data_of([(user, item, None) for user in range(40) for item in range(5)])
    with pytest.raises(DataError, match=r"has no timestamps, so nothing says which item is a user's last. Split at"):
        s.leave_last_out(undated)
    left = s.leave_last_out(undated, rng=np.random.default_rng(0)).test.interactions["item_id"]
    assert len(left) == 40 and left.n_unique() == 5
    equal = data_of([(user, item, 7) for user in range(40) for item in range(5)])
    assert s.leave_last_out(equal, rng=np.random.default_rng(0)).test.interactions["item_id"].n_unique() == 5


def test_a_user_of_one_item_is_trained_on() -> None:
    split = s.leave_last_out(data_of([(1, 1, 1), (1, 1, 2), (2, 1, 1), (2, 2, 2)]))
    assert pairs(split.test.interactions) == {("2", "2")}


def test_shares_are_met() -> None:
    data = data_of([(user, item, user * 20 + item) for user in range(20) for item in range(20)])
    assert [part.height for part in parts(s.random_split(data, rng=generator()))] == [320, 40, 40]
    assert [part.height for part in parts(s.global_time(data))] == [320, 80]
    assert [part["user_id"].n_unique() for part in parts(s.new_users(data, rng=generator()))] == [15, 5]
    assert [part["item_id"].n_unique() for part in parts(s.new_items(data, rng=generator()))] == [16, 4]
    for by in ("user_id", "item_id"):
        split = s.stratified(data, by=by.removesuffix("_id"), rng=generator())  # type: ignore[arg-type]
        assert split.train.interactions.group_by(by).len()["len"].to_list() == [15] * 20


def test_random_splits_depend_on_rng_and_not_on_the_order_of_rows() -> None:
    rows: list[tuple[int, int, int | None]] = [(user, item, 0) for user in range(9) for item in range(9)]
    forward, backward = data_of(rows), data_of(rows[::-1])
    for name in ("random", "stratified_user", "stratified_item", "new_users", "new_items"):
        split = SPLITS[name]
        assert pairs(parts(split(forward))[-1]) == pairs(parts(split(backward))[-1])
    other = s.random_split(forward, rng=np.random.default_rng(SEED + 1))
    assert pairs(parts(other)[-1]) != pairs(parts(SPLITS["random"](forward))[-1])


def test_what_cannot_be_split_says_so() -> None:
    with pytest.raises(
        DataError, match=r"tables has no timestamps, so it cannot be split in time. Split at random: --split random."
    ):
        s.global_time(data_of([(1, 1, None), (2, 1, None)]))
    with pytest.raises(DataError, match=r"all rows of tables have one timestamp, so none is before another."):
        s.global_time(data_of([(1, 1, 5), (2, 1, 5)]))
    with pytest.raises(DataError, match=r"tables has 1 user_id in its interactions; a split by user_id needs two."):
        s.new_users(data_of([(1, 1, 1), (1, 2, 1)]), rng=generator())
    with pytest.raises(OptionError, match=r"test_share is 1. Give a share between 0 and 1."):
        s.global_time(data_of([(1, 1, 5)]), test_share=1)
    with pytest.raises(OptionError, match=r"the shares \(0.5, 0.1, 0.1\) do not add up to 1."):
        s.random_split(data_of([(1, 1, 5)]), shares=(0.5, 0.1, 0.1), rng=generator())
    with pytest.raises(OptionError, match=r"n is 0. Leave out one item or more."):
        s.leave_last_out(data_of([(1, 1, 5)]), n=0)
    with pytest.raises(OptionError, match=r"by is 'row'."):
        s.stratified(data_of([(1, 1, 5)]), by="row", rng=generator())  # type: ignore[arg-type]
