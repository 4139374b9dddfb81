"""People who are new, by how much is known of them: who they are, and rivals tuned for each length of history."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from benchmarks._sequences import World, world
from palate import Dataset
from palate.datasets.splits import global_time
from palate.entities import ITEM, USER
from palate.evaluation.baselines import Ease, Ials, Interactions, ItemKNN
from palate.evaluation.ranking import judge
from palate.ranking.experts.walks import nearest

STAGES = (0, 1, 3, 10, 30)
DAYS = (0.5, 1.0, 3.0, 7.0, 14.0, 30.0, 90.0, 365.0, 1500.0)
SHRINKAGES = (0.0, 10.0, 100.0, 1000.0, 10000.0)
NEIGHBOURS = (20, 50, 100, 200, 400, float("inf"))
L2 = (5.0, 15.0, 50.0, 150.0, 500.0, 1500.0, 5000.0, 15000.0, 50000.0, 150000.0)
FACTORS, SHRINKS, ALPHAS = (16, 32, 64, 128), (1.0, 3.0, 8.0, 20.0, 60.0), (1.5, 4.0, 10.0, 40.0)
LEAST = 20  # people of a length of history, by whom settings are chosen; with fewer by those of the next shorter one
MOST_ITEMS = 3000  # of a catalogue, those most met: EASE in every setting would take hours on more
K = 10
Figures = dict[str, np.ndarray]  # by metric, of each person
Scores = Callable[[sparse.csr_array], np.ndarray]  # of histories (n, I) the scores, (n, I)


@dataclass(frozen=True, eq=False)
class People:
    """A training part, and of people who are not in it what they did, in order.

    Attributes:
        part: The training part.
        items: Of each person, each item once, those that are known in the training part only.
        dated: Whether the order is that of time; otherwise it is drawn.
    """

    part: World
    items: Sequence[np.ndarray]
    dated: bool

    def at(self, n: int) -> list[np.ndarray]:
        """Those who did more than n."""
        return [items for items in self.items if len(items) > n]

    def stages(self) -> Iterator[int]:
        return (n for n in STAGES if self.at(n))


def newcomers(data: Dataset, *, rng: np.random.Generator, most: int) -> People:
    """Who has nothing before a moment; without times a fifth of the people, drawn, their items in an order drawn.

    Args:
        most: People, drawn if there are more.
    """
    dated = data.interactions["timestamp"].null_count() == 0
    if dated:
        parts = global_time(data)
        old = parts.train.interactions[USER].unique()
        test = parts.test.filter((~parts.test.interactions[USER].is_in(old.implode())).to_numpy())
        part = world(*_often_met(parts.train, test))
    else:
        people = data.interactions[USER].unique().sort()
        drawn = people.gather(np.sort(rng.permutation(len(people))[: len(people) // 5]))
        mask = data.interactions[USER].is_in(drawn.implode()).to_numpy()
        part = world(*_often_met(data.filter(~mask), data.filter(mask)))
    users, items = part.test.users, part.test.items
    if not dated:
        order = rng.permutation(len(users))
        users, items = users[order], items[order]
    order = np.argsort(users, kind="stable")
    each = np.split(items[order], np.flatnonzero(np.diff(users[order])) + 1) if len(users) else []
    chosen = np.sort(rng.permutation(len(each))[:most])
    return People(part, [each[place] for place in chosen], dated)


def _often_met(train: Dataset, test: Dataset) -> tuple[Dataset, Dataset]:
    """Both with the items that most people met in the training part only."""
    counts = train.interactions.group_by(ITEM).agg(pl.col(USER).n_unique().alias("n"))
    kept = counts.sort("n", ITEM, descending=[True, False])[ITEM].head(MOST_ITEMS)
    some = pl.col(ITEM).is_in(kept.implode())
    return (
        replace(train, interactions=train.interactions.filter(some)),
        replace(test, interactions=test.interactions.filter(some)),
    )


def figures(score: Scores, people: People, n: int) -> Figures:
    """NDCG@10 and recall@20 of what each of them did after the first n, items in the history left out."""
    some, n_items = people.at(n), people.part.train.n_items
    seen, later = (
        _rows([part(items) for items in some], n_items) for part in (lambda items: items[:n], lambda items: items[n:])
    )
    found = judge(_Scored(score, seen), seen, later, K)[0]
    return {"ndcg@10": found["ndcg@10"], "recall@20": found["recall@20"]}


@dataclass(frozen=True, eq=False)
class _Scored:
    score_of: Scores
    histories: sparse.csr_array

    def score(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(self.score_of(self.histories[users]), dtype=np.float64)


def _rows(items: Sequence[np.ndarray], n_items: int) -> sparse.csr_array:
    """Sets of items as rows of ones, each in its order."""
    ends = np.cumsum([0, *map(len, items)])
    indices = np.concatenate([*items, np.zeros(0, dtype=np.int64)])
    return sparse.csr_array((np.ones(len(indices)), indices, ends), shape=(len(items), n_items))


# ---- rivals ---------------------------------------------------------------------------------------------------------

Setting = tuple[float, ...]
GRIDS: Mapping[str, Sequence[Setting]] = {
    "popularity": [()],
    "recent-popularity": [(days,) for days in DAYS],
    "item-knn": list(itertools.product(SHRINKAGES, NEIGHBOURS)),
    "ease": [(l2,) for l2 in L2],
    "ials": [  # all of shrinkage and alpha at 32 factors, and other factors at some of them
        *itertools.product((32,), SHRINKS, ALPHAS),
        *itertools.product([factors for factors in FACTORS if factors != 32], SHRINKS[1:4], ALPHAS[:3]),
    ],
}
LEVELS = ("popularity", "recent-popularity")


class Rivals:
    """Rivals fitted on one training part; what several settings share is made once."""

    def __init__(self, train: Interactions) -> None:
        self._train, self._cosine = train, (float("nan"), sparse.csr_array((0, 0)))
        self.grids = {name: grid for name, grid in GRIDS.items() if name != LEVELS[1] or _is_dated(train)}

    def fit(self, name: str, setting: Setting) -> Scores:
        train, rng = self._train, np.random.default_rng(0)
        if name == "popularity":
            return _same(np.bincount(train.items, minlength=train.n_items).astype(np.float64))
        if name == "recent-popularity":
            age = (train.timestamps.max() - train.timestamps) / 86_400.0
            return _same(np.bincount(train.items, 0.5 ** (age / setting[0]), train.n_items))
        if name == "item-knn":
            if self._cosine[0] != setting[0]:
                cosine = ItemKNN(train.n_items, setting[0]).fit(train, rng=rng).weights
                self._cosine = setting[0], sparse.csr_array(cosine)
            return _linear(nearest(self._cosine[1], setting[1]))
        if name == "ease":
            return _linear(Ease(*setting).fit(train, rng=rng).weights)
        factors, shrinkage, alpha = setting
        return _folded(Ials(int(factors), shrinkage, alpha), train)


def _is_dated(train: Interactions) -> bool:
    return not np.isnan(train.timestamps).any()


def _same(scores: np.ndarray) -> Scores:
    return lambda histories: np.broadcast_to(scores, histories.shape)


def _linear(weights: Any) -> Scores:
    def score(histories: sparse.csr_array) -> np.ndarray:
        found = histories @ weights
        return np.asarray(found.toarray() if sparse.issparse(found) else found)

    return score


def _folded(model: Ials, train: Interactions) -> Scores:
    """iALS, of people who are not in its fit: the same regression that gives those of the fit their factors."""
    items = model.fit(train, rng=np.random.default_rng(0)).items.astype(np.float64)
    gram = items.T @ items + model.shrinkage * model.alpha * np.eye(items.shape[1])

    def score(histories: sparse.csr_array) -> np.ndarray:
        users = np.zeros((histories.shape[0], items.shape[1]))
        for row in range(len(users)):
            own = items[histories.indices[histories.indptr[row] : histories.indptr[row + 1]]]
            left = gram + (model.alpha - 1.0) * (own.T @ own)
            users[row] = np.linalg.solve(left, model.alpha * own.sum(0))
        return np.asarray(users @ items.T)

    return score


def tuned(inner: People, outer: People) -> dict[int, dict[str, tuple[Setting, Figures]]]:
    """By length of history and rival its setting of the best NDCG@10 inside the training part, and its figures outside.

    Of a length with fewer than 20 people there the settings are those of the next shorter one.
    """
    quality: dict[int, dict[str, dict[Setting, float]]] = {n: {} for n in STAGES}
    before = Rivals(inner.part.train)
    for name, grid in before.grids.items():
        print("  inside:", name, len(grid), file=sys.stderr)
        for setting in grid:
            score = before.fit(name, setting)
            for n in inner.stages():
                if n or name in LEVELS:
                    found = figures(score, inner, n)["ndcg@10"]
                    quality[n].setdefault(name, {})[setting] = float(np.nanmean(found))
    after, result = Rivals(outer.part.train), {}
    for n in outer.stages():
        able = [m for m in STAGES if m <= n and (m or not n) and len(inner.at(m)) >= LEAST and quality[m]]
        chosen = quality[able[-1] if able else min(n, 1)]
        print("  outside: after", n, len(outer.at(n)), "people", file=sys.stderr)
        best = {name: max(tried, key=lambda setting: tried[setting]) for name, tried in chosen.items()}
        result[n] = {name: (best[name], figures(after.fit(name, best[name]), outer, n)) for name in best}
    return result
