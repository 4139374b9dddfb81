"""The fit of the one list: experts, and their weights, from what everybody met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from palate.arrays import Array
from palate.encoders.histories.history import Log
from palate.machine import blas_threads
from palate.ranking.cases import DISCOUNT, Cases, K, Offset
from palate.ranking.chances import DIGITS, Chances, fit_chances
from palate.ranking.experts.company import DECAY, Company, Pairs
from palate.ranking.experts.content import ContentExpert
from palate.ranking.experts.ease import fit_ease
from palate.ranking.experts.factor_panel import choose_factors
from palate.ranking.experts.factors import FactorSettings, fit_factors
from palate.ranking.experts.friends import Friends
from palate.ranking.experts.levels import HALF_LIVES, Level, lately, popularity
from palate.ranking.experts.walks import walk
from palate.ranking.held_back import Met, Task, known_people, new_people
from palate.ranking.histories import Expert
from palate.ranking.list_model import COMPANY, EVER, FRIENDS, LATE, LATELY, SHRINKAGES, ListModel
from palate.ranking.weights import KNOWN, NEW, Weights, fit_weights, polish

EASE: Mapping[str, float] = {"ease": 100.0, "ease, held back more": 1000.0}
WALK = "walk"
FACTORS = ("factors of short histories", "factors of long histories")
_FEW = 100  # cases; of fewer, weights are not learnt
Likes = Callable[[Met], Offset]
Contents = Callable[[Array], Sequence[ContentExpert]]


@blas_threads(1)
def fit_list(
    met: Met, *, likes: Likes | None = None, contents: Contents | None = None, rng: np.random.Generator
) -> ListModel:
    """The list of everything that people met.

    Args:
        likes: Gives from what is counted the logarithm of the chance that somebody likes each item, which is added to
            each score when weights are chosen; None where meeting is all that is known.
        contents: Gives experts by content from how many met each item; None without content.
        rng: Source of the people and the rows held back, and of the factors' start.
    """
    sample = met.sample(rng)
    new, known = new_people(sample, rng), known_people(sample, rng)
    if min(_size(new), _size(known)) < _FEW:
        return _plain(met)
    half_life, level = _level(new, met.is_dated)
    maker = _Maker(half_life, choose_factors([new[-1], known[-1]], rng), contents, rng)
    of_new, new_chances = _learnt([maker.cases(task, likes) for task in new], maker.names(met), NEW, level)
    of_known, known_chances = _learnt([maker.cases(task, likes) for task in known], maker.names(met), KNOWN, level)
    counting = {*of_new.counting, *of_known.counting}
    log = log_of(met)
    levels = {EVER: popularity(log, met.n_items)}
    if half_life is not None and LATELY in counting:
        levels[LATELY] = lately(log, met.n_items, half_life)
    pairs = Pairs.of(log, met.n_users, met.n_items) if counting & SHRINKAGES.keys() else None
    experts = maker.others(met, counting)
    last = float(met.timestamps.max()) if met.is_dated else None
    return ListModel(
        levels, pairs, experts, of_new, of_known, half_life, new_chances, known_chances, met.histories, last
    )


def _size(tasks: list[Task]) -> int:
    return sum(len(task.weights) for task in tasks)


def _plain(met: Met) -> ListModel:
    """Popularity, and as much what is met together: where too few people can be held back to learn more."""
    log, names = log_of(met), (EVER, COMPANY)
    new = Weights(names, NEW, np.array([[1.0, 0.0], *[[1.0, 1.0]] * (len(NEW) - 1)]))
    known = Weights(names, KNOWN, np.ones((len(KNOWN), 2)))
    pairs = Pairs.of(log, met.n_users, met.n_items)
    levels = {EVER: popularity(log, met.n_items)}
    return ListModel(levels, pairs, {}, new, known, None, Chances.plain(NEW), Chances.plain(KNOWN), met.histories)


def _level(tasks: list[Task], is_dated: bool) -> tuple[float | None, str]:
    """The half-life, and the level, for people of whom nothing is known.

    That under which what they did is likeliest; or that of the best lists, if these are better by more than chance.
    NDCG@10 of one list for all is what counts, and noisy even with a thousand people.
    """
    if not is_dated:
        return None, EVER
    costs = {half_life: _cost(tasks, half_life) for half_life in (None, *HALF_LIVES)}
    lists = {half_life: _lists(tasks, half_life) for half_life in costs}
    likeliest = min(costs, key=lambda half_life: costs[half_life])
    best = max(lists, key=lambda half_life: float(lists[half_life].mean()))
    gain = lists[best] - lists[likeliest]
    best = best if gain.mean() > 2.0 * gain.std() / np.sqrt(len(gain)) else likeliest
    if best is not None:
        return best, LATELY
    return min(HALF_LIVES, key=lambda half_life: costs[half_life]), EVER


def _lists(tasks: list[Task], half_life: float | None) -> Array:
    """NDCG@10 of the list of a level for everybody of whom nothing is known."""
    found = []
    for task in tasks:
        log, n_items = log_of(task.counted), task.counted.n_items
        level = popularity(log, n_items) if half_life is None else lately(log, n_items, half_life)
        shown = np.argsort(-np.where(task.known, level, -np.inf), kind="stable")[:K]
        gains = np.zeros(n_items)
        gains[shown] = DISCOUNT[: len(shown)]
        rows = np.repeat(np.arange(len(task.later)), task.later.sizes)
        reached = np.bincount(rows, gains[task.later.items], minlength=len(task.later))
        ideal = DISCOUNT.cumsum()[np.minimum(task.later.sizes, K) - 1]
        found.append((reached / ideal)[task.histories.sizes == 0])
    return np.concatenate(found)


def _cost(tasks: list[Task], half_life: float | None) -> float:
    """Mean −log chance of what is liked later under a softmax of a level times its best slope, for no history."""
    parts = []
    for task in tasks:
        log, n_items, known = log_of(task.counted), task.counted.n_items, task.known
        level = popularity(log, n_items) if half_life is None else lately(log, n_items, half_life)
        rows = np.repeat(np.arange(len(task.later)), task.later.sizes)
        rows, items = rows[first := (task.histories.sizes == 0)[rows]], task.later.items[first]
        share = 1.0 / task.later.sizes[rows]
        parts.append((level[known], float(share @ level[items] / share.sum())))
    return float(
        minimize_scalar(
            lambda slope: sum(logsumexp(slope * level) - slope * mean for level, mean in parts),
            bounds=(0.05, 5.0),
            method="bounded",
        ).fun
    )


def _learnt(folds: list[Cases], names: tuple[str, ...], at: tuple[float, ...], level: str) -> tuple[Weights, Chances]:
    """Weights and chances; of new people of whom nothing is known the level, and what their friends met."""
    values = fit_weights(folds, at)
    free = np.ones_like(values, dtype=bool)
    if at is NEW:
        of_friends = np.array([name == FRIENDS for name in names])
        values[0] = np.where(of_friends, values[0], [name == level for name in names])
        free[0] = of_friends
    values = polish(folds, at, values, free)
    values = np.round(values, DIGITS)
    return Weights(names, at, values), fit_chances(folds, at, values)


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """Makes the experts of what is counted."""

    half_life: float | None
    settings: tuple[FactorSettings, FactorSettings]
    contents: Contents | None
    rng: np.random.Generator

    def names(self, met: Met) -> tuple[str, ...]:
        levels = (EVER,) if self.half_life is None else (EVER, LATELY)
        friends = () if met.friends is None else (FRIENDS,)
        return (*levels, *SHRINKAGES, WALK, *EASE, *FACTORS, *(one.name for one in self._content(met)), *friends)

    def cases(self, task: Task, likes: Likes | None) -> Cases:
        met, log = task.counted, log_of(task.counted)
        pairs = Pairs.of(log, met.n_users, met.n_items)
        experts: list[Expert] = [Level(popularity(log, met.n_items).astype(np.float32))]
        if self.half_life is not None:
            experts.append(Level(lately(log, met.n_items, self.half_life).astype(np.float32)))
        experts += [
            Company(pairs.cosine(shrinkage), DECAY if name == LATE else 1.0) for name, shrinkage in SHRINKAGES.items()
        ]
        experts += self.others(met, None).values()
        if met.friends is not None:
            experts.append(Friends(_matrix(met)))
        return Cases.of(task, experts, None if likes is None else likes(met), self.rng)

    def others(self, met: Met, counting: set[str] | None) -> dict[str, Expert]:
        """Those that are more than counts, by name: all, or those that count."""
        found: dict[str, Expert] = {}
        if counting is None or WALK in counting:
            found[WALK] = Company(walk(_matrix(met)).astype(np.float32))
        for name, l2 in EASE.items():
            if counting is None or name in counting:
                found[name] = fit_ease(log_of(met), met.n_users, met.n_items, l2)
        for name, settings in zip(FACTORS, self.settings, strict=True):
            if counting is None or name in counting:
                found[name] = fit_factors(_matrix(met), settings, rng=self.rng)
        return found | {one.name: one for one in self._content(met) if counting is None or one.name in counting}

    def _content(self, met: Met) -> Sequence[ContentExpert]:
        if self.contents is None:
            return ()
        return self.contents(np.bincount(met.items, minlength=met.n_items).astype(np.float64))


def _matrix(met: Met) -> sparse.csr_array:
    ones = np.ones(len(met))
    return sparse.csr_array((ones, (met.users, met.items)), shape=(met.n_users, met.n_items))


def log_of(met: Met) -> Log:
    """The same as a log of events that are all alike."""
    n = len(met)
    return Log(met.users, met.items, np.ones(n), met.timestamps, np.zeros(n, dtype=np.int64))
