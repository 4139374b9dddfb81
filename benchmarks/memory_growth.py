"""Time of one ``tell`` and size of the cache of states, as more and more users have told something."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np

from benchmarks._data import main
from palate import Learner, rate
from palate.datasets import planted_world
from palate.loop.memory import Memory

TOLD = (10, 1_000, 100_000, 1_000_000)  # users who ever answered
TIMED = 400  # answers, each told alone, half of them by users who are new
STRANGERS = 100_000


def run(seeds: int) -> dict[str, Any]:
    """Median and 99th percentile of a ``tell`` in microseconds, all sizes in turn; what strangers leave behind."""
    data = planted_world(users=200, items=100, rng=np.random.default_rng(0)).dataset
    fitted = Learner.fit(data, encoder="none")
    learners = {told: _told(fitted, told) for told in TOLD}
    taken = np.concatenate([_tell_microseconds(learners, seed) for seed in range(seeds)])
    medians, slowest = np.median(taken, axis=0), np.quantile(taken, 0.99, axis=0)
    return {
        "tell_microseconds": {
            str(told): {"median": float(median), "p99": float(slow), "median_ratio": float(median / medians[0])}
            for told, median, slow in zip(TOLD, medians, slowest, strict=True)
        },
        "strangers": _strangers(fitted),
    }


def _told(fitted: Learner, told: int) -> Learner:
    items = fitted.model.catalogue.ids
    return fitted.tell(rate(f"n{user}", items[user % len(items)], 4.0) for user in range(told))


def _tell_microseconds(learners: dict[int, Learner], seed: int) -> np.ndarray:
    """Times of one answer told to each learner in turn, (TIMED, sizes): what else the machine does hits all alike."""
    rng = np.random.default_rng(seed)
    items = learners[TOLD[0]].model.catalogue.ids
    taken = np.empty((TIMED, len(learners)))
    for number in range(TIMED):
        item = items[int(rng.integers(len(items)))]
        for column, (told, learner) in enumerate(learners.items()):
            user = f"new{number}" if number % 2 else f"n{rng.integers(told)}"
            answer = rate(user, item, 3.0)
            learner.state(user)
            begun = time.perf_counter()
            learner.tell(answer)
            taken[number, column] = time.perf_counter() - begun
    return taken * 1e6


def _strangers(fitted: Learner) -> dict[str, Any]:
    """States kept, and bytes held, after questions to many users of whom nothing is ever told."""
    learner = Learner(Memory(fitted.model))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for user in range(STRANGERS):
        learner.state(f"stranger{user}")
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    states = learner.memory.states
    assert states is not None
    return {"asked": STRANGERS, "kept": len(states), "bytes": held, "cache_holds_at_most": states.size}


if __name__ == "__main__":
    main("memory_growth", run, seeds=3)
