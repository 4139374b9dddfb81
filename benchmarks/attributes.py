"""Who a new user is, as the prior of their taste: RMSE after so many answers, with attributes and without.

New users, as in ``benchmarks.new_users``: the model and the table of users are those of the fit, the attributes of the
new users are known from the start, and a-optimal asks what they can answer. Without attributes everybody starts as the
population does; nothing else differs, since the fit of the items does not see the attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks._data import load, main
from palate.acquisition import STRATEGIES
from palate.evaluation.intervals import paired_rmse, rmse_interval
from palate.evaluation.play import play
from palate.evaluation.world import stacked, users_world
from palate.random import derive_rng

SETS = ("young-people-survey", "coat", "movielens-100k")
STAGES = (0, 1, 3, 5, 10)


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set."""
    return {"strategy": "a-optimal", "pool": "answered", "rows": [_row(name, seeds) for name in sets]}


def _row(name: str, seeds: int) -> dict[str, Any]:
    data = load(name, attributes=True)
    people = {user: row for row, user in enumerate(sorted(set(data.interactions["user_id"])))}
    squared = {who: np.zeros((len(people), len(STAGES))) for who in ("with", "without")}
    counts, names = np.zeros(len(people)), ()
    for seed in range(seeds):
        world = users_world(data, encoder="none", seed=seed, max_users=len(people))
        assert world.learner is not None and world.learner.model.attributes is not None
        names = world.learner.model.attributes.coding.names
        population = stacked([world.taste.start] * len(world.subjects))
        rows = [people[user] for user in world.subjects]
        for who, start in (("with", world.start), ("without", population)):
            rng = derive_rng(seed, "attributes")
            played = play(
                replace(world, start=start), STRATEGIES["a-optimal"], pool="answered", budget=STAGES[-1], rng=rng
            )
            squared[who][rows] += played.sums["rmse"][:, STAGES]
        counts[rows] += played.weights["rmse"]
    return {"set": name, "users": len(people), "attributes": list(names), "stages": list(STAGES)} | _figures(
        squared, counts
    )


def _figures(squared: dict[str, np.ndarray], counts: np.ndarray) -> dict[str, Any]:
    """RMSE of both, and the difference, paired by user: below 0 attributes help."""
    some = counts > 0
    figures = {
        who: rmse_interval(table[some], counts[some], rng=derive_rng(0, "bootstrap")) for who, table in squared.items()
    }
    figures["with_minus_without"] = paired_rmse(
        squared["with"][some], squared["without"][some], counts[some], rng=derive_rng(0, "bootstrap")
    )
    return {
        name: {end: np.round(values, 5).tolist() for end, values in interval.as_dict().items()}
        for name, interval in figures.items()
    }


if __name__ == "__main__":
    main("attributes", run, seeds=20, sets=SETS)
