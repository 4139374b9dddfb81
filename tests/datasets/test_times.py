from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.datasets.times import DAY, iso, not_ahead, parse_moment, seconds_of

NEW_YEAR = 1_483_228_800.0  # 2017-01-01


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2017-01-01", NEW_YEAR),
        ("2017-01-01T00:00:00", NEW_YEAR),
        ("2017-01-01 00:00:00Z", NEW_YEAR),
        ("2017-01-01T02:00:00+02:00", NEW_YEAR),
        ("2016-12-31T23:59:60Z", NEW_YEAR),
        ("2016-12-31 23:59:60", NEW_YEAR),
        ("2019-11-24 00:03:13.442536+00:00", 1_574_553_793.442536),
        ("1483228800", NEW_YEAR),
        (" 1483228800000 ", NEW_YEAR),
        ("1.4832288e9", NEW_YEAR),
        ("2017-13-01", None),
        ("12:00:61", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_text(written: str, seconds: float | None) -> None:
    assert seconds_of(pl.Series([written])).to_list() == [seconds]


def test_both_sides_of_a_clock_change_stay_apart() -> None:
    fold = pl.Series(["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"])
    first, second = seconds_of(fold)
    assert second - first == 3600


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_units_are_told_apart_by_size(unit: int) -> None:
    assert seconds_of(pl.Series([int(NEW_YEAR) * unit])).to_list() == [NEW_YEAR]


@pytest.mark.parametrize("kind", [pl.Datetime("ms"), pl.Datetime("us", "Europe/Berlin"), pl.Datetime("ns")])
def test_datetimes(kind: pl.DataType) -> None:
    moments = pl.Series([datetime(2017, 1, 1, tzinfo=UTC)]).dt.replace_time_zone(None)
    zone = getattr(kind, "time_zone", None)
    moments = moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else moments.cast(kind)
    assert seconds_of(moments).to_list() == [NEW_YEAR]
    assert seconds_of(moments.dt.date()).to_list() == [NEW_YEAR]


@given(st.datetimes(datetime(1970, 1, 1), datetime(2199, 1, 1), timezones=st.timezones()))
def test_every_moment_comes_back(moment: datetime) -> None:
    assert parse_moment(moment.isoformat()) == pytest.approx(moment.timestamp(), abs=1e-5)


def test_iso() -> None:
    assert iso(NEW_YEAR + 0.9) == "2017-01-01T00:00:00+00:00"


def test_a_time_far_ahead_counts_as_of_the_newest_of_the_others() -> None:
    times = NEW_YEAR + DAY * np.arange(200.0)
    wrong = times.copy()
    wrong[[3, 7]] = 4_102_444_800.0, np.nan  # 2100, and unknown
    np.testing.assert_array_equal(not_ahead(wrong)[[3, 7]], [times[-1], np.nan])
    kept = np.delete(np.arange(200), [3, 7])
    np.testing.assert_array_equal(not_ahead(wrong)[kept], times[kept])


def test_a_log_that_goes_on_for_long_is_as_it_is() -> None:
    times = np.append(NEW_YEAR + DAY * np.arange(200.0), NEW_YEAR + DAY * 390.0)
    assert not_ahead(times) is times
    few = np.array([NEW_YEAR, NEW_YEAR + 1.0, 4_102_444_800.0])
    assert not_ahead(few) is few


@pytest.mark.parametrize("text", ["01.01.2017", "1.1.2017 0:00", "01.01.2017, 00:00:00", " 1.01.2017 "])
def test_a_date_with_dots_has_the_day_first(text: str) -> None:
    assert seconds_of(pl.Series([text])).to_list() == [NEW_YEAR]
    assert seconds_of(pl.Series(["2.1.2017"])).to_list() == [NEW_YEAR + 86_400]


@pytest.mark.parametrize("text", ["1/1/2017", "31.2.2017", "1.1.17", "1.1.2017 24:30", "1.1.2017 noon"])
def test_what_may_be_another_day_is_none(text: str) -> None:
    assert seconds_of(pl.Series([text])).to_list() == [None]
