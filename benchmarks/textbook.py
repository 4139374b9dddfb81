"""The loop of ``examples/textbook_loop.py``: accuracy on held-out rows by rounds of ten labels, by what was asked.

The same data, network and first ten labels of a seed for every way to ask, so differences are paired by seed. Besides
BADGE and random: the nearest to ½ without diversity, both with and without the one label of ten that is drawn at
random, and the textbook's slip, the largest probability.
"""

from __future__ import annotations

import importlib.util
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np

from benchmarks._data import main
from palate.acquisition.pool.pool import Pool, PoolStrategy
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.random import derive_rng

WAYS = (  # the strategy, and how many of ten labels are drawn at random
    ("badge", 1),
    ("badge", 0),
    ("predictive-entropy", 1),
    ("predictive-entropy", 0),
    ("random", 0),
    ("largest-probability", 1),
)
ROWS, WORKERS = 3000, 2


def run(seeds: int) -> dict[str, Any]:
    tasks = [(*way, seed) for way in WAYS for seed in range(seeds)]
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), _one_thread) as workers:
        curves = np.array(list(workers.map(_curve, tasks))).reshape(len(WAYS), seeds, -1)
    labels = (_example().LABELS * np.arange(1, curves.shape[2] + 1)).tolist()
    random = curves[WAYS.index(("random", 0))]
    return {"labels": labels, "rows": [_row(way, curve, random) for way, curve in zip(WAYS, curves, strict=True)]}


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch as it is loaded: there is a process a core


def _row(way: tuple[str, int], curve: np.ndarray, random: np.ndarray) -> dict[str, Any]:
    return {
        "strategy": way[0],
        "drawn_at_random": way[1],
        "accuracy": bootstrap_mean(curve, rng=derive_rng(0, "bootstrap")).as_dict(),
        "minus_random": paired_bootstrap(curve, random, rng=derive_rng(0, "bootstrap")).as_dict(),
        "lowest": curve.min(0).tolist(),
    }


def _curve(task: tuple[str, int, int]) -> list[float]:
    """Accuracies after each round of one play, in a process of its own."""
    name, drawn, seed = task
    loop = _example()
    features, labels = loop.generate(ROWS, derive_rng(seed, "textbook"))
    loop.POOL_STRATEGIES.setdefault("largest-probability", LARGEST)
    accuracies, _ = loop.play(features, labels, loop.chosen_by(name, drawn), seed=seed)
    return list(accuracies)


def _largest(pool: Pool, *, rng: np.random.Generator) -> np.ndarray:
    return pool.mean[:, 1]


LARGEST = PoolStrategy("largest-probability", "O(N T)", "a slip", "probability", _largest)


def _example() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "examples" / "textbook_loop.py"
    specification = importlib.util.spec_from_file_location("textbook_loop", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main("textbook", run, seeds=20)
