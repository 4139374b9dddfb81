"""Checks and conversion of the columns that Palate knows, the same for every format.

Each check takes a column as it was read and gives it back in its one type, with a reason for every row at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from palate.datasets import times
from palate.datasets.files.raw import LINE, Piece, shorten
from palate.datasets.files.rejects import Reject
from palate.datasets.media import path_problem
from palate.entities import (
    AUDIO,
    CATEGORY,
    CATEGORY_SEPARATOR,
    EVENT,
    IMAGE,
    ITEM,
    RATING,
    SLATE,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER,
    WEIGHT,
)
from palate.entities.friends import FRIEND
from palate.errors import DataError, IdError
from palate.errors.checks import normalise_id

Check = Callable[[pl.Series], tuple[pl.Series, pl.Series | None]]

CELLS = (IMAGE, AUDIO)
LARGEST_RATING = 1e30  # a model folder keeps no larger number, and sums of squares stay finite
TIME_TYPES = (pl.Datetime, pl.Date, pl.Null)
# An id that normalise_id leaves as it is: printable ASCII without outer spaces. The common case, checked by machine.
PLAIN_ID = r"^[!-~](?:[ -~]{0,254}[!-~])?$"
# 3,5 as half of the world writes it. With three digits behind the comma it might be a thousand, and is no number.
DECIMAL_COMMA = r"^([+-]?\d+),(\d{1,2})$"


def check_id(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Ids as normal text (:func:`palate.entities.normalise_id`)."""
    if values.dtype.is_integer():
        return _required(values.cast(pl.String))
    if values.dtype != pl.String and not values.dtype.is_float() and values.dtype not in (pl.Boolean, pl.Null):
        raise _WrongType("Ids are text or whole numbers.")
    if values.dtype == pl.String and bool(values.str.contains(PLAIN_ID).all(ignore_nulls=False)):
        return values, None
    return _normalise(values)


def _required(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    missing = values.is_null()
    return values, _reasons(missing, lambda _: f"{values.name} is missing") if missing.any() else None


def _normalise(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    if values.dtype == pl.String:
        odd = values.filter(~values.str.contains(PLAIN_ID)).unique().drop_nulls()
    else:
        odd = values.unique().drop_nulls()
    normal: list[str | None] = []
    reasons: list[str | None] = []
    for value in odd:
        try:
            normal.append(normalise_id(value, values.name))
            reasons.append(None)
        except IdError as error:
            normal.append(None)
            reasons.append(str(error))
    fine = values if values.dtype == pl.String else pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
    ids = values.replace_strict(odd, pl.Series(normal, dtype=pl.String), default=fine, return_dtype=pl.String)
    problems = values.replace_strict(odd, pl.Series(reasons, dtype=pl.String), default=None, return_dtype=pl.String)
    missing = _reasons(values.is_null(), lambda _: f"{values.name} is missing")
    return ids.alias(values.name), problems.zip_with(values.is_not_null(), missing)


def check_rating(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Finite numbers below 1e30 in size, 3.5 or 3,5; empty cells are null, which means no rating."""
    if values.dtype.is_numeric():
        numbers, written = values.cast(pl.Float64), values.is_not_null()
    elif values.dtype == pl.String:
        stripped = values.str.strip_chars()
        numbers = stripped.str.replace(DECIMAL_COMMA, "$1.$2").cast(pl.Float64, strict=False)
        written = stripped.is_not_null() & (stripped.str.len_bytes() > 0)
    elif values.dtype.is_temporal() or values.dtype.is_nested():
        raise _WrongType("Give numbers.")
    else:
        numbers = pl.Series(values.name, [None], dtype=pl.Float64).new_from_index(0, len(values))
        written = values.is_not_null()
    bad = written & ~(numbers.abs() < LARGEST_RATING).fill_null(value=False)  # NaN is the largest of all to Polars
    if not bad.any():
        return numbers, None
    wrong, finite = values.filter(bad), numbers.filter(bad).is_finite().fill_null(value=False)
    fault = ("is not a finite number", f"is not below {LARGEST_RATING:g} in size")
    return numbers, _reasons(bad, lambda row: f"{values.name} {shorten(wrong[row])} {fault[finite[row]]}")


def check_time(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Seconds since the epoch, UTC (:mod:`palate.datasets.times`); empty cells are null."""
    if values.dtype != pl.String and not values.dtype.is_numeric() and values.dtype not in TIME_TYPES:
        raise _WrongType("Give seconds since the epoch or ISO 8601.")
    seconds = times.seconds_of(values).alias(values.name)
    written = values.is_not_null()
    if values.dtype == pl.String:
        written &= values.str.strip_chars().str.len_bytes() > 0
    values = values.to_physical() if values.dtype.is_temporal() else values  # Python has no dates before year 1
    unread = written & seconds.is_null()
    wrong = times.impossible(seconds)
    if not unread.any() and not wrong.any():
        return seconds, None
    unread_values, wrong_values = values.filter(unread), values.filter(wrong)
    form = "is no time; give seconds since the epoch, ISO 8601 (2026-05-04) or day.month.year (4.5.2026)"
    unread_reasons = _reasons(unread, lambda row: f"timestamp {shorten(unread_values[row])} {form}")
    wrong_reasons = _reasons(wrong, lambda row: f"timestamp {shorten(wrong_values[row])} is not between 1970 and 2200")
    return seconds, unread_reasons.zip_with(unread, wrong_reasons)


def check_event(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Words in their one form (:func:`palate.vocabulary.normal_word`); empty cells are null."""
    words = _as_text(values).str.strip_chars().str.to_lowercase().str.replace_all(r"[\s_]+", "-")
    return words.to_frame().select(pl.when(pl.col(words.name) != "").then(pl.col(words.name))).to_series(), None


def check_weight(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Finite numbers above 0; empty cells are null, which counts as 1."""
    numbers, reasons = check_rating(values.rename(WEIGHT))
    low = (numbers <= 0.0).fill_null(value=False)
    if reasons is None and not low.any():
        return numbers, None
    wrong = values.filter(low)
    too_low = _reasons(low, lambda row: f"weight {shorten(wrong[row])} is not above 0")
    return numbers, too_low if reasons is None else reasons.zip_with(reasons.is_not_null(), too_low)


def check_slate(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Ids of what was shown together, as text; empty cells are null."""
    ids = _as_text(values).str.strip_chars()
    return ids.to_frame().select(pl.when(pl.col(ids.name) != "").then(pl.col(ids.name))).to_series(), None


def check_text(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Text; empty where there is none."""
    return _as_text(values).fill_null(""), None


def check_path(folder: Path | None) -> Check:
    """Check of a column of paths; bytes are media themselves and pass."""

    def check(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
        if values.dtype in (pl.Binary, pl.Null):
            return values, None
        if values.dtype != pl.String:
            raise _WrongType("Give one path inside the data folder, or bytes.")
        reasons = [path_problem(value, folder) if value else None for value in values]
        if not any(reasons):
            return values, None
        problems = pl.Series(reasons, dtype=pl.String)
        return values.set(problems.is_not_null(), None), problems

    return check


def interaction_checks() -> Mapping[str, Check]:
    """The checks of an interactions table, by column."""
    return {
        USER: check_id,
        ITEM: check_id,
        RATING: check_rating,
        EVENT: check_event,
        TIMESTAMP: check_time,
        SLATE: check_slate,
        WEIGHT: check_weight,
    }


def item_checks(folder: Path | None) -> Mapping[str, Check]:
    """The checks of an items table, by column; paths are resolved in ``folder``."""
    path = check_path(folder)
    return {ITEM: check_id, TITLE: check_text, TEXT: check_text, CATEGORY: check_text, IMAGE: path, AUDIO: path}


def user_checks() -> Mapping[str, Check]:
    """The checks of a users table, by column."""
    return {USER: check_id}


def friend_checks() -> Mapping[str, Check]:
    """The checks of a table of who follows whom, by column."""
    return {USER: check_id, FRIEND: check_id}


def clean(piece: Piece, checks: Mapping[str, Check]) -> Piece:
    """The piece with its known columns converted and the rows at fault moved to its rejects (first fault of each).

    Of a path at fault only the cell is lost: an item is more than its picture.
    """
    frame, fine, rejects = piece.frame, pl.repeat(True, piece.frame.height, eager=True), [*piece.rejects]
    for name in filter(frame.columns.__contains__, checks):
        values, reasons = _checked(checks[name], _plain(frame[name]), piece.file)
        frame = frame.with_columns(values.alias(name))
        if reasons is None:
            continue
        at_fault, kept = fine & reasons.is_not_null(), " (the row is kept without it)" if name in CELLS else ""
        rows = zip(frame[LINE].filter(at_fault), reasons.filter(at_fault), strict=True)
        rejects += [Reject(piece.file, line, name, why + kept) for line, why in rows]
        fine = fine if name in CELLS else fine & reasons.is_null()
    return replace(piece, frame=frame.filter(fine), rejects=rejects)


class _WrongType(Exception):
    """A whole column of a type that its check has no use for; the message is the remedy."""


def _checked(check: Check, values: pl.Series, file: str) -> tuple[pl.Series, pl.Series | None]:
    try:
        return check(values)
    except (_WrongType, pl.exceptions.PolarsError) as error:
        remedy = str(error) if isinstance(error, _WrongType) else "Give text or numbers."
        raise DataError(f"the column {values.name} of {file} holds {values.dtype}. {remedy}") from None


def _plain(values: pl.Series) -> pl.Series:
    """Text written out, where a file packs it as codes of categories."""
    return values.cast(pl.String) if isinstance(values.dtype, (pl.Categorical, pl.Enum)) else values


def _as_text(values: pl.Series) -> pl.Series:
    """Text of any column; lists are joined with the category separator."""
    if isinstance(values.dtype, pl.List):
        return values.cast(pl.List(pl.String)).list.drop_nulls().list.join(CATEGORY_SEPARATOR)
    return values.cast(pl.String)


def _reasons(at_fault: pl.Series, reason: Callable[[int], str]) -> pl.Series:
    """Text where a row is at fault, else null; ``reason`` gets the position among the rows at fault."""
    places = at_fault.arg_true()
    empty = pl.Series([None], dtype=pl.String).new_from_index(0, len(at_fault))
    return empty.scatter(places, [reason(row) for row in range(len(places))])
