"""What people do again: how likely each thing of a history comes next, against anything new.

    P(next is i) ∝ exp(β · x_i)        P(next is anything new) ∝ 1

A conditional logit over what somebody did on earlier days; what is new has 1 altogether, of which each new item gets
the share that the list gives it. x are counts and times since, against how soon people do the item again
(:func:`features`). β is learnt on the last day of each person, from what was before it. McFadden, *Conditional logit
analysis of qualitative choice behavior*, Frontiers in econometrics, 1974. That counts and recency of a person are
what repeated baskets go by: Hu, He, Gao, Zhang, *Modeling personalized item frequency information for next-basket
recommendation*, SIGIR 2020; that an item has its own time to be done again: Bhagat, Muralidharan, Lobzhanidze,
Vishwanath, *Buy it again: modeling repeat purchase recommendations*, KDD 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from palate.arrays import Array, Mask, Positions
from palate.ranking.chances import DIGITS
from palate.ranking.experts.levels import DAY
from palate.ranking.histories import Histories

LEAST_PEOPLE, LEAST_REPEATS = 50, 50  # with a day before their last; and what they did again: with fewer, None
_LIKE_ITEM = 10.0  # chances to do an item again that count beside its own, at the rate of all items
_GAPS = 5.0  # times until it was done again that count beside its own
_LIKE_USER = 2.0  # chances of one person that count beside theirs, at the rate of the item
_PULL = 1e-3  # towards β = 0, in squares per person
FEATURES = (
    *("constant", "days done", "share of later days", "rate of the item", "days of theirs since", "days since"),
    *("due", "due, squared", "items done", "share of repeats"),
)
Days = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """How items are done again.

    Attributes:
        rate: Share of the later days of those who did an item on which they did it again, (I,).
        gap: Days until then, (I,).
    """

    rate: Array
    gap: Array

    @classmethod
    def of(cls, done: Done, n_items: int) -> Habits:
        """Of days."""
        again = np.bincount(done.items, done.count - 1.0, n_items)
        chances = np.bincount(done.items, done.chances, n_items)
        gaps = np.bincount(done.items, (done.last - done.first).astype(np.float64), n_items)
        rate, gap = max(again.sum(), 1.0) / max(chances.sum(), 2.0), max(gaps.sum(), 1.0) / max(again.sum(), 1.0)
        return cls((again + _LIKE_ITEM * rate) / (chances + _LIKE_ITEM), (gaps + _GAPS * gap) / (again + _GAPS))

    def take(self, items: Positions) -> Habits:
        """Of some items; one that came after the fit is done again as the mean item."""
        place, is_there = np.minimum(items, len(self.rate) - 1), items < len(self.rate)
        return Habits(
            np.where(is_there, self.rate[place], self.rate.mean()), np.where(is_there, self.gap[place], self.gap.mean())
        )


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """What n people did until today, R pairs of a person and an item, by person.

    Attributes:
        people, items: Positions, (R,).
        count: Days on which they did it, (R,).
        first, last: Of these, (R,).
        chances: Days of theirs after the first, (R,).
        since: Days of theirs after the last, (R,).
        rows: What each did in all, of different days, (n,).
    """

    people: NDArray[np.intp]
    items: Positions
    count: NDArray[np.intp]
    first: Days
    last: Days
    chances: NDArray[np.intp]
    since: NDArray[np.intp]
    rows: NDArray[np.intp]

    @classmethod
    def of(cls, of: Histories) -> Done:
        """Of histories whose values are days."""
        assert of.values is not None
        people, days = np.repeat(np.arange(len(of)), of.sizes), of.values.astype(np.int64)
        rows = _each_once(people, of.items, days)
        people, items, days = rows[0].astype(np.intp), rows[1].astype(np.intp), rows[2]
        starts = np.ones(len(days), dtype=bool)
        starts[1:] = (people[1:] != people[:-1]) | (items[1:] != items[:-1])
        start = np.flatnonzero(starts)
        ends = np.append(start, len(days))[1:]
        first, last, who = days[start], days[ends - 1], people[start]
        least, width = (int(days.min()), int(np.ptp(days)) + 2) if len(days) else (0, 2)
        visits = np.unique(people * width + days - least)
        own_end = np.searchsorted(visits, (who + 1) * width)
        return cls(
            who,
            items[start],
            ends - start,
            first,
            last,
            own_end - np.searchsorted(visits, who * width + first - least, side="right"),
            own_end - np.searchsorted(visits, who * width + last - least, side="right"),
            np.bincount(people, minlength=len(of)),
        )


def features(done: Done, today: Days, habits: Habits) -> Array:
    """The x of each pair, (R, K), logarithms of what :data:`FEATURES` names.

    ``due`` is the time since against the usual time between, of this person and of the item.

    Args:
        today: Of each person, (n,).
    """
    of, again = habits.take(done.items), done.count - 1.0
    ago = np.maximum(today[done.people] - done.last, 0).astype(np.float64)
    own_gap = (done.last - done.first + 2.0 * of.gap) / (again + 2.0)
    due = np.log((ago + 1.0) / (own_gap + 1.0))
    n_items = np.bincount(done.people, minlength=len(done.rows))
    repeated = (done.rows - n_items + habits.rate.mean()) / (done.rows + 1.0)
    return np.stack(
        [
            np.ones(len(ago)),
            np.log(done.count),
            np.log((again + _LIKE_USER * of.rate) / (done.chances + _LIKE_USER)),
            np.log(of.rate),
            np.log1p(done.since),
            np.log1p(ago),
            due,
            due**2,
            np.log1p(n_items)[done.people],
            np.log(repeated)[done.people],
        ],
        1,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """What people of the fit did, and what it says of what they do again.

    Attributes:
        days: What each did, with the days as values, (U).
        habits: Of the items.
        weights: β, (K,).
        act: The kind of event that counts.
        least: Documented strength from which an event counts.
        until: When the last of it was done, in seconds since the epoch.
    """

    days: Histories
    habits: Habits
    weights: Array
    act: str
    least: float
    until: float

    def log_odds(
        self, row: int | None, items: Positions, times: Array, today: float
    ) -> tuple[Positions, Array, NDArray[np.intp]]:
        """Of each thing that somebody did: its position, log odds against anything new, and on how many days.

        Args:
            row: In the fit; None of somebody new.
            items, times: What they did since, and when in seconds, NaN where that is unknown: then today, (m,).
            today: In seconds since the epoch.
        """
        since = np.floor(np.where(np.isnan(times), today, times) / DAY)
        before = slice(0) if row is None else slice(*self.days.start[row : row + 2])
        assert self.days.values is not None
        whole = Histories.of([np.concatenate([self.days.items[before], items])], self.days.n_items)
        done = Done.of(replace(whole, values=np.concatenate([self.days.values[before], since])))
        found = features(done, np.array([int(today // DAY)]), self.habits) @ self.weights
        return done.items, found, done.count

    def keeping(self, people: Mask) -> Repeats:
        """Of some people alone, (U,)."""
        assert self.days.values is not None
        rows = np.repeat(people, self.days.sizes)
        start = np.concatenate([[0], np.cumsum(self.days.sizes[people])]).astype(np.intp)
        days = Histories(self.days.items[rows], start, self.days.n_items, self.days.values[rows])
        return replace(self, days=days)


def fit_repeats(
    users: NDArray[np.integer[Any]],
    items: NDArray[np.integer[Any]],
    times: Array,
    shape: tuple[int, int],
    *,
    act: str,
    least: float,
) -> Repeats | None:
    """Of rows, each something that a person did at a time; None where too little is done again to learn from.

    Args:
        times: In seconds, (N,); rows without one are left out.
        shape: U and I.
        act, least: As of :class:`Repeats`.
    """
    dated = np.isfinite(times)
    if not dated.any():
        return None
    people, days, items = _each_once(users[dated], np.floor(times[dated] / DAY).astype(np.int64), items[dated])
    last, first = np.full(shape[0], -1), np.full(shape[0], np.iinfo(np.int64).max)
    np.maximum.at(last, people, days)
    np.minimum.at(first, people, days)
    has_target = first < last
    is_target = (days == last[people]) & has_target[people]
    before = Done.of(_histories(people, days, items, shape, ~is_target))
    wanted = np.isin(before.people * shape[1] + before.items, people[is_target] * shape[1] + items[is_target])
    if has_target.sum() < LEAST_PEOPLE or wanted.sum() < LEAST_REPEATS:
        return None
    share = wanted / np.maximum(np.bincount(people[is_target], minlength=shape[0]), 1)[before.people]
    kept = has_target[before.people]
    x = features(before, np.where(has_target, last, 0), Habits.of(before, shape[1]))
    weights = _learnt(x[kept], before.people[kept], share[kept], has_target)
    every = _histories(people, days, items, shape)
    return Repeats(every, Habits.of(Done.of(every), shape[1]), weights, act, least, float(times[dated].max()))


def _each_once(*columns: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], ...]:
    """Different rows of columns, sorted by the first, the second and the third."""
    keys, sizes, least = np.zeros(len(columns[0]), np.int64), list[int](), list[int]()
    for column in columns:
        least.append(int(column.min(initial=0)))
        sizes.append(int(column.max(initial=0)) - least[-1] + 1)
        keys = keys * sizes[-1] + (column - least[-1])
    keys = np.unique(keys)
    found = list[NDArray[np.int64]]()
    for size, low in zip(reversed(sizes), reversed(least), strict=True):
        keys, column = np.divmod(keys, size)
        found.append((column + low).astype(np.int64))
    return tuple(reversed(found))


def _histories(
    people: NDArray[np.int64],
    days: NDArray[np.int64],
    items: NDArray[np.int64],
    shape: tuple[int, int],
    some: Mask | slice = slice(None),
) -> Histories:
    """Of some of rows that are sorted by person."""
    start = np.searchsorted(people[some], np.arange(shape[0] + 1))
    return Histories(items[some].astype(np.intp), start, shape[1], days[some].astype(np.float64))


def _learnt(x: Array, people: NDArray[np.intp], share: Array, counts: Mask) -> Array:
    """β that makes likeliest what people did on their last day.

    Args:
        x: (R, K).
        share: Of that day's things which each pair is, (R,).
        counts: Whether a person has such a day, (n,).
    """
    n, scale = int(counts.sum()), x.std(0)
    scale[scale == 0.0] = 1.0
    scaled = x / scale
    target = share @ scaled

    def loss(weights: Array) -> tuple[float, Array]:
        odds = np.exp(np.minimum(scaled @ weights, 50.0))
        total = 1.0 + np.bincount(people, odds, len(counts))
        value = float(np.log(total[counts]).sum() - target @ weights)
        gradient = (odds / total[people]) @ scaled - target
        return value / n + _PULL * float(weights @ weights), gradient / n + 2.0 * _PULL * weights

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(np.round(found.x / scale, DIGITS))
