"""What is done again: counts by hand, and weights learnt where it is known when an item is used up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palate.ranking.histories import Histories
from palate.ranking.repeats import Done, Repeats, features, fit_repeats

DAY = 86_400.0
MILK, LAMP, TEA = 0, 1, 2
NONE = np.zeros(0, dtype=np.intp)


def log(people: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Everybody comes every five days; milk is used up in ten, tea sometimes in fifteen, a lamp never."""
    rng, rows = np.random.default_rng(0), []
    for person in range(people):
        start = int(rng.integers(0, 30))
        for visit in range(int(rng.integers(3, 12))):
            day = start + 5 * visit
            rows += [(person, MILK, day)] * (visit % 2 == 0)
            rows += [(person, TEA, day)] * (visit % 3 == 0 and rng.random() < 0.6)
            rows += [(person, LAMP, day)] * (visit == 1)
            rows += [(person, int(rng.integers(3, 40)), day)]
    users, items, days = np.array(rows).T
    return users, items, days * DAY + 3600.0


@pytest.fixture(scope="module")
def fitted() -> Repeats:
    found = fit_repeats(*log(), (300, 40), act="purchase", least=1.0)
    assert found is not None
    return found


def odds(of: Repeats, items: list[int], days: list[int], today: int) -> dict[int, float]:
    times = np.array(days) * DAY + 60.0
    found, log_odds, _ = of.log_odds(None, np.array(items), times, today * DAY + 60.0)
    return dict(zip(found.tolist(), log_odds.tolist(), strict=True))


def test_counts_are_those_of_the_days() -> None:
    """Twice on one day is once; chances are the later days of the person, on whatever."""
    days = np.array([1.0, 1.0, 4.0, 9.0, 2.0, 4.0, 7.0])
    done = Done.of(replace(Histories.of([np.array([5, 5, 5, 5, 6, 7]), np.array([6])], 10), values=days))
    assert done.people.tolist() == [0, 0, 0, 1] and done.items.tolist() == [5, 6, 7, 6]
    assert done.count.tolist() == [3, 1, 1, 1]
    assert done.first.tolist() == [1, 2, 4, 7] and done.last.tolist() == [9, 2, 4, 7]
    assert done.chances.tolist() == [3, 2, 1, 0] and done.since.tolist() == [0, 2, 1, 0]
    assert done.rows.tolist() == [5, 1]


def test_what_is_used_up_comes_back_when_it_is(fitted: Repeats) -> None:
    after_one, after_ten = (odds(fitted, [MILK, LAMP], [0, 5], today) for today in (6, 10))
    assert after_ten[MILK] > after_ten[LAMP] + 2.0, "a lamp is bought once"
    assert after_ten[MILK] > after_one[MILK]
    assert fitted.habits.rate[MILK] > 0.4 > 0.2 > fitted.habits.rate[TEA] > 2 * fitted.habits.rate[LAMP]
    assert fitted.habits.gap[MILK] == pytest.approx(10.0, abs=1.0)


def test_what_was_done_often_comes_back_sooner_than_what_was_done_once(fitted: Repeats) -> None:
    found = odds(fitted, [TEA, TEA, TEA, 20, 9], [0, 15, 30, 30, 40], 45)
    assert found[TEA] > found[20] + 1.0


def test_so_much_is_done_again_as_was(fitted: Repeats) -> None:
    """At the weights learnt, the chances of what was done before have the sum of what was done again."""
    users, items, times = log()
    days = np.floor(times / DAY).astype(int)
    last = np.array([days[users == user].max() for user in range(300)])
    told, seen = 0.0, 0.0
    for user in range(300):
        own = users == user
        before, target = own & (days < last[user]), own & (days == last[user])
        found = odds(fitted, items[before].tolist(), days[before].tolist(), int(last[user]))
        total = sum(np.exp(list(found.values())))
        told += total / (1.0 + total)
        seen += np.mean(np.isin(np.unique(items[target]), items[before]))
    assert told == pytest.approx(seen, rel=0.05)


def test_a_newcomer_with_the_same_days_is_told_the_same(fitted: Repeats) -> None:
    users, items, times = log()
    of_fit = fitted.log_odds(7, NONE, np.zeros(0), 70 * DAY)
    of_new = fitted.log_odds(None, items[users == 7], times[users == 7], 70 * DAY)
    assert of_fit[0].tolist() == of_new[0].tolist() and np.array_equal(of_fit[1], of_new[1])


def test_a_time_that_is_not_known_is_today_and_an_item_after_the_fit_is_a_mean_one(fitted: Repeats) -> None:
    items, log_odds, count = fitted.log_odds(None, np.array([MILK, 55]), np.array([np.nan, 60 * DAY]), 60 * DAY)
    assert items.tolist() == [MILK, 55] and count.tolist() == [1, 1] and np.isfinite(log_odds).all()
    assert fitted.habits.take(np.array([55])).rate[0] == fitted.habits.rate.mean()


def test_who_is_left_out_leaves_the_others_as_they_were(fitted: Repeats) -> None:
    people = np.arange(300) != 3
    left = fitted.keeping(people)
    assert len(left.days) == 299
    for before, after in ((2, 2), (4, 3)):
        assert np.array_equal(
            fitted.log_odds(before, NONE, np.zeros(0), 70 * DAY)[1],
            left.log_odds(after, NONE, np.zeros(0), 70 * DAY)[1],
        )


def test_nothing_is_learnt_of_little_and_rows_without_a_time_do_not_count() -> None:
    users, items, times = log(30)
    assert fit_repeats(users, items, times, (30, 40), act="purchase", least=1.0) is None
    users, items, times = log()
    assert fit_repeats(users, items, np.full(len(times), np.nan), (300, 40), act="purchase", least=1.0) is None
    once = np.unique(users * 40 + items, return_index=True)[1]
    assert fit_repeats(users[once], items[once], times[once], (300, 40), act="purchase", least=1.0) is None


def test_features_are_finite_on_the_day_of_the_purchase_itself(fitted: Repeats) -> None:
    done = Done.of(replace(Histories.of([np.array([MILK])], 40), values=np.array([9.0])))
    assert np.isfinite(features(done, np.array([9]), fitted.habits)).all()
    assert np.isfinite(features(done, np.array([8]), fitted.habits)).all(), "a clock that goes wrong"
