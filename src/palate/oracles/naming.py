"""What somebody names who is asked for one they like: six ways in which it may come to mind.

No data set has namings, so a simulation has to assume how people choose what they name, and is to be run under several.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from palate.arrays import Array, Mask, Positions
from palate.errors import OptionError

TOP = 100  # the most popular items, which are all that some can think of


class Naming(StrEnum):
    """Which of the items that somebody could name comes first."""

    FAVOURITE = "favourite"  # what they rated highest; of equal ones any
    POPULAR = "popular"  # what they like, the sooner the more others have answered it
    LIKED = "liked"  # any that they like
    RECENT = "recent"  # what they like and met last
    TOP_100 = "top-100"  # any that they like of the hundred most popular
    KNOWN = "known"  # any that they know: who is asked for one they know, or does not listen


def naming_order(
    naming: Naming, ratings: Array, *, like: float, counts: Array | None, times: Array | None, rng: np.random.Generator
) -> Positions:
    """The items that each of n users names, the first first, -1 after the last, (n, I).

    Args:
        ratings: NaN of what is not known to them, (n, I).
        like: Rating from which an item is liked.
        counts: Answers that each item has, (I,); only looked at where popularity counts.
        times: When each was met, NaN where nobody says, (n, I); only looked at where it counts. What has none is last.
        rng: Draws among equals, and what comes to mind.
    Raises:
        OptionError: If what the naming hangs on is not given.
    """
    may = ratings >= like if naming is not Naming.KNOWN else ~np.isnan(ratings)
    if naming in (Naming.POPULAR, Naming.TOP_100) and counts is None:
        raise OptionError(f"the naming {naming.value!r} goes by popularity, of which nothing is given. Give counts.")
    if naming is Naming.RECENT and (times is None or np.isnan(np.where(may, times, np.nan)).all()):
        raise OptionError("the naming 'recent' goes by time, and no answer has one. Give data with timestamps.")
    if naming is Naming.TOP_100:
        may = may & _in_top(np.asarray(counts))
    drawn = rng.random(ratings.shape)
    first = _first(naming, ratings, counts, times, drawn)
    order = np.lexsort((drawn, np.where(may, -first, np.inf)), axis=1)
    return np.where(np.take_along_axis(may, order, 1), order, -1)


def _first(naming: Naming, ratings: Array, counts: Array | None, times: Array | None, drawn: Array) -> Array:
    """The larger, the sooner it is named, (n, I)."""
    if naming is Naming.FAVOURITE:
        return ratings
    if naming is Naming.POPULAR:  # Gumbel noise on log counts draws by counts, without replacement
        return np.asarray(np.log(np.asarray(counts) + 0.5) - np.log(-np.log1p(-drawn) + np.finfo(float).tiny))
    if naming is Naming.RECENT:
        return np.asarray(np.nan_to_num(np.asarray(times), nan=-np.inf))
    return np.zeros_like(ratings)


def _in_top(counts: Array) -> Mask:
    return np.asarray(np.argsort(np.argsort(-counts, kind="stable")) < TOP)
