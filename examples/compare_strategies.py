"""How many questions does a strategy save? Play several against the same known answers, on a generated world.

Run it with ``python examples/compare_strategies.py``; it takes a few seconds. A claim needs real data and 20 seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.datasets import planted_world
from palate.evaluation.simulate import SimulationOptions, simulate

BUDGET = 10


def main() -> None:
    world = planted_world(users=200, items=80, rng=np.random.default_rng(0))
    options = SimulationOptions(
        strategies=("entropy", "a-optimal", "epig"), budget=BUDGET, seeds=(0, 1), pool="open", encoder="none"
    )
    document = simulate(world.dataset, options)

    people, seeds = document["protocol"]["test_users"], len(options.seeds)
    print(f"RMSE of held-out ratings; {people} people never seen, {seeds} seeds, questions saved against random")
    print(f"{'':18} {'before':>7} {'after 5':>8} {f'after {BUDGET}':>9} {'saved':>16}")
    for name, figures in document["strategies"].items():
        curve = figures["rmse"]["mean"]
        print(f"{name:18} {curve[0]:7.3f} {curve[5]:8.3f} {curve[-1]:9.3f} {saved(figures):>16}")


def saved(figures: dict[str, Any]) -> str:
    """How many times fewer questions than random, with its 95 % interval; a dash where that was never reached."""
    found = figures.get("labels_saved")
    if found is None or found["ratio"] is None:
        return "–"
    return f"{found['ratio']:.1f} ({found['low']:.1f}-{found['high']:.1f})"


if __name__ == "__main__":
    main()
