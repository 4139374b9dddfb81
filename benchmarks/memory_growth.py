"""Time of one ``tell`` and size of the cache of states, as more and more users have told something."""

from __future__ import annotations

import gc
import time
import tracemalloc
from typing import Any

import numpy as np

from benchmarks._data import main
from palate import Learner, rate
from palate.datasets import planted_world

TOLD = (10, 1_000, 100_000, 1_000_000)  # users who ever answered
TIMED = 400  # answers, each told alone, half of them by users who are new
STRANGERS = 100_000


def run(seeds: int) -> dict[str, Any]:
    """Median and 99th percentile of a ``tell`` in microseconds, over all seeds; what strangers leave behind."""
    data = planted_world(users=200, items=100, rng=np.random.default_rng(0)).dataset
    fitted = Learner.fit(data, encoder="none")
    rows = {told: [_tell_microseconds(fitted, told, seed) for seed in range(seeds)] for told in TOLD}
    return {
        "tell_microseconds": {
            str(told): {
                "median": float(np.median(np.concatenate(times))),
                "p99": float(np.quantile(np.concatenate(times), 0.99)),
            }
            for told, times in rows.items()
        },
        "strangers": _strangers(fitted),
    }


def _tell_microseconds(fitted: Learner, told: int, seed: int) -> np.ndarray:
    rng, items = np.random.default_rng(seed), fitted.model.catalogue.ids
    learner = fitted.tell(rate(f"n{user}", items[user % len(items)], 4.0) for user in range(told))
    gc.collect()
    taken = []
    for number in range(TIMED):
        user = f"new{number}" if number % 2 else f"n{rng.integers(told)}"
        answer = rate(user, items[int(rng.integers(len(items)))], 3.0)
        learner.state(user)
        begun = time.perf_counter()
        learner = learner.tell(answer)
        taken.append(time.perf_counter() - begun)
    return np.array(taken) * 1e6


def _strangers(fitted: Learner) -> dict[str, Any]:
    """States kept, and bytes held, after questions to many users of whom nothing is ever told."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for user in range(STRANGERS):
        fitted.state(f"stranger{user}")
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    states = fitted.memory.states
    assert states is not None
    return {"asked": STRANGERS, "kept": len(states), "bytes": held, "cache_holds_at_most": states.size}


if __name__ == "__main__":
    main("memory_growth", run, seeds=3)
