"""Interactions as arrays: people and items numbered, one value each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.entities import EVENT, ITEM, NEGATIVE_EVENTS, POSITIVE_EVENTS, RATING, TIMESTAMP, USER
from palate.errors.checks import one_of


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Interactions as arrays over N rows, at most one for a user and an item.

    Attributes:
        users, items: Positions in ``user_ids`` and ``item_ids``, int32, shape (N,).
        values: Ratings on the data's scale, or 1 and 0 for events people meant well and ill, shape (N,).
        timestamps: Seconds since the epoch, NaN where unknown, shape (N,).
        user_ids: The users of the interactions, sorted as text.
        item_ids: The items of the ``items`` table and of the interactions, sorted as text.
        duplicates: How many rows gave way to a later one of the same user and item.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float64]
    timestamps: NDArray[np.float64]
    user_ids: list[str]
    item_ids: list[str]
    duplicates: int = 0


def code(interactions: pl.DataFrame, items: pl.DataFrame, values: Literal["rating", "event"] = "rating") -> Coded:
    """Number users and items and keep the last value of each pair.

    "Last" is by timestamp; rows without one come before all others; ties keep the order of the table. Rows without a
    value are left out (their users keep a number). The kept rows stand in the order of the table.

    Args:
        values: ``rating``, or ``event``: 1 for an event in POSITIVE_EVENTS, 0 for one in NEGATIVE_EVENTS; other
            events have no value.
    """
    user_ids = interactions[USER].unique().sort()
    item_ids = pl.concat([interactions[ITEM].unique(), items[ITEM]]).unique().sort()
    rows = interactions.lazy().select(
        pl.col(USER).cast(pl.Enum(user_ids)).to_physical().cast(pl.Int32),
        pl.col(ITEM).cast(pl.Enum(item_ids)).to_physical().cast(pl.Int32),
        _value(values).alias("value"),
        pl.col(TIMESTAMP).fill_null(float("nan")),
    )
    frame = rows.filter(pl.col("value").is_not_null()).collect()
    users, coded_items, kept, times = (frame[name].to_numpy() for name in (USER, ITEM, "value", TIMESTAMP))
    last = _last_of_pairs(users, coded_items, times, len(item_ids))
    if last is not None:
        users, coded_items, kept, times = users[last], coded_items[last], kept[last], times[last]
    return Coded(
        users, coded_items, kept, times, user_ids.to_list(), item_ids.to_list(), duplicates=frame.height - len(users)
    )


def _value(values: str) -> pl.Expr:
    if one_of(values, (RATING, EVENT), "values") == RATING:
        return pl.col(RATING)
    event = pl.col(EVENT)
    good, ill = event.is_in(list(POSITIVE_EVENTS)), event.is_in(list(NEGATIVE_EVENTS))
    return pl.when(good).then(1.0).when(ill).then(0.0)


def _last_of_pairs(
    users: NDArray[np.int32], items: NDArray[np.int32], times: NDArray[np.float64], n_items: int
) -> NDArray[np.int64] | None:
    """Rows to keep, in order, or None if no pair is repeated."""
    pairs = users.astype(np.int64) * n_items + items
    repeated = np.flatnonzero(pl.Series(pairs).is_duplicated().to_numpy())
    if not len(repeated):
        return None
    order = repeated[np.lexsort((np.nan_to_num(times[repeated], nan=-np.inf), pairs[repeated]))]
    keep = np.ones(len(pairs), dtype=np.bool_)
    keep[order[:-1][pairs[order[1:]] == pairs[order[:-1]]]] = False
    return np.flatnonzero(keep)
