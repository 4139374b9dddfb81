"""People who are new, of logs as the benchmarks of history have them, and the wide grids in which rivals are tuned."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import polars as pl

from benchmarks._sequences import world
from palate import Dataset
from palate.datasets.splits import global_time
from palate.entities import ITEM, USER
from palate.evaluation.newcomers import Grids, Newcomers

STAGES = (0, 1, 3, 10, 30)
DAYS = (0.5, 1.0, 3.0, 7.0, 14.0, 30.0, 90.0, 365.0, 1500.0)
SHRINKAGES = (0.0, 10.0, 100.0, 1000.0, 10000.0)
NEIGHBOURS = (20, 50, 100, 200, 400, float("inf"))
L2 = (5.0, 15.0, 50.0, 150.0, 500.0, 1500.0, 5000.0, 15000.0, 50000.0, 150000.0)
FACTORS, SHRINKS, ALPHAS = (16, 32, 64, 128), (1.0, 3.0, 8.0, 20.0, 60.0), (1.5, 4.0, 10.0, 40.0)
MOST_ITEMS = 3000  # of a catalogue, those most met: EASE in every setting would take hours on more
GRIDS: Grids = {
    "popularity": [()],
    "recent-popularity": [(days,) for days in DAYS],
    "item-knn": list(itertools.product(SHRINKAGES, NEIGHBOURS)),
    "ease": [(l2,) for l2 in L2],
    "ials": [  # all of shrinkage and alpha at 32 factors, and other factors at some of them
        *itertools.product((32,), SHRINKS, ALPHAS),
        *itertools.product([factors for factors in FACTORS if factors != 32], SHRINKS[1:4], ALPHAS[:3]),
    ],
}


def newcomers(data: Dataset, *, rng: np.random.Generator, most: int) -> Newcomers:
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
    before = global_time(data).train if dated else part.data
    return Newcomers(part.train, [each[place] for place in chosen], dated, before)


def _often_met(train: Dataset, test: Dataset) -> tuple[Dataset, Dataset]:
    """Both with the items that most people met in the training part only."""
    counts = train.interactions.group_by(ITEM).agg(pl.col(USER).n_unique().alias("n"))
    kept = counts.sort("n", ITEM, descending=[True, False])[ITEM].head(MOST_ITEMS)
    some = pl.col(ITEM).is_in(kept.implode())
    return (
        replace(train, interactions=train.interactions.filter(some)),
        replace(test, interactions=test.interactions.filter(some)),
    )
