"""The one list: what somebody meets next, from everything that is known of what they met.

    M_i = Σ_k w_k(n) φ_k(i, h)        h what they met, oldest first, n how much

Each φ is an expert (:mod:`palate.ranking.experts`): the logarithm of how likely the item is met next, up to a constant.
With the chance that it is liked it makes the list (:mod:`palate.loop.lists`). Everything is chosen on people held back
inside the data: the half-life of popularity, which experts count, and how much, by how much is known
(:mod:`palate.ranking.weights`). A logarithmic pool of experts: Genest, Zidek, *Combining probability distributions*,
Statistical Science 1(1), 1986.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from palate.arrays import Array
from palate.encoders.histories.history import Log
from palate.ranking.cases import Cases, Offset
from palate.ranking.chances import Chances, fit_chances
from palate.ranking.experts.company import DECAY, Company, Pairs
from palate.ranking.experts.ease import Ease, fit_ease
from palate.ranking.experts.levels import HALF_LIVES, Level, lately, popularity
from palate.ranking.held_back import Met, Task, known_people, new_people
from palate.ranking.histories import Expert, Histories
from palate.ranking.weights import KNOWN, NEW, Weights, choose, fit_weights, polish

EVER, LATELY = "popular", "popular lately"
COMPANY, BROAD, LATE, EASE = "company", "company, shrunk more", "company of late", "ease"
SHRINKAGES: Mapping[str, float] = {COMPANY: 10.0, BROAD: 100.0, LATE: 10.0}
LEVELS = (EVER, LATELY)
_FEW = 100  # cases; of fewer, weights are not learnt
_L2 = 300.0  # of EASE
Likes = Callable[[Met], Offset]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What each expert adds to M for one person.

    Attributes:
        names: Of the experts that count.
        values: ``w_k(n) φ_k(i, h)``, (K, I).
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]

    @property
    def total(self) -> Array:
        """M, (I,)."""
        return np.asarray(self.values.sum(0, dtype=np.float64))

    @property
    def level(self) -> Array:
        """What of it is the same for everybody, (I,)."""
        rows = [row for row, name in enumerate(self.names) if name in LEVELS]
        return np.asarray(self.values[rows].sum(0, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class ListModel:
    """A fitted list.

    Attributes:
        levels: Logarithms of popularity by name, (I,) each.
        pairs: What is met together; None where no expert needs it.
        ease: None where it does not count.
        new, known: Weights for people who are not in the fit, and for those who are.
        half_life: Of :data:`LATELY`, in days; None without times.
        new_chances, known_chances: How likely what is shown comes next.
        met: What the people of the fit met, oldest first.
    """

    levels: Mapping[str, Array]
    pairs: Pairs | None
    ease: Ease | None
    new: Weights
    known: Weights
    half_life: float | None
    new_chances: Chances
    known_chances: Chances
    met: Histories

    @property
    def n_items(self) -> int:
        return len(self.levels[EVER])

    def expert(self, name: str) -> Expert:
        """By its name, if it counts."""
        if name in self.levels:
            return Level(self.levels[name].astype(np.float32))
        if name == EASE and self.ease is not None:
            return self.ease
        assert self.pairs is not None
        return Company(self.pairs.cosine(SHRINKAGES[name]), DECAY if name == LATE else 1.0)

    def parts(self, items: NDArray[np.intp], *, known: bool = False) -> Parts:
        """What each expert says of all items to somebody who met these, oldest first, each once.

        Args:
            known: Whether they are in the fit, and so in its counts.
        """
        weights = self.known if known and len(items) else self.new
        values = weights.of(len(items))
        history = Histories.of([items], self.n_items)
        counting = np.flatnonzero(values).tolist()
        names = tuple(weights.names[place] for place in counting)
        said = [values[place] * self.expert(weights.names[place]).evidence(history)[0] for place in counting]
        return Parts(names, np.array(said, dtype=np.float32).reshape(len(names), self.n_items))

    def chance(self, scores: Array, n: int, *, known: bool = False) -> Array:
        """How likely each item is what comes next and is liked, from the scores S of all that may be shown, (I,)."""
        shares = np.exp(scores - scores.max())
        return (self.known_chances if known and n else self.new_chances).of(shares / shares.sum(), n)


def fit_list(met: Met, *, likes: Likes | None = None, rng: np.random.Generator) -> ListModel:
    """The list of everything that people met.

    Args:
        likes: Gives from what is counted the logarithm of the chance that somebody likes each item, which is added to
            each score when weights are chosen; None where meeting is all that is known.
        rng: Source of the people and the rows held back.
    """
    new, known = new_people(met, rng), known_people(met, rng)
    half_life, level = _level(new, met.is_dated)
    names, fitted = _names(half_life), []
    for tasks, at in ((new, NEW), (known, KNOWN)):
        folds = [_cases(task, half_life, likes, rng) for task in tasks]
        values = _weights(folds, names, at, level)
        chances = fit_chances(folds, at, values) if _are_enough(folds) else Chances.plain(at)
        fitted.append((Weights(names, at, values), chances))
    (of_new, new_chances), (of_known, known_chances) = fitted
    counting = {name for weights in (of_new, of_known) for name in weights.counting}
    log = log_of(met)
    levels = {EVER: popularity(log, met.n_items)}
    if half_life is not None and LATELY in counting:
        levels[LATELY] = lately(log, met.n_items, half_life)
    pairs = Pairs.of(log, met.n_users, met.n_items) if counting & SHRINKAGES.keys() else None
    ease = fit_ease(log, met.n_users, met.n_items, _L2) if EASE in counting else None
    return ListModel(levels, pairs, ease, of_new, of_known, half_life, new_chances, known_chances, met.histories)


def _names(half_life: float | None) -> tuple[str, ...]:
    return (EVER, *((LATELY,) if half_life is not None else ()), COMPANY, BROAD, LATE, EASE)


def _level(tasks: list[Task], is_dated: bool) -> tuple[float | None, str]:
    """The half-life, and the level, under which what people did of whom nothing is known is likeliest.

    By likelihood: NDCG@10 of one list for all is noisy even with a thousand people.
    """
    if not is_dated or not tasks:
        return None, EVER
    costs = {half_life: _cost(tasks, half_life) for half_life in (None, *HALF_LIVES)}
    best = min(HALF_LIVES, key=lambda half_life: costs[half_life])
    return best, LATELY if costs[best] < costs[None] else EVER


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


def _are_enough(folds: list[Cases]) -> bool:
    return sum(map(len, folds)) >= _FEW


def _weights(folds: list[Cases], names: tuple[str, ...], at: tuple[float, ...], level: str) -> Array:
    """(J, K); of too few cases those of popularity and company alike."""
    is_level = np.array([name == level for name in names], dtype=np.float64)
    if not _are_enough(folds):
        values = np.tile(is_level + np.array([name == COMPANY for name in names]), (len(at), 1))
    else:
        levels = [place for place, name in enumerate(names) if name in LEVELS]
        others = [place for place, name in enumerate(names) if name not in LEVELS]
        columns = choose(folds, at, levels, others)
        values = fit_weights(folds, at, np.array(columns))
    if at is NEW:
        values[0] = is_level
    return polish(folds, at, values, range(int(at is NEW), len(at))) if _are_enough(folds) else values


def _cases(task: Task, half_life: float | None, likes: Likes | None, rng: np.random.Generator) -> Cases:
    experts = _experts(task.counted, half_life)
    return Cases.of(task, list(experts.values()), None if likes is None else likes(task.counted), rng)


def _experts(met: Met, half_life: float | None) -> dict[str, Expert]:
    log = log_of(met)
    pairs = Pairs.of(log, met.n_users, met.n_items)
    found: dict[str, Expert] = {EVER: Level(popularity(log, met.n_items).astype(np.float32))}
    if half_life is not None:
        found[LATELY] = Level(lately(log, met.n_items, half_life).astype(np.float32))
    near = pairs.cosine(SHRINKAGES[COMPANY])
    found |= {COMPANY: Company(near), BROAD: Company(pairs.cosine(SHRINKAGES[BROAD])), LATE: Company(near, DECAY)}
    found[EASE] = fit_ease(log, met.n_users, met.n_items, _L2)
    return found


def log_of(met: Met) -> Log:
    """The same as a log of events that are all alike."""
    n = len(met)
    return Log(met.users, met.items, np.ones(n), met.timestamps, np.zeros(n, dtype=np.int64))
