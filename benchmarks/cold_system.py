"""Nobody is known and nothing rated: rounds of five questions to everybody, then a fit, over all people.

``system`` chooses the pairs together (:mod:`palate.loop.ask_pairs`); the others choose for each user alone. Before the
first answers nothing tells one pair from another, so the first round of all but popularity and its like is drawn at
random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks._data import at_stages, load, main
from palate.acquisition import DEFAULT
from palate.evaluation.cold_system import SYSTEM
from palate.evaluation.simulate import SimulationOptions, simulate

STRATEGIES = ("log-popularity-entropy", "a-optimal", DEFAULT, SYSTEM)
SETS = ("movielens-100k", "jester", "young-people-survey")
STAGES = (0, 5, 10, 15, 20)
MAX_USERS = 300  # of a set, drawn anew for each seed: a fit after each round, for each strategy and seed


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """All sets, anything may be asked."""
    rows = []
    for name in sets:
        options = SimulationOptions(
            STRATEGIES, STAGES[-1], tuple(range(seeds)), "cold-system", "open", "none", MAX_USERS
        )
        rows.append(
            {"set": name, "stages": list(STAGES), "strategies": at_stages(simulate(load(name), options), STAGES)}
        )
    return {"rows": rows}


if __name__ == "__main__":
    main("cold_system", run, seeds=20, sets=SETS)
