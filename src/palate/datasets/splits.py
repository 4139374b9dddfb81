"""Splits for honest evaluation: every row goes to one part, and no pair of user and item stands in two.

Events repeat, so a pair may have several rows. A pair moves as a whole; where time decides, its time is that of its
last row. Training thus never sees a pair that is tested, nor anything later than the cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.arrays import Mask
from palate.datasets.tables import Dataset
from palate.entities import ITEM, TIMESTAMP, USER
from palate.errors import DataError, OptionError


@dataclass(frozen=True, slots=True)
class Split:
    """Parts of a data set; items and users tables are whole in each."""

    train: Dataset
    test: Dataset
    validation: Dataset | None = None

    @property
    def whole(self) -> Dataset:
        """The rows of all parts, those of training first."""
        parts = [part.interactions for part in (self.train, self.validation, self.test) if part is not None]
        return replace(self.train, interactions=pl.concat(parts, how="diagonal_relaxed"))


def global_time(data: Dataset, *, test_share: float = 0.2) -> Split:
    """Train on what was before a moment, test on what was after it.

    Rows at the moment of the cut go to train, as do rows without a timestamp, so the test part may be smaller than
    asked for.

    Raises:
        DataError: If there is no timestamp, or only one.
    """
    _check_share("test_share", test_share)
    pairs, count = _pairs(data)
    times = _latest(pairs, count, _times(data))
    if not np.isfinite(times).any():
        raise DataError(
            f"{data.name} has no timestamps, so it cannot be split in time. Split at random: --split random."
        )
    ordered = np.sort(times)
    cut = ordered[max(int(len(ordered) * (1 - test_share)) - 1, 0)]
    if not (times > cut).any():
        cut = ordered[ordered < ordered[-1]].max(initial=-np.inf)
    if not (times <= cut).any():
        raise DataError(
            f"all rows of {data.name} have one timestamp, so none is before another. Split at random: --split random."
        )
    return _split(data, times > cut)


def leave_last_out(data: Dataset, *, n: int = 1, rng: np.random.Generator | None = None) -> Split:
    """Test on the last ``n`` items of every user who has more than ``n``; the others are trained on whole.

    Items are ordered by timestamp; rows without a timestamp come before all others of their user.

    Args:
        rng: Draws the order of rows of equal timestamps and of those without; without it that of the table decides.
    Raises:
        DataError: If there is no timestamp at all and no ``rng``: then nothing says what is last.
    """
    if n < 1:
        raise OptionError(f"n is {n}. Leave out one item or more.")
    pairs, count = _pairs(data)
    times = _times(data)
    if rng is None and len(times) and not np.isfinite(times).any():
        raise DataError(
            f"{data.name} has no timestamps, so nothing says which item is a user's last. Split at random: "
            "--split random; or give an rng that draws."
        )
    order = np.lexsort((np.arange(len(times)) if rng is None else rng.permutation(len(times)), times))
    places = np.empty(len(order))
    places[order] = np.arange(len(order))
    frame = data.interactions.select(USER).with_columns(pair=pairs, place=_latest(pairs, count, places))
    from_last = pl.col("place").rank("dense", descending=True).over(USER)
    size = pl.col("pair").n_unique().over(USER)
    return _split(data, frame.select((from_last <= n) & (size > n)).to_series().to_numpy())


def random_split(
    data: Dataset, *, shares: tuple[float, float, float] = (0.8, 0.1, 0.1), rng: np.random.Generator
) -> Split:
    """Train, validation and test by chance.

    Args:
        shares: Of train, validation and test, adding up to 1.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise OptionError(f"the shares {shares} do not add up to 1. Give train, validation and test.")
    pairs, count = _pairs(data)
    place = rng.permutation(count)[pairs]
    ends = np.rint(np.cumsum(shares) * count)
    return _split(data, place >= ends[1], (place >= ends[0]) & (place < ends[1]))


def stratified(
    data: Dataset, *, by: Literal["user", "item"] = "user", train_share: float = 0.75, rng: np.random.Generator
) -> Split:
    """The same share of every user's (or item's) pairs to train: the protocol of Microsoft Recommenders.

    Of m pairs round(m * train_share) go to train, a half rounded to even.

    References:
        recommenders-team/recommenders, ``datasets/python_splitters.py``, ``python_stratified_split``.
    """
    _check_share("train_share", train_share)
    if by not in ("user", "item"):
        raise OptionError(f"by is {by!r}. Pairs are counted by 'user' or by 'item'.")
    pairs, count = _pairs(data)
    group = USER if by == "user" else ITEM
    frame = data.interactions.select(group).with_columns(place=rng.permutation(count)[pairs])
    rank = pl.col("place").rank("dense").over(group)
    size = pl.col("place").n_unique().over(group)
    trained = rank <= (size * train_share).round(mode="half_to_even")
    return _split(data, frame.select(~trained).to_series().to_numpy())


def new_users(data: Dataset, *, share: float = 0.25, rng: np.random.Generator) -> Split:
    """Test on users of whom nothing is in train."""
    return _split(data, _some_of(data, USER, share, rng))


def new_items(data: Dataset, *, share: float = 0.2, rng: np.random.Generator) -> Split:
    """Test on items of which nothing is in train."""
    return _split(data, _some_of(data, ITEM, share, rng))


def _some_of(data: Dataset, column: str, share: float, rng: np.random.Generator) -> Mask:
    _check_share("share", share)
    ids = data.interactions[column].unique().sort()
    if len(ids) < 2:
        raise DataError(f"{data.name} has {len(ids)} {column} in its interactions; a split by {column} needs two.")
    count = min(max(round(len(ids) * share), 1), len(ids) - 1)
    chosen = ids.gather(np.sort(rng.permutation(len(ids))[:count]))
    return data.interactions[column].is_in(chosen.implode()).to_numpy()


def _check_share(name: str, share: float) -> None:
    if not 0 < share < 1:
        raise OptionError(f"{name} is {share}. Give a share between 0 and 1.")


def _split(data: Dataset, test: Mask, validation: Mask | None = None) -> Split:
    if validation is None:
        return Split(data.filter(~test), data.filter(test))
    return Split(data.filter(~test & ~validation), data.filter(test), data.filter(validation))


def _pairs(data: Dataset) -> tuple[NDArray[np.int64], int]:
    """A number for the pair of each row, shape (N,), and how many there are; independent of the order of rows."""
    users, items = (_codes(data.interactions[column]) for column in (USER, ITEM))
    keys = users * (items.max(initial=0) + 1) + items
    distinct, pairs = np.unique(keys, return_inverse=True)
    return pairs.astype(np.int64), len(distinct)


def _codes(ids: pl.Series) -> NDArray[np.int64]:
    return ids.cast(pl.Enum(ids.unique().sort())).to_physical().to_numpy().astype(np.int64)


def _times(data: Dataset) -> NDArray[np.float64]:
    return data.interactions[TIMESTAMP].fill_null(float("-inf")).to_numpy()


def _latest(pairs: NDArray[np.int64], count: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row the largest value of its pair, shape (N,)."""
    largest = np.full(count, -np.inf)
    np.maximum.at(largest, pairs, values)
    result: NDArray[np.float64] = largest[pairs]
    return result
