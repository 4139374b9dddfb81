"""Timestamps, however they were written, as seconds since the epoch in UTC.

Numbers are seconds; from 1e11 on they are taken for milliseconds, from 1e14 for microseconds and from 1e17 for
nanoseconds (1e11 seconds is the year 5138, 1e11 milliseconds the year 1973). Text is a number, ISO 8601, or a date with
dots, whose day stands first everywhere (``4.5.2026 18:30``; of ``4/5/2026`` nobody knows). Without a zone it is UTC. A
leap second (``23:59:60``) is the first second after it. Anything before 1970 or from the year 2200 on is a reject. A
time that is ahead of the clock is kept as it is claimed (:func:`not_ahead` says how a fit takes it).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from palate.arrays import Array

DAY = 86_400.0
LATEST = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
_ENOUGH = 100  # times of which one may be told apart from the others
_LEAP = re.compile(r"(?<=\d\d:\d\d):60(?=\D|$)")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:,? +(\d{1,2}:\d\d(?::\d\d)?))?")


def parse_moment(text: str) -> float | None:
    """Seconds since the epoch of one text in ISO 8601 or with dots, None if it is neither.

    >>> parse_moment("1970-01-01T00:01:00"), parse_moment("2016-12-31T23:59:60Z"), parse_moment("yesterday")
    (60.0, 1483228800.0, None)
    >>> parse_moment("2.1.1970"), parse_moment("01.01.1970 0:01"), parse_moment("31.2.1970")
    (86400.0, 60.0, None)
    """
    if dotted := _DOTTED.fullmatch(text.strip()):
        day, month, year, clock = dotted.groups("0:00")
        text = f"{year}-{month:0>2}-{day:0>2}T{clock:0>{5 + 3 * (clock.count(':') - 1)}}"
    whole, leap = _LEAP.subn(":59", text.strip())
    try:
        moment = datetime.fromisoformat(whole)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment + timedelta(seconds=leap)).timestamp()
    except (ValueError, OverflowError):
        return None


def seconds_from_numbers(values: pl.Series) -> pl.Series:
    """Seconds from numbers in seconds, milli-, micro- or nanoseconds, told apart by size."""
    size = pl.col(values.name).abs()
    unit = pl.when(size < 1e11).then(1.0).when(size < 1e14).then(1e3).when(size < 1e17).then(1e6).otherwise(1e9)
    return values.cast(pl.Float64).to_frame().select(pl.col(values.name) / unit).to_series()


def seconds_from_text(values: pl.Series, pattern: str | None = None) -> pl.Series:
    """Seconds from text; null where it is empty or cannot be read.

    Args:
        pattern: A strptime pattern, for formats that document one instead of ISO 8601.
    """
    if pattern:
        moments = values.str.strip_chars().str.to_datetime(pattern, strict=False, time_zone="UTC")
        return moments.dt.epoch("us") / 1e6
    stripped = values.str.strip_chars()
    seconds = seconds_from_numbers(stripped.cast(pl.Float64, strict=False))
    rest = stripped.filter(seconds.is_null() & (stripped.str.len_bytes() > 0)).unique()
    if not len(rest):
        return seconds
    parsed = pl.Series([parse_moment(text) for text in rest], dtype=pl.Float64)
    return stripped.replace_strict(rest, parsed, default=seconds, return_dtype=pl.Float64)


def seconds_of(values: pl.Series) -> pl.Series:
    """Seconds from a column of any type that can hold times; null where there is none."""
    if values.dtype == pl.String:
        return seconds_from_text(values)
    if values.dtype == pl.Date:
        values = values.cast(pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.epoch("us") / 1e6
    return seconds_from_numbers(values)


def seconds_in(text: str) -> float | None:
    """Seconds from one text, None if it is no time that data may have.

    >>> seconds_in("1700000000"), seconds_in("1970-01-02"), seconds_in("soon"), seconds_in("-1")
    (1700000000.0, 86400.0, None, None)
    """
    found = seconds_from_text(pl.Series([text]))
    return None if found.is_null()[0] or impossible(found)[0] else float(found[0])


def impossible(seconds: pl.Series) -> pl.Series:
    """Which times are not finite, before 1970 or from the year 2200 on; shape (N,), nulls are possible."""
    data = seconds.to_numpy()
    return pl.Series(~((data >= 0) & (data < LATEST)) & seconds.is_not_null().to_numpy())


def not_ahead(seconds: Array) -> Array:
    """Times as a log can have them: what lies far ahead of all others counts as of the newest of these, (N,).

    Far is ahead of 99 % of the times by more than the time between the first and the last hundredth of them, and by a
    day. One wrong clock would else make everything that people did look years old. Of fewer than 100 times all are
    taken as they are, and so is NaN.
    """
    known = np.sort(seconds[np.isfinite(seconds)])
    if len(known) < _ENOUGH:
        return seconds
    first, last = (float(known[int(share * (len(known) - 1))]) for share in (0.01, 0.99))
    most = last + max(last - first, DAY)
    return np.where(seconds > most, known[known <= most][-1], seconds) if known[-1] > most else seconds


def now() -> float:
    """Seconds since the epoch."""
    return datetime.now(UTC).timestamp()


def iso(seconds: float) -> str:
    """ISO 8601 in UTC with whole seconds."""
    return datetime.fromtimestamp(float(np.floor(seconds)), UTC).isoformat()
