"""Popularity of late between fits: what a refit would find, as far as as much is heard as before."""

from __future__ import annotations

import numpy as np
import pytest

from palate.encoders.histories.history import Log
from palate.loop.company import Company
from palate.ranking.experts.levels import DAY, lately, popularity
from palate.ranking.recent import Now, Recent, units

N, HALF_LIFE, RATE = 12, 5.0, 400  # items; days; people a day


def log(first: int, end: int, chances: np.ndarray, rng: np.random.Generator) -> Log:
    days = rng.uniform(first, end, RATE * (end - first)) * DAY
    items = rng.choice(N, len(days), p=chances)
    n = len(days)
    return Log(np.arange(n), items, np.ones(n), np.sort(days), np.zeros(n, dtype=np.int64))


def both(one: Log, other: Log) -> Log:
    parts = zip(
        (one.users, one.items, one.liking, one.timestamps, one.kinds),
        (other.users, other.items, other.liking, other.timestamps, other.kinds),
        strict=True,
    )
    return Log(*(np.concatenate(pair) for pair in parts))


def levels(rng: np.random.Generator, days: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of late as it goes on from a fit after 60 days, as a refit finds it, and as the fit left it; tastes turn then."""
    before = log(0, 60, np.arange(1, N + 1) / 78.0, rng)
    since = log(60, 60 + days, np.arange(N, 0, -1) / 78.0, rng)
    fitted = lately(before, N, HALF_LIFE)
    recent = Recent.of(popularity(before, N), fitted, HALF_LIFE, float(before.timestamps.max()))
    company = Company()
    for item, at in zip(since.items.tolist(), since.timestamps.tolist(), strict=True):
        company = company.moved(frozenset(), {}, {item: recent.step(at)})
    told = company.since
    gone = recent.level(fitted.astype(np.float32), told.items, told.people, told.late, told.now, N)
    return gone, lately(both(before, since), N, HALF_LIFE), fitted


def shares(level: np.ndarray) -> np.ndarray:
    level = np.exp(level - level.max())
    return np.asarray(level / level.sum())


@pytest.mark.parametrize("days", [2, 15])
def test_between_fits_popularity_of_late_is_what_a_refit_finds(days: int) -> None:
    gone, refitted, fitted = levels(np.random.default_rng(0), days)
    np.testing.assert_allclose(shares(gone), shares(refitted), rtol=0.06)
    assert np.abs(shares(fitted) / shares(refitted) - 1.0).max() > 0.2  # the control: the fit knows nothing of it


def test_one_click_after_years_of_silence_is_no_new_fashion() -> None:
    before = log(0, 60, np.arange(1, N + 1) / 78.0, np.random.default_rng(0))
    fitted = lately(before, N, HALF_LIFE)
    recent = Recent.of(popularity(before, N), fitted, HALF_LIFE, float(before.timestamps.max()))
    told = Company().moved(frozenset(), {}, {0: recent.step(recent.last + 4_000 * DAY)}).since
    level = recent.level(fitted.astype(np.float32), told.items, told.people, told.late, told.now, N)
    np.testing.assert_allclose(shares(level), shares(fitted), atol=0.01)


def test_people_add_up_in_any_order_and_leave_no_trace() -> None:
    rng = np.random.default_rng(1)
    told = [
        (int(item), int(step)) for item, step in zip(rng.integers(0, 4, 30), rng.integers(-200, 900, 30), strict=True)
    ]
    found = Company()
    for item, step in told:
        found = found.moved(frozenset({9}), {}, {item: max(step, -160)})
    other = Company()
    for item, step in reversed(told):
        other = other.moved(frozenset({9}), {}, {item: max(step, -160)})
    assert found.late == other.late and found.since.now == other.since.now
    for item, step in told:
        found = found.moved(frozenset({9}), {item: max(step, -160)}, {})
    assert not any(found.late.values()) and not len(found.since.items) and found.since.now == Now()


def test_who_met_it_in_the_fit_counts_anew_among_those_of_late_alone() -> None:
    since = Company().moved(frozenset({3}), {}, {3: 8}).since
    assert since.items.tolist() == [3] and since.people.tolist() == [0.0] and since.late.tolist() == [1.0]
    assert units(8) == 2 * units(0)
