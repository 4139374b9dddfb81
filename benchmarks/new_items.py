"""Whom to ask about an item that nobody has rated: RMSE on that item after 5, 10 and 20 questions.

``popularity`` asks the most active people, since the sides are exchanged (:mod:`palate.loop.ask_about_item`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks._data import at_stages, load, main
from palate.acquisition import DEFAULT
from palate.evaluation.simulate import SimulationOptions, simulate

STRATEGIES = ("variance", "bald", "a-optimal", DEFAULT)
RUNS = (
    ("movielens-100k", "open"),
    ("movielens-100k", "answered"),
    ("jester", "answered"),
    ("young-people-survey", "answered"),
)
STAGES = (0, 1, 5, 10, 20)
MAX_USERS = 1000  # of a set, drawn anew for each seed


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """A fifth of the items is new in each seed; their content is not read."""
    rows = []
    for name, pool in (run for run in RUNS if run[0] in sets):
        options = SimulationOptions(STRATEGIES, STAGES[-1], tuple(range(seeds)), "new-items", pool, "none", MAX_USERS)
        document = simulate(load(name), options)
        rows.append({"set": name, "pool": pool, "stages": list(STAGES), "strategies": at_stages(document, STAGES)})
    return {"rows": rows}


if __name__ == "__main__":
    main("new_items", run, seeds=20, sets=tuple(dict.fromkeys(name for name, _ in RUNS)), fixed=True)
