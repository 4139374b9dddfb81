from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palate.ranking.experts.levels import lately
from palate.ranking.fit_list import log_of
from palate.ranking.held_back import BACK, Met, known_people, new_people


def a_log(users: int, items: int, each: int, *, dated: bool, seed: int = 0) -> Met:
    """Everybody meets as many items, by popularity; people come one after the other."""
    rng = np.random.default_rng(seed)
    chance = 1.0 / np.arange(1, items + 1)
    met = np.concatenate([rng.choice(items, each, replace=False, p=chance / chance.sum()) for _ in range(users)])
    rows = np.repeat(np.arange(users), each)
    times = np.arange(len(rows)) * 3600.0 if dated else np.full(len(rows), np.nan)
    return Met.of(rows, met, np.ones(len(rows), bool), np.ones(len(rows)), times, (users, items))


def test_of_a_pair_that_repeats_the_last_row_counts() -> None:
    met = Met.of(
        np.array([0, 0, 0, 1]), np.array([2, 1, 2, 2]), np.array([True, True, False, True]),
        np.array([5.0, 4.0, 1.0, 3.0]), np.array([10.0, 20.0, 30.0, 5.0]), (2, 3),
    )  # fmt: skip
    assert met.items.tolist() == [1, 2, 2]
    assert met.values.tolist() == [4.0, 1.0, 3.0]
    assert met.liked.tolist() == [True, False, True]
    assert met.histories.of_person(0).tolist() == [1, 2]


def test_one_wrong_clock_makes_nobody_old() -> None:
    met = a_log(100, 40, 5, dated=True)
    times = met.timestamps.copy()
    times[7] = 4_102_444_800.0  # 2100
    rows = (met.users, met.items, met.liked, met.values)
    again = Met.of(*rows, times, (100, 40))
    assert again.timestamps.max() == met.timestamps.max()
    fading, right = (lately(log_of(one), 40, 1.0) for one in (again, met))
    assert np.abs(fading - right).max() < np.log(3.0)  # one click moved to the end, and no more


def test_rows_without_a_time_are_old_unless_most_have_none() -> None:
    met = a_log(100, 40, 5, dated=True)
    rows = (met.users, met.items, met.liked, met.values)
    for missing, dated in ((200, True), (300, False)):
        again = Met.of(*rows, np.where(np.arange(500) < missing, np.nan, met.timestamps), (100, 40))
        assert again.is_dated == dated
        assert np.nanmin(again.timestamps) == met.timestamps[missing]


@pytest.mark.parametrize("dated", [True, False])
def test_who_is_held_back_is_in_no_count(dated: bool) -> None:
    met = a_log(200, 60, 8, dated=dated)
    for task in new_people(met, np.random.default_rng(0)):
        counted = np.bincount(task.counted.items, minlength=60)
        # each case is of somebody of whom nothing is counted: nobody there has more than the others met
        people = np.setdiff1d(np.arange(200), task.counted.users)
        assert len(people) * 8 + len(task.counted) <= len(met)
        assert (counted[task.later.items] > 0).all()
        assert not set(task.counted.users.tolist()) & set(people.tolist())


def test_late_comers_are_counted_against_what_was_before_they_came() -> None:
    met = a_log(300, 40, 6, dated=True)
    tasks = new_people(met, np.random.default_rng(0))
    assert len(tasks) == 3
    for task in tasks:
        assert len(task.counted) < len(met)
        assert task.weights.sum() == pytest.approx(1.0)
        for n in (0, 1, 3):
            of_size = task.histories.sizes == n
            assert task.weights[of_size].sum() == pytest.approx(1.0 / len(np.unique(task.histories.sizes)))


def test_known_people_keep_what_is_not_hidden() -> None:
    met = a_log(100, 40, 10, dated=False)
    for task in known_people(met, np.random.default_rng(0)):
        hidden = len(met) - len(task.counted)
        assert 0.1 < hidden / len(met) < 0.3
        rows = task.histories.matrix() + task.later.matrix()
        assert rows.max() == 1.0  # what is hidden is in no history


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (2, 5)])
def test_too_few_people_give_no_case_or_few(shape: tuple[int, int]) -> None:
    met = a_log(*shape, 1, dated=False)
    assert sum(len(task.weights) for task in new_people(met, np.random.default_rng(0))) <= 2
    assert sum(len(task.weights) for task in known_people(met, np.random.default_rng(0))) <= 4


@pytest.mark.parametrize("time", [np.nan, 7.0])
def test_the_order_of_a_table_counts_where_times_are_equal_and_says_nothing_without(time: float) -> None:
    rows = np.repeat(np.arange(300), 5)
    met = Met.of(rows, np.tile(np.arange(5), 300), np.ones(1500, bool), np.ones(1500), np.full(1500, time), (300, 5))
    first = set()
    for task in new_people(met, np.random.default_rng(0)):
        histories = task.histories
        first.update(histories.items[histories.start[:-1][histories.sizes == 1]].tolist())
    assert first == ({0} if np.isfinite(time) else {0, 1, 2, 3, 4})


def test_what_people_who_come_back_met_later_is_hidden_and_with_few_of_them_any_fifth() -> None:
    met = a_log(2 * BACK, 40, 12, dated=True)
    spread = replace(
        met, timestamps=np.random.default_rng(1).permutation(met.timestamps)
    )  # everybody comes all the time
    spread = Met.of(spread.users, spread.items, spread.liked, spread.values, spread.timestamps, (2 * BACK, 40))
    for cut, task in zip((0.65, 0.8), known_people(spread, np.random.default_rng(0)), strict=True):
        assert task.counted.timestamps.max() <= np.quantile(spread.timestamps, cut)
        assert len(task.counted) == pytest.approx(cut * len(spread), abs=2)
        assert len(task.histories) > 1.6 * BACK
    for task in known_people(met, np.random.default_rng(0)):  # one after the other: hardly anybody is there twice
        assert task.counted.timestamps.max() > np.quantile(met.timestamps, 0.99)
