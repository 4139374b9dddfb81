"""How sure a figure is: bootstrap intervals over users, vectorised.

Users are drawn with replacement; what was measured of one user stays together, so strategies are compared by the same
users and pairs are kept. Everything is a function of sums over users: a resample is a row of counts times a matrix.

With fewer than 50 users percentiles are too narrow. Then each end is the outer one of two: the bias-corrected and
accelerated interval, its level widened as that of a t interval is against a normal one, which is right for skewed
figures; and the t interval of the jackknife, which is right where most users have the same figure. Where nobody differs
from anybody the interval is a point, which says nothing of users not seen: state their number beside it.

References:
    Efron and Tibshirani, An introduction to the bootstrap, 1993 (percentile interval, BCa, the jackknife).
    Hesterberg, What teachers should know about the bootstrap, The American Statistician 69(4), 2015 (widened levels).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

from palate.errors import OptionError

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[..., FloatArray]

DRAWS = 2000
LEVEL = 0.95
FEW = 50  # users, below which percentiles cover too seldom
_CELLS = 2**22  # counts held at once: 32 MB


class Interval(NamedTuple):
    """A figure and its 95 % interval; each a number or an array of the same shape."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray

    def as_dict(self) -> dict[str, object]:
        """Plain numbers or lists for JSON; ``None`` for what is not finite."""
        return {name: _plain(values) for name, values in self._asdict().items()}


def ratio_interval(
    sums: Sequence[npt.ArrayLike],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Interval of a function of sums over users, such as a ratio of two.

    Args:
        sums: What is summed, each of shape (U, ...), one row a user.
        statistic: Takes the sums, each with a leading axis of resamples, and gives shape (resamples, ...).
        rng: Source of the resamples; equally seeded generators draw the same users.
        draws: Resamples; the ends of the interval wobble by some 2 % of its width at 2000.
        within: What the statistic can be at least and at most.
    Raises:
        OptionError: If there is no user or the arrays differ in length.
    Example:
        >>> squared, counts = np.array([4.0, 0.0]), np.array([2.0, 2.0])
        >>> rmse = ratio_interval([squared, counts], lambda s, n: np.sqrt(s / n), rng=np.random.default_rng(0))
        >>> float(rmse.mean)
        1.0
    """
    tables = [np.asarray(table, dtype=np.float64) for table in sums]
    n_users = _common_length(tables)
    everyone = statistic(*(table.sum(axis=0, keepdims=True) for table in tables))[0]
    resampled = np.concatenate(
        [
            statistic(*(np.tensordot(counts, table, axes=1) for table in tables))
            for counts in _resamples(n_users, draws, rng)
        ]
    )
    tail = (1.0 - LEVEL) / 2.0
    # An order statistic, not a mean of two: infinite draws ("never reached") must not turn into NaN.
    low, high = np.quantile(resampled, [tail, 1.0 - tail], axis=0, method="inverted_cdf")
    if 1 < n_users < FEW:
        without = statistic(*(table.sum(axis=0) - table for table in tables))
        low, high = _of_few(everyone, without, resampled, tail)
    return Interval(np.asarray(everyone), np.clip(low, *within), np.clip(high, *within))


def _of_few(everyone: FloatArray, without: FloatArray, resampled: FloatArray, tail: float) -> tuple[FloatArray, ...]:
    """The outer ends of the widened BCa and the t interval.

    Args:
        everyone: The figure, (...).
        without: The same without each user, (U, ...).
        resampled: Of each resample, (draws, ...).
    """
    n, draws = len(without), len(resampled)
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = without.mean(axis=0) - without
        deviation = np.sqrt((n - 1) / n * (pull**2).sum(axis=0))
        skew = np.nan_to_num((pull**3).sum(axis=0) / (6.0 * (pull**2).sum(axis=0) ** 1.5))
    quantile = student.ppf(tail, n - 1)
    lower = ((resampled < everyone).sum(axis=0) + (resampled <= everyone).sum(axis=0)) / (2.0 * draws)
    bias = norm.ppf(np.clip(lower, 0.5 / draws, 1.0 - 0.5 / draws))
    ordered, ends = np.sort(resampled, axis=0), []
    for side in (1.0, -1.0):
        shifted = bias + side * quantile * np.sqrt(n / (n - 1))
        level = norm.cdf(bias + shifted / np.maximum(1.0 - skew * shifted, 1e-6))
        place = np.clip(np.ceil(level * draws).astype(np.int64) - 1, 0, draws - 1)
        bca = np.take_along_axis(ordered, place[None], axis=0)[0]
        by_t = everyone + side * quantile * deviation
        outer = np.minimum if side > 0 else np.maximum
        ends.append(np.where(np.isfinite(by_t), outer(bca, by_t), bca))
    return tuple(ends)


def by_person(parts: Sequence[FloatArray], people: Sequence[Sequence[str]]) -> FloatArray:
    """Tables of several seeds, a row a person who took part, summed to one row a person, in the order of their names.

    Args:
        parts: Of each seed, (n, ...).
        people: Who, of each seed.
    """
    names = [person for seed in people for person in seed]
    place = {person: row for row, person in enumerate(sorted(set(names)))}
    stacked = np.concatenate(parts)
    total = np.zeros((len(place), *stacked.shape[1:]))
    np.add.at(total, np.array([place[person] for person in names]), stacked)
    return total


def bootstrap_mean(
    values: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Mean over users, column by column, of shape (U,) or (U, S); NaN means that a user has no such figure.

    Args:
        values: One row a user.
        weights: How much each user counts, shape (U,); by default everyone the same.
        within: What a mean can be at least and at most.
    """
    values = np.asarray(values, dtype=np.float64)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = np.isfinite(values) * weight.reshape(-1, *(1,) * (values.ndim - 1))
    some = known.any(axis=tuple(range(1, values.ndim)))  # a resample of users without a figure would have no mean
    sums = [(np.nan_to_num(values) * known)[some], known[some]]
    return ratio_interval(sums, _ratio, rng=rng, draws=draws, within=within)


def paired_bootstrap(a: npt.ArrayLike, b: npt.ArrayLike, *, rng: np.random.Generator, draws: int = DRAWS) -> Interval:
    """Mean over users of a - b, shape (U,) or (U, S) each, paired by user."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise OptionError(
            f"shapes {a.shape} and {b.shape} cannot be paired. Give one row a user, the same users in both."
        )
    return bootstrap_mean(a - b, rng=rng, draws=draws)


def rmse_interval(
    squared: npt.ArrayLike, counts: npt.ArrayLike, *, rng: np.random.Generator, draws: int = DRAWS
) -> Interval:
    """Root mean squared error over all ratings of all users.

    Args:
        squared: Each user's sum of squared errors, shape (U,) or (U, S).
        counts: Each user's number of ratings, shape (U,).
    """
    squared = np.asarray(squared, dtype=np.float64)
    sums = [squared, _counts_like(squared, counts)]
    return ratio_interval(sums, _root_ratio, rng=rng, draws=draws, within=(0.0, np.inf))


def paired_rmse(
    a: npt.ArrayLike, b: npt.ArrayLike, counts: npt.ArrayLike, *, rng: np.random.Generator, draws: int = DRAWS
) -> Interval:
    """Difference a - b of two root mean squared errors over the same ratings, from sums of squared errors as above."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    sums = [a, b, _counts_like(a, counts)]
    return ratio_interval(sums, lambda s, t, n: _root_ratio(s, n) - _root_ratio(t, n), rng=rng, draws=draws)


def _resamples(n_users: int, draws: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """How often each user is drawn, in blocks of shape (b, U)."""
    block = max(1, _CELLS // n_users)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        drawn = rng.integers(n_users, size=(size, n_users)) + n_users * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n_users).reshape(size, n_users).astype(np.float64)


def _ratio(total: FloatArray, count: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return ratio


def _root_ratio(total: FloatArray, count: FloatArray) -> FloatArray:
    return np.sqrt(_ratio(total, count))


def _counts_like(squared: FloatArray, counts: npt.ArrayLike) -> FloatArray:
    counts = np.asarray(counts, dtype=np.float64)
    return np.broadcast_to(counts.reshape(-1, *(1,) * (squared.ndim - 1)), squared.shape)


def _common_length(tables: Sequence[FloatArray]) -> int:
    lengths = {len(table) for table in tables}
    if len(lengths) != 1 or not next(iter(lengths)):
        raise OptionError(
            f"the tables have {sorted(lengths)} rows. Give one row a user, the same in all, at least one."
        )
    return lengths.pop()


def _plain(values: npt.ArrayLike) -> object:
    array = np.asarray(values, dtype=np.float64)
    listed = array.astype(object)
    listed[~np.isfinite(array)] = None
    return listed.tolist()
