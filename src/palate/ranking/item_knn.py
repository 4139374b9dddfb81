"""What comes with what a person did: a ranking for short histories, from counts alone.

    score_i = log(1 + s_i / (c · mean s)) + a · level_i        s_i = Σ_j∈h n_ij / (√(n_i n_j) + shrinkage)

``n_ij`` people liked both items, ``level`` is the logarithm of popularity, altogether or lately. With ``a = 0`` the
order is that of item-kNN (Sarwar, Karypis, Konstan, Riedl, *Item-based collaborative filtering recommendation
algorithms*, WWW 2001); how much popularity counts beside it, which, and the shrinkage differ much between catalogues.
So they are chosen by NDCG@10 of what people who came late in the log did after their first events, by counts from
before they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.encoders.histories.history import Log
from palate.errors import DataError, OptionError

HALF_LIVES = (3.0, 10.0, 30.0, 90.0)  # days in which an event comes to count half; and popularity altogether
SHRINKAGES = (10.0, 100.0, 1000.0)  # rare items need more evidence
AMOUNTS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5)  # of the level; never none, for those without a history
CUTS = (0.5, 0.8)  # shares of the log after which people count as having come late
_DAY = 86_400.0
_EVEN = 0.1  # c: likeness that every item has, as a share of the mean
_PREFIXES = (1, 2, 3, 5, 8)  # events of a history, when settings are chosen
_CELLS = 2**24  # of prefixes of people times items, who choose, at most: eight bytes each, thrice
_K = 10
_BLOCK = 1024  # rows held densely at once


@dataclass(frozen=True, slots=True, eq=False)
class Companions:
    """A fitted ranking of what comes later.

    Attributes:
        level: ``a · level``, (I,).
        likeness: From item seen to item scored, (I, I), at most ``neighbours`` of each.
        liked: How many people like each item, (I,); None of models saved before that was kept.
        shrinkage, amount: The setting.
    """

    level: Array
    likeness: sparse.csr_array
    liked: Array | None = None
    shrinkage: float = 0.0
    amount: float = 1.0

    def since(
        self, met: Sequence[int], people: Mapping[int, int], pairs: Mapping[int, Mapping[int, int]], n_items: int
    ) -> Companions:
        """The same as if more people had been counted, as far as somebody needs it who met these items.

        What came together too seldom to be kept is counted from 0.

        Args:
            people: By item, how many more like it.
            pairs: By item and other item, how many more like both.
            n_items: With the items that came after the fit.
        """
        if self.liked is None or not people:
            return self
        before, added = np.zeros(n_items), np.zeros(n_items)
        before[: len(self.liked)] = self.liked
        added[list(people)] = list(people.values())
        level = np.full(n_items, self.level.min())
        level[: len(self.level)] = self.level
        rows = np.zeros((len(met), n_items))
        for row, item in zip(rows, met, strict=True):
            if item < len(self.level):
                row[: len(self.level)] = self.likeness[[item]].toarray()[0]
            row *= np.sqrt(before[item] * before) + self.shrinkage
            more = pairs.get(item, {})
            row[list(more)] += list(more.values())
            row /= np.sqrt((before + added)[item] * (before + added)) + self.shrinkage
        at, columns = rows.nonzero()
        places = np.array(met, dtype=np.intp)[at]
        likeness = sparse.csr_array((rows[at, columns], (places, columns)), shape=(n_items, n_items))
        return Companions(self.amount * np.log(np.exp(level / self.amount) + added), likeness)

    def score(self, histories: sparse.csr_array) -> Array:
        """Scores of all items, (n, I), for who met what, (n, I) of 0 and 1; without a history those of the level."""
        return self.level + _evidence(self.likeness, histories)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """People who came late: their first events and, among items known before, their later ones, (C, I) each.

    Attributes:
        counted: What was before they came.
    """

    counted: Log
    seen: sparse.csr_array
    later: sparse.csr_array


def fit_companions(
    log: Log, n_users: int, n_items: int, *, neighbours: int = 1000, rng: np.random.Generator
) -> Companions:
    """Counts of all of a log, in the setting that is best for people who came late in it.

    Without times, or where nobody with two events came late, a fifth of the people, drawn, stands for them, and the
    counts are of the others. Only what is liked counts.

    Args:
        neighbours: Of an item that are kept: memory grows with I times this.
        rng: Source of the people drawn.
    Raises:
        DataError: If fewer than two people like two items, or a position is out of range.
        OptionError: If ``neighbours`` is below 1.
    """
    if neighbours < 1:
        raise OptionError(f"neighbours is {neighbours}. Give a number from 1.")
    log.check(n_users, n_items)
    liked = log.take(log.liking > 0)
    several = int((np.bincount(liked.users, minlength=n_users) > 1).sum())
    if several < 2:
        raise DataError(f"{several} people of the log like two events or more. Companions need two such people.")
    tasks = _tasks(liked, n_users, n_items, rng)
    shrinkage, which, amount = _chosen(tasks, n_users, n_items, neighbours)
    return Companions(
        amount * _levels(liked, n_items)[which],
        _likeness(liked, n_users, n_items, shrinkage, neighbours),
        np.diff(sparse.csc_array(_met(liked, n_users, n_items)).indptr).astype(np.float64),
        shrinkage,
        amount,
    )


def _chosen(tasks: list[_Task], n_users: int, n_items: int, neighbours: int) -> tuple[float, int, float]:
    """Shrinkage, position of the level and its amount with the best mean NDCG, each cut counting alike."""
    quality: dict[tuple[float, int, float], float] = {}
    for task in tasks:
        levels = _levels(task.counted, n_items)
        hidden = task.seen.toarray() > 0
        hidden[:, np.bincount(task.counted.items, minlength=n_items) == 0] = True
        for shrinkage in SHRINKAGES:
            company = _evidence(_likeness(task.counted, n_users, n_items, shrinkage, neighbours), task.seen)
            for which, level in enumerate(levels):
                for amount in AMOUNTS:
                    reached = _ndcg(np.where(hidden, -np.inf, company + amount * level), task.later)
                    key = (shrinkage, which, amount)
                    quality[key] = quality.get(key, 0.0) + reached
    return max(quality, key=lambda key: quality[key])


def _ndcg(scores: Array, relevant: sparse.csr_array) -> float:
    """Mean NDCG@10; every row has something relevant."""
    k = min(_K, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    top = np.take_along_axis(top, order, 1)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    found = np.take_along_axis(relevant.toarray(), top, 1) @ discount
    best = np.cumsum(discount)[np.minimum(np.diff(relevant.indptr), k) - 1]
    return float((found / best).mean())


def _evidence(likeness: sparse.csr_array, histories: sparse.csr_array) -> Array:
    """How much more than the others each item comes with a history, (n, I); zeros where nothing does."""
    total = (histories @ likeness).toarray()
    even = _EVEN * total.mean(1, keepdims=True)
    return np.asarray(np.log1p(np.divide(total, even, out=np.zeros_like(total), where=even > 0)))


def _levels(liked: Log, n_items: int) -> list[Array]:
    """Logarithms of popularity altogether and, with times, lately; of the unseen a little of the former."""
    counts = np.bincount(liked.items, minlength=n_items).astype(np.float64)
    levels = [np.log(counts + 1.0)]
    if np.isfinite(liked.timestamps).any():
        age = (np.nanmax(liked.timestamps) - liked.timestamps) / _DAY
        for half_life in HALF_LIVES:
            lately = np.nan_to_num(np.exp2(-age / half_life))  # without a time it is as old as can be
            share = 0.05 * lately.sum() / len(liked)
            levels.append(np.log(np.bincount(liked.items, lately, n_items) + share * counts + 1e-3))
    return levels


def _likeness(liked: Log, n_users: int, n_items: int, shrinkage: float, neighbours: int) -> sparse.csr_array:
    """Shrunk cosines, of each item its nearest alone, from seen to scored."""
    met = _met(liked, n_users, n_items)
    columns = sparse.csr_array(met.T)
    norms = np.sqrt(np.diff(columns.indptr))
    parts = []
    for rows in _blocks(n_items):
        cosine = (columns[rows] @ met).toarray() / (norms[rows, None] * norms + shrinkage)
        cosine[np.arange(len(rows)), rows] = 0.0
        if neighbours < n_items:
            least = np.partition(cosine, n_items - neighbours, axis=1)[:, n_items - neighbours, None]
            cosine[cosine < least] = 0.0
        parts.append(sparse.csr_array(cosine))
    return sparse.csr_array(sparse.vstack(parts, format="csr").T)


def _met(liked: Log, n_users: int, n_items: int) -> sparse.csr_array:
    met = sparse.csr_array((np.ones(len(liked)), (liked.users, liked.items)), shape=(n_users, n_items))
    met.sum_duplicates()
    met.data[:] = 1.0
    return met


def _tasks(liked: Log, n_users: int, n_items: int, rng: np.random.Generator) -> list[_Task]:
    several = np.bincount(liked.users, minlength=n_users) > 1
    tasks = []
    if not np.isnan(liked.timestamps).any():
        first = np.full(n_users, np.inf)
        np.minimum.at(first, liked.users, liked.timestamps)
        for cut in np.quantile(liked.timestamps, CUTS):
            people = np.flatnonzero(several & np.isfinite(first) & (first > cut))
            tasks.append(_task(liked, liked.timestamps <= cut, rng.permutation(people), n_items))
    if not any(task.seen.shape[0] for task in tasks):
        drawn = rng.permutation(np.flatnonzero(several))
        drawn = drawn[: -(-len(drawn) // 5)]
        tasks = [_task(liked, ~np.isin(liked.users, drawn), drawn, n_items)]
    return [task for task in tasks if task.seen.shape[0]]


def _task(liked: Log, before: NDArray[np.bool_], people: NDArray[np.intp], n_items: int) -> _Task:
    counted = liked.take(before)
    known = np.bincount(counted.items, minlength=n_items) > 0
    order = np.lexsort((-liked.ranks(int(liked.users.max()) + 1), liked.users))
    users, items = liked.users[order], liked.items[order]
    seen: list[NDArray[np.int64]] = []
    later: list[NDArray[np.int64]] = []
    for person in people:
        own = items[np.searchsorted(users, person) : np.searchsorted(users, person, side="right")]
        own = own[known[own]]
        for n in _PREFIXES:
            after = np.setdiff1d(own[n:], own[:n])
            if len(after) and (len(seen) + 1) * n_items <= max(_CELLS, n_items):
                seen.append(np.unique(own[:n]))
                later.append(after)
    return _Task(counted, _rows(seen, n_items), _rows(later, n_items))


def _rows(sets: list[NDArray[np.int64]], n_items: int) -> sparse.csr_array:
    """Sets of items as rows of 0 and 1."""
    indices = np.concatenate([*sets, np.zeros(0, dtype=np.int64)])
    ends = np.cumsum([0, *map(len, sets)])
    return sparse.csr_array((np.ones(len(indices)), indices, ends), shape=(len(sets), n_items))


def _blocks(n: int) -> Iterator[NDArray[np.intp]]:
    for first in range(0, n, _BLOCK):
        yield np.arange(first, min(first + _BLOCK, n))
