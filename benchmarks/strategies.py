"""Which strategy is the default: all contenders on every set, one rule for all.

New users, as in ``benchmarks.new_users``. The rule: the default is the strategy that is distinguishably worse than the
best on the fewest sets, the fewest dimensions of cost deciding where several are level. On Coat what is asked is what
users picked themselves and what is judged are items drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import ALL_POLIS, at_stages, folder_of, load, main
from palate import Dataset
from palate.acquisition import DEFAULT
from palate.evaluation.simulate import SimulationOptions, simulate
from palate.evaluation.world import HeldOut, World, users_world

CONTENDERS = (
    "entropy0",
    "log-popularity-entropy",
    "helf",
    "variance",
    "bald",
    "a-optimal",
    "a-optimal-relative",
    "lookahead",
)
STAGES = (0, 1, 2, 3, 5, 10, 20, 40)
MAX_USERS = 1000  # of a set, drawn anew for each seed: enough for intervals, and Jester has 7,200

SETS = (
    *("movielens-100k", "jester", "young-people-survey", "dog-aesthetics", "coat"),
    *(f"polis/{name}" for name in ALL_POLIS),
)


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """Every set with the pool that fits it: open where ratings are sparse."""
    runs: list[tuple[str, str, int, Callable[..., World] | None]] = [
        ("movielens-100k", "open", 40, None),
        ("movielens-100k", "answered", 10, None),
        ("jester", "answered", 10, None),
        ("young-people-survey", "answered", 10, None),
        ("dog-aesthetics", "answered", 10, None),
        ("coat", "answered", 10, picked_then_random),
    ]
    runs += [(f"polis/{name}", "answered", 10, None) for name in ALL_POLIS]
    rows = [_row(name, pool, budget, build, seeds) for name, pool, budget, build in runs if name in sets]
    return {"default": DEFAULT, "rows": rows, "distinguishably_worse": _losses(rows)}


def picked_then_random(data: Dataset, *, encoder: str, seed: int, max_users: int) -> World:
    """Coat: what can be asked is what the user picked; the test is what was drawn for them at random."""
    world = users_world(data, encoder=encoder, seed=seed, max_users=max_users)
    assert world.learner is not None
    ratings = pl.read_parquet(folder_of("coat") / "ratings.parquet")
    users = {user: row for row, user in enumerate(world.subjects)}
    items = {item: column for column, item in enumerate(world.learner.model.catalogue.ids)}
    tables = {}
    for part in ("self_selected", "random"):
        tables[part] = np.full(world.ratings.shape, np.nan)
        for user, item, rating in ratings.filter(pl.col("split") == part).select("user_id", "item_id", "rating").rows():
            if str(user) in users and str(item) in items:
                tables[part][users[str(user)], items[str(item)]] = rating
    test = ~np.isnan(tables["random"])
    answerable = ~np.isnan(tables["self_selected"]) & ~test  # the few pairs in both are judged, not asked
    return replace(
        world,
        ratings=np.where(answerable, tables["self_selected"], np.nan),
        answerable=answerable,
        held_out=HeldOut.build(np.where(test, tables["random"], np.nan), test),
    )


def _row(name: str, pool: str, budget: int, build: Callable[..., World] | None, seeds: int) -> dict[str, Any]:
    options = SimulationOptions(CONTENDERS, budget, tuple(range(seeds)), "new-users", pool, "none", MAX_USERS)
    document = simulate(load(name), options, build=build)
    stages = [stage for stage in STAGES if stage <= budget]
    strategies = at_stages(document, stages)
    protocol = {key: document["protocol"][key] for key in ("fit_users", "test_users")}
    return {"set": name, "pool": pool, "budget": budget, **protocol, "stages": stages, "strategies": strategies}


def _losses(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Sets on which the default is behind another contender at 10 questions by more than the interval."""
    behind = {}
    for row in rows:
        place = row["stages"].index(10)
        better = [
            name
            for name in ("popularity", *CONTENDERS)
            if name != DEFAULT and row["strategies"][name][f"minus {DEFAULT}"]["high"][place] < 0
        ]
        if better:
            behind[f"{row['set']} ({row['pool']})"] = better
    return behind


if __name__ == "__main__":
    main("strategies", run, seeds=20, sets=SETS, fixed=True)
