"""New people: how many questions each strategy needs. MovieLens-100K with both pools, Polis and Jester."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks._data import POLIS, load, main
from palate.acquisition import DEFAULT
from palate.evaluation.headline import headline
from palate.evaluation.simulate import SimulationOptions, simulate

STRATEGIES = ("entropy", "variance", "bald", "a-optimal", "epig", "lookahead")
STAGES = (0, 1, 2, 5, 6, 10, 20, 40)


RUNS = (  # budgets of the others end where random is to be reached
    ("movielens-100k", "open", 40),
    ("movielens-100k", "answered", 20),
    ("jester", "answered", 10),
    *((f"polis/{name}", "answered", 10) for name in POLIS),
)


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """Every set."""
    rows, first = [], ""
    for name, pool, budget in (run for run in RUNS if run[0] in sets):
        options = SimulationOptions(STRATEGIES, budget, tuple(range(seeds)), "new-users", pool, "none")
        document = simulate(load(name), options)
        first = first or headline(document, DEFAULT)
        strategies = _short(document, budget)
        rows.append({"set": name, "pool": pool, "protocol": document["protocol"], "strategies": strategies})
    return {"headline": first, "rows": rows}


def _short(document: dict[str, Any], budget: int) -> dict[str, Any]:
    """RMSE and its difference to random and popularity at the stages, and the questions saved."""
    stages = [stage for stage in STAGES if stage <= budget]
    short: dict[str, Any] = {"stages": stages}
    for name, summary in document["strategies"].items():
        parts = {"rmse": summary["rmse"], **{f"minus {k}": v for k, v in summary["rmse_minus"].items()}}
        short[name] = {
            part: {end: [round(values[stage], 5) for stage in stages] for end, values in interval.items()}
            for part, interval in parts.items()
        }
        short[name]["labels_saved"] = summary.get("labels_saved")
        short[name]["answered"] = summary["answered"][-1]
    return short


if __name__ == "__main__":
    main("new_users", run, seeds=20, sets=tuple(dict.fromkeys(name for name, *_ in RUNS)), fixed=True)
