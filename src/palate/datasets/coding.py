"""Interactions as arrays: people and items numbered, one value each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.entities import EVENT, ITEM, RATING, TIMESTAMP, USER, WEIGHT
from palate.errors.checks import one_of
from palate.vocabulary import NO_NAME, STANDARD, Vocabulary

LIKING = "liking told"  # of interactions: what an event said of liking, where it was told and not in the data


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Interactions as arrays over N rows, at most one for a user and an item.

    Attributes:
        users, items: Positions in ``user_ids`` and ``item_ids``, int32, shape (N,).
        values: Ratings on the data's scale, or of events their sign times their weight, in [-1, 1], shape (N,).
        timestamps: Seconds since the epoch, NaN where unknown, shape (N,).
        user_ids: The users of the interactions, sorted as text.
        item_ids: The items of the ``items`` table and of the interactions, sorted as text.
        duplicates: How many rows gave way to another one of the same user and item.
        words: Of events the position of each in ``names``, shape (N,); None of ratings.
        names: The words of events that there are.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float64]
    timestamps: NDArray[np.float64]
    user_ids: list[str]
    item_ids: list[str]
    duplicates: int = 0
    words: NDArray[np.int32] | None = None
    names: tuple[str, ...] = ()

    def strengths(self, vocabulary: Vocabulary) -> NDArray[np.float64]:
        """Values of events times the strengths of their words, in [-1, 1], shape (N,)."""
        by_word = np.array([vocabulary.strength(name) for name in self.names])
        return self.values if self.words is None else self.values * by_word[self.words]


def code(
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    values: Literal["rating", "event"] = "rating",
    vocabulary: Vocabulary = STANDARD,
) -> Coded:
    """Number users and items and keep one value of each pair: the last rating, or the strongest event.

    Of equally strong events the last counts. "Last" is by timestamp; rows without one come before all others; ties keep
    the order of the table. Rows without a value, such as impressions, are left out (their users keep a number). The
    kept rows stand in the order of the table.

    Args:
        values: ``rating``, or ``event``: of a row without an event's name it is a nameless one, meant well.
        vocabulary: What events mean.
    Raises:
        DataError: If an event is unknown.
    """
    one_of(values, (RATING, EVENT), "values")
    names: list[str] = []
    if values == EVENT:
        names = check_words(interactions, vocabulary)
    user_ids = interactions[USER].unique().sort()
    item_ids = pl.concat([interactions[ITEM].unique(), items[ITEM]]).unique().sort()
    rows = interactions.lazy().select(
        pl.col(USER).cast(pl.Enum(user_ids)).to_physical().cast(pl.Int32),
        pl.col(ITEM).cast(pl.Enum(item_ids)).to_physical().cast(pl.Int32),
        (pl.col(RATING) if values == RATING else signed_weight(interactions, vocabulary)).alias("value"),
        (pl.lit(0.0) if values == RATING else documented_strength(vocabulary)).alias("strength"),
        (pl.lit(0) if values == RATING else _of_words(dict(zip(names, range(len(names)), strict=True)))).alias("word"),
        pl.col(TIMESTAMP).fill_null(float("nan")),
    )
    frame = rows.filter(pl.col("value").is_not_null()).collect()
    users, coded_items, times = (frame[name].to_numpy() for name in (USER, ITEM, TIMESTAMP))
    strength = frame["strength"].to_numpy() * np.abs(frame["value"].to_numpy())
    last = last_of_pairs(users, coded_items, times, strength, len(item_ids))
    frame = frame if last is None else frame[last]
    return Coded(
        frame[USER].to_numpy(),
        frame[ITEM].to_numpy(),
        frame["value"].to_numpy(),
        frame[TIMESTAMP].to_numpy(),
        user_ids.to_list(),
        item_ids.to_list(),
        duplicates=len(users) - frame.height,
        words=None if values == RATING else frame["word"].cast(pl.Int32).to_numpy(),
        names=tuple(names),
    )


def check_words(interactions: pl.DataFrame, vocabulary: Vocabulary) -> list[str]:
    """The events there are, most frequent first, the nameless one last.

    Raises:
        DataError: If one is unknown; the message lists all such with their counts.
    """
    tally = interactions[EVENT].drop_nulls().value_counts(sort=True)
    vocabulary.check(dict(zip(tally[EVENT], tally["count"], strict=True)))
    return [*filter(None, tally[EVENT]), NO_NAME]


def _of_words(numbers: Mapping[str, float]) -> pl.Expr:
    """The number of each row's event."""
    return pl.col(EVENT).fill_null(NO_NAME).replace_strict(list(numbers), list(numbers.values()), default=None)


def documented_strength(vocabulary: Vocabulary) -> pl.Expr:
    """How strong an event is before anything is learnt: what decides which of a pair's events counts."""
    return _of_words({name: word.strength for name, word in vocabulary.words.items()})


def signed_weight(interactions: pl.DataFrame, vocabulary: Vocabulary) -> pl.Expr:
    """Sign times weight, the weight at most 1, or what an event said of liking itself; null where that is nothing."""
    signed = _of_words({name: float(word.sign) for name, word in vocabulary.words.items()})
    if WEIGHT in interactions.columns:
        signed = signed * pl.col(WEIGHT).fill_null(1.0).clip(upper_bound=1.0)
    if LIKING in interactions.columns:
        signed = pl.coalesce(pl.col(LIKING), signed)
    return pl.when(signed != 0.0).then(signed)


def last_of_pairs(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    times: NDArray[np.float64],
    strength: NDArray[np.float64],
    n_items: int,
) -> NDArray[np.int64] | None:
    """Of each pair of user and item the strongest row, of equally strong ones the last; (N,) arrays.

    Returns:
        Rows to keep, in order, or None if no pair is repeated.
    """
    pairs = users.astype(np.int64) * n_items + items
    repeated = np.flatnonzero(pl.Series(pairs).is_duplicated().to_numpy())
    if not len(repeated):
        return None
    of_equal = np.nan_to_num(times[repeated], nan=-np.inf)
    order = repeated[np.lexsort((of_equal, strength[repeated], pairs[repeated]))]
    keep = np.ones(len(pairs), dtype=np.bool_)
    keep[order[:-1][pairs[order[1:]] == pairs[order[:-1]]]] = False
    return np.flatnonzero(keep)
