"""How fast popularity fades, and whether the age of an item says more than that.

*Moving*: the log is replayed. Before somebody takes something up, the items that are known by then are ordered by what
was counted before that moment, as a service does that is told what everybody does. NDCG@10 of what they took up; rows
of one person at one time are one list. Levels are popularity ever, popularity of late, and of late with the age of an
item in two forms: ``age`` takes ``w log(age + 1 hour)`` away, with ``entry`` an item enters as if w people had just met
it. Half-life and w have the best mean on the first half of these lists and are judged on the second. ``before`` is the
best of the half-lives that Palate tried before, one day at least. Age counts from the first row of an item, shown or
taken up.

*Fitted*: the one list for people who are new at a cut in time, fitted with the half-lives tried before and with those
tried now, after n events, by the protocol of :mod:`palate.evaluation.newcomers`. Intervals are over people, paired.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
import polars as pl

from benchmarks._data import load, main
from benchmarks._sequences import load_events
from palate import Dataset
from palate.datasets.samples import news_sample
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.newcomers import NDCG, Newcomers, figures, newcomers, scores_of
from palate.evaluation.palate_ranker import Palate, met_of
from palate.random import derive_rng
from palate.ranking import fit_list
from palate.ranking.experts.levels import DAY, EVER_SHARE, HALF_LIVES, LEAST
from palate.vocabulary import FOR

SETS = ("mind-cut", "news-sample", "movietweetings", "movielens-latest-small")
BEFORE = tuple(half_life for half_life in HALF_LIVES if half_life >= 1.0)
EVER = 1e9  # days: a half-life that is none
MOVING = (*HALF_LIVES, EVER)
AGES = (0.0, 0.25, 0.5, 1.0)
ENTRIES = (0.0, 0.3, 1.0, 3.0)
HOUR = 1.0 / 24.0
LISTS = 1000  # replayed, at most, spread over the second half of the log's time
STAGES = (0, 1, 3, 10)
_DISCOUNT = 1.0 / np.log2(np.arange(2.0, 12.0))


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed; a seed draws the people, and whatever is drawn in a fit."""
    return {"rows": [row(name, seed) for name in names for seed in range(seeds)]}


def row(name: str, seed: int) -> dict[str, Any]:
    data = _load(name, seed)
    print(name, seed, data.interactions.height, file=sys.stderr)
    return {"set": name, "seed": seed, "moving": moving(data), "fitted": fitted(data, seed)}


def _load(name: str, seed: int) -> Dataset:
    """Rows with times alone: the histories of MIND have none."""
    if name == "news-sample":
        return news_sample(rng=derive_rng(seed, "sample"))
    data = load("mind-cut/original") if name == "mind-cut" else load_events(name)
    return data.filter(pl.col("timestamp").is_not_null())


# --- moving -----------------------------------------------------------------------------------------------------------


def moving(data: Dataset) -> dict[str, Any]:
    """The best of each kind of level on later lists."""
    people, quality = _replayed(data)
    half = len(people) // 2
    early = quality[:half].mean(0)
    kinds = {
        "ever": [(EVER, 0.0, 0.0)],
        "before": [(days, 0.0, 0.0) for days in BEFORE],
        "now": [(days, 0.0, 0.0) for days in HALF_LIVES],
        "age": [(days, age, 0.0) for days in MOVING for age in AGES],
        "entry": [(days, 0.0, entry) for days in HALF_LIVES for entry in ENTRIES],
    }
    best = {kind: max(tried, key=lambda one: early[_settings().index(one)]) for kind, tried in kinds.items()}
    _, owner = np.unique(people[half:], return_inverse=True)
    sizes = np.bincount(owner)
    found = {kind: np.bincount(owner, quality[half:, _settings().index(one)]) / sizes for kind, one in best.items()}
    rng = derive_rng(0, "bootstrap")
    return {
        "lists": len(people) - half,
        "people": len(sizes),
        "chosen": {kind: {"half_life": days, "age": age, "entry": n} for kind, (days, age, n) in best.items()},
        NDCG: {kind: bootstrap_mean(each, rng=rng, within=(0.0, 1.0)).as_dict() for kind, each in found.items()},
        "now_minus_before": paired_bootstrap(found["now"], found["before"], rng=rng).as_dict(),
        "age_minus_now": paired_bootstrap(found["age"], found["now"], rng=rng).as_dict(),
        "entry_minus_now": paired_bootstrap(found["entry"], found["now"], rng=rng).as_dict(),
    }


def _settings() -> list[tuple[float, float, float]]:
    """Half-life in days, weight of the age, people at the entry."""
    return [
        *((days, age, 0.0) for days in MOVING for age in AGES),
        *((days, 0.0, entry) for days in HALF_LIVES for entry in ENTRIES[1:]),
    ]


def _replayed(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Whose each list was, (L,), and its NDCG@10 by setting, (L, S)."""
    rows = data.interactions.sort("timestamp", maintain_order=True)
    users, items = (rows[name].rank("dense").to_numpy().astype(np.int64) - 1 for name in ("user_id", "item_id"))
    days, taken = rows["timestamp"].to_numpy() / DAY, rows["event"].is_in(list(FOR)).to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(days) != 0.0) | (np.diff(users) != 0)]))
    ends = np.append(starts[1:], len(days))
    late = np.flatnonzero(days[starts] >= (days[0] + days[-1]) / 2.0)
    shown = set(late[np.unique(np.linspace(0, len(late) - 1, LISTS).astype(int))].tolist())
    counts = _Counts(items.max() + 1)
    people, found = [], []
    for place, (first, last) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        wanted = items[first:last][taken[first:last]]
        if place in shown:
            wanted = wanted[np.isfinite(counts.first[wanted])]
            if len(wanted):
                people.append(users[first])
                found.append(counts.quality(days[first], np.unique(wanted)))
        counts.take(days[first], items[first:last], taken[first:last])
    return np.array(people), np.array(found)


class _Counts:
    """What was counted of each item, by half-life and by how many people it entered with."""

    def __init__(self, n_items: int) -> None:
        self.first, self.ever = np.full(n_items, np.inf), np.zeros(n_items)
        self._late = np.zeros((len(MOVING), len(ENTRIES), n_items))
        self._now, self._rate = 0.0, np.log(2.0) / np.array(MOVING)
        self._since: list[tuple[float, np.ndarray, np.ndarray]] = []  # what is not counted yet: when, new, taken

    def take(self, now: float, items: np.ndarray, taken: np.ndarray) -> None:
        new = np.unique(items[~np.isfinite(self.first[items])])
        self.first[new] = now
        np.add.at(self.ever, items[taken], 1.0)
        self._since.append((now, new, items[taken]))

    def _count(self, now: float) -> None:
        """All until a moment, faded to it."""
        self._late *= np.exp(-self._rate * (now - self._now))[:, None, None]
        n_items = len(self.first)
        for part, amounts in ((1, np.array(ENTRIES)), (2, np.ones(len(ENTRIES)))):
            items = np.concatenate([one[part] for one in self._since]) if self._since else np.zeros(0, np.int64)
            ages = np.repeat([now - one[0] for one in self._since], [len(one[part]) for one in self._since])
            for place, rate in enumerate(self._rate.tolist()):
                added = np.bincount(items, np.exp(-rate * ages), n_items)
                self._late[place] += amounts[:, None] * added
        self._since, self._now = [], now

    def quality(self, now: float, wanted: np.ndarray) -> np.ndarray:
        """NDCG@10 of each setting, (S,)."""
        self._count(now)
        known = np.flatnonzero(np.isfinite(self.first))
        late, ever = self._late[:, :, known].astype(np.float32), self.ever[known].astype(np.float32)
        share = EVER_SHARE * late.sum(-1, keepdims=True) / max(float(ever.sum()), 1.0)
        levels = np.log(late + share * ever + np.float32(LEAST))
        age = np.log(now - self.first[known] + HOUR).astype(np.float32)
        aged = levels[:, :1] - np.array(AGES, np.float32)[None, :, None] * age
        scores = np.concatenate([aged.reshape(-1, len(age)), levels[:-1, 1:].reshape(-1, len(age))])
        k = min(len(_DISCOUNT), len(known))
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
        hit = np.isin(known[np.take_along_axis(top, order, 1)], wanted)
        return np.asarray(hit @ _DISCOUNT[:k] / _DISCOUNT[: min(len(wanted), k)].sum())


# --- fitted -----------------------------------------------------------------------------------------------------------


def fitted(data: Dataset, seed: int) -> dict[str, Any]:
    """The one list with the half-lives of before and of now, by n; where both choose the same it is the same list."""
    people = newcomers(data, rng=derive_rng(seed, "outer"))
    chosen = {name: _chosen(people, seed, tried) for name, tried in (("before", BEFORE), ("now", HALF_LIVES))}
    same = chosen["before"] == chosen["now"]
    print("  chosen", chosen, file=sys.stderr)
    result: dict[str, Any] = {"chosen": chosen, "same_list": same, "people": len(people.items)}
    return result if same else result | {"stages": _stages(people, seed)}


def _chosen(people: Newcomers, seed: int, half_lives: tuple[float, ...]) -> dict[str, Any]:
    """Half-life in days, and what orders the list of somebody of whom nothing is known, as the fit chooses them."""
    rng, met = derive_rng(seed, "palate"), met_of(people.train.liked)
    with mock.patch.object(fit_list, "HALF_LIVES", half_lives):
        half_life, level = fit_list._level(fit_list.new_people(met.sample(rng), rng), met.is_dated)
    return {"half_life": half_life, "level": level}


def _stages(people: Newcomers, seed: int) -> dict[str, Any]:
    lists = {}
    for name, half_lives in (("before", BEFORE), ("now", HALF_LIVES)):
        with mock.patch.object(fit_list, "HALF_LIVES", half_lives):
            lists[name] = Palate().fit(people.train, rng=derive_rng(seed, "palate"))
    stages = {}
    for n in people.stages(STAGES):
        found = {name: figures(scores_of(each), people, n)[NDCG] for name, each in lists.items()}
        rng = derive_rng(0, "bootstrap")
        stages[str(n)] = {
            "people": len(found["now"]),
            NDCG: {name: bootstrap_mean(each, rng=rng, within=(0.0, 1.0)).as_dict() for name, each in found.items()},
            "now_minus_before": paired_bootstrap(found["now"], found["before"], rng=rng).as_dict(),
        }
    return stages


if __name__ == "__main__":
    main("freshness", run, seeds=1, sets=SETS)
