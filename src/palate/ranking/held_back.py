"""People held back from what is counted: what they met first, and what they liked later."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array, Mask
from palate.datasets.times import not_ahead
from palate.ranking.histories import Histories

CUTS = (0.5, 0.65, 0.8)  # shares of the log after which people count as having come late
WINDOW = 0.2  # share of the log after a cut, in which they come: a list is made for soon, not for years ahead
PREFIXES = (0, 1, 3, 6, 12, 25, 50)  # items of a history
PEOPLE, KNOWN_PEOPLE = 1_000, 2_000  # of a cut at most, and of the fit
BACK = 300  # people who came before a cut and liked something after it; with fewer, rows are hidden at random
MOST_ROWS = 2_000_000  # of a log from which weights are learnt; of a larger one people are drawn
_CELLS = 200_000_000  # people times items of a task, at most
_DATED = 0.5  # share of rows with a time, of a log that goes by times
_FEW = 30  # late comers with a history and something later; a cut with fewer says too little
_SHARE = 0.2  # of people, or of the rows of known people, that are drawn


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Who met what, N pairs of user and item, each once, by user and in the order of time.

    Attributes:
        users, items: Positions, (N,).
        liked: Whether they liked it, (N,).
        values: What they said of it, (N,).
        timestamps: Seconds since the epoch, NaN where unknown, (N,).
        n_users, n_items: U and I.
        friends: Whom each user follows, (U, U); None where that is not known.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    liked: Mask
    values: Array
    timestamps: Array
    n_users: int
    n_items: int
    friends: sparse.csr_array | None = None

    @classmethod
    def of(
        cls,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        liked: Mask,
        values: Array,
        timestamps: Array,
        shape: tuple[int, int],
    ) -> Met:
        """Of rows in any order; of a pair that repeats the last one counts, of equal times the later row.

        Times far ahead of all others count as the end of the log (:func:`palate.datasets.times.not_ahead`). Where half
        of the rows or more have a time, those without count as old as the oldest that has one.
        """
        last = np.full(len(users), np.nan)
        np.copyto(last, timestamps)
        order = np.lexsort((np.arange(len(users)), np.nan_to_num(last, nan=-np.inf), users))
        keys = users[order] * shape[1] + items[order]
        kept = order[np.sort(len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1])]
        return cls(users[kept], items[kept], liked[kept], values[kept], _times(last[kept]), *shape)

    def __len__(self) -> int:
        return len(self.users)

    @property
    def is_dated(self) -> bool:
        """Whether every row has a time."""
        return len(self) > 0 and not np.isnan(self.timestamps).any()

    def take(self, rows: Mask | NDArray[np.intp]) -> Met:
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            liked=self.liked[rows],
            values=self.values[rows],
            timestamps=self.timestamps[rows],
        )

    def sample(self, rng: np.random.Generator) -> Met:
        """All of it, or what so many people met, drawn, that weights are learnt in minutes."""
        if len(self) <= MOST_ROWS:
            return self
        people = rng.permutation(self.n_users)
        sizes = np.diff(self.starts)[people]
        drawn = np.zeros(self.n_users, dtype=bool)
        drawn[people[: max(2, int(np.searchsorted(sizes.cumsum(), MOST_ROWS)))]] = True
        return self.take(drawn[self.users])

    def shuffled(self, rng: np.random.Generator) -> Met:
        """With what has no time in an order by chance: that of a table says nothing. Equal times keep theirs."""
        is_dated = np.isfinite(self.timestamps)
        ties = np.where(is_dated, np.arange(len(self)), rng.random(len(self)))
        return self.take(np.lexsort((ties, np.where(is_dated, self.timestamps, -np.inf), self.users)))

    @property
    def histories(self) -> Histories:
        """What each user met, (U)."""
        return Histories(self.items.astype(np.intp), self.starts, self.n_items)

    @property
    def starts(self) -> NDArray[np.intp]:
        """Where the rows of each user begin, and the end, (U + 1,)."""
        return np.searchsorted(self.users, np.arange(self.n_users + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """C cases: of somebody what they met first, and what they liked later of the items that were known before.

    Attributes:
        counted: What may be counted for it.
        histories: What was met.
        later: What was liked later.
        weights: How much each case counts, (C,), 1 altogether.
    """

    counted: Met
    histories: Histories
    later: Histories
    weights: Array

    @property
    def known(self) -> Mask:
        """Whether an item is met in what is counted, (I,)."""
        return np.bincount(self.counted.items, minlength=self.counted.n_items) > 0


def _times(last: Array) -> Array:
    """Times of a log without those that a wrong clock, or none, would spoil for all."""
    last, known = not_ahead(last), np.isfinite(last)
    return np.where(known, last, last[known].min()) if known.any() and known.mean() >= _DATED else last


def new_people(met: Met, rng: np.random.Generator) -> list[Task]:
    """Those who came late, at several cuts of the log; without times, or of too few, people drawn.

    Of each the first 0, 1, 3, … items are the history, and counts are of what was before they came.
    """
    met, tasks = met.shuffled(rng), []
    if met.is_dated:
        first = np.full(met.n_users, np.inf)
        np.minimum.at(first, met.users, met.timestamps)
        for cut, end in np.quantile(met.timestamps, [(cut, min(cut + WINDOW, 1.0)) for cut in CUTS]):
            before, people = met.timestamps <= cut, np.flatnonzero((first > cut) & (first <= end))
            task = _of_people(met, before, rng.permutation(people)[: _most(met, PEOPLE, len(PREFIXES))])
            if task is not None and (task.histories.sizes == 1).sum() >= _FEW:
                tasks.append(task)
    if len(tasks) > 1:
        return tasks
    several = rng.permutation(np.flatnonzero(np.bincount(met.users, minlength=met.n_users) > 1))
    fifth = -(-len(several) // 5)
    for part in (several[:fifth], several[fifth : 2 * fifth]):
        task = _of_people(met, ~np.isin(met.users, part), part[: _most(met, PEOPLE, len(PREFIXES))])
        tasks += [] if task is None else [task]
    return tasks


def known_people(met: Met, rng: np.random.Generator) -> list[Task]:
    """People of whom something that they met is hidden, twice: the rest is their history, and is counted.

    What came after a cut of the log, where enough people come back: a list is made for what comes next, and hiding any
    fifth instead would show what is popular later in what is counted. Otherwise any fifth.
    """
    tasks, later = [], _later(met)
    for place in range(2):
        of, hidden = met, rng.random(len(met)) < _SHARE
        if later:
            of, hidden = later[place]
        people = rng.permutation(np.unique(of.users[hidden & of.liked]))[: _most(of, KNOWN_PEOPLE, 1)]
        task = _task(of, of.take(~hidden), [(user, None) for user in np.sort(people)], hidden)
        tasks += [] if task is None else [task]
    return tasks


def _later(met: Met) -> list[tuple[Met, Mask]]:
    """By cut, what people who came before it met until some time after it, and what of that came after it."""
    if not met.is_dated:
        return []
    found = []
    for cut, end in np.quantile(met.timestamps, [(cut, min(cut + WINDOW, 1.0)) for cut in CUTS[1:]]):
        came = np.zeros(met.n_users, dtype=bool)
        came[met.users[met.timestamps <= cut]] = True
        of = met.take((met.timestamps <= end) & came[met.users])
        found.append((of, of.timestamps > cut))
    enough = all(len(np.unique(of.users[hidden & of.liked])) >= BACK for of, hidden in found)
    return found if enough else []


def _most(met: Met, people: int, cases: int) -> int:
    """People of a task, each of several cases."""
    return max(10, min(people, _CELLS // max(met.n_items * cases, 1)))


def _of_people(met: Met, before: Mask, people: NDArray[np.int64]) -> Task | None:
    counted = met.take(before & ~np.isin(met.users, people))
    return _task(met, counted, [(user, n) for n in PREFIXES for user in people])


def _task(met: Met, counted: Met, cases: list[tuple[int, int | None]], hidden: Mask | None = None) -> Task | None:
    """Cases of (user, length of the history); without a length, what is hidden is later."""
    known = np.bincount(counted.items, minlength=met.n_items) > 0
    starts = met.starts
    seen: list[NDArray[np.intp]] = []
    later: list[NDArray[np.intp]] = []
    sizes: list[int] = []
    whose: list[int] = []
    for user, n in cases:
        rows = np.arange(starts[user], starts[user + 1])
        rows = rows[known[met.items[rows]]]
        if hidden is not None:
            first, after = rows[~hidden[rows]], rows[hidden[rows]]
        else:
            assert n is not None
            first, after = rows[:n], rows[n:]
            if len(first) < n:
                continue
        after = after[met.liked[after]]
        if len(after):
            whose.append(user)
            seen.append(first)
            later.append(after)
            sizes.append(-1 if n is None else n)
    if not seen:
        return None
    every, counts = np.unique(sizes, return_counts=True)
    weights = 1.0 / counts[np.searchsorted(every, sizes)] / len(every)
    histories = _histories(met, seen)
    if met.friends is not None:
        histories = replace(histories, friends=met.friends[whose])
    return Task(counted, histories, _histories(met, later), weights)


def _histories(met: Met, rows: list[NDArray[np.intp]]) -> Histories:
    found = Histories.of(rows, met.n_items)
    return replace(found, items=met.items[found.items], values=met.values[found.items])
