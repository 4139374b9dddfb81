"""Seconds and memory of the batch fit as the data grows, each size in a process of its own; and time to start."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import load, main
from palate import Dataset, Learner

SIZES = (100_000, 316_000, 1_000_000, 3_160_000, 10_000_000)
PER_USER, ITEMS = 140, 20_000


def run(seeds: int) -> dict[str, Any]:
    """Fits of growing size, MovieLens-100K as it is, and starts; the median over the seeds."""
    movielens = [_fit_seconds(load("movielens-100k"), seed) for seed in range(seeds)]
    starts = {
        "import palate": [sys.executable, "-c", "import palate"],
        "palate --help": [sys.executable, "-c", "from palate.cli import main; main(['--help'])"],
    }
    return {
        "movielens_100k_fit_seconds": float(np.median(movielens)),
        "start_seconds": {name: _start_seconds(command, seeds) for name, command in starts.items()},
        "growth": [_in_a_process(size) for size in SIZES],
    }


def _fit_seconds(data: Dataset, seed: int) -> float:
    begun = time.perf_counter()
    Learner.fit(data, encoder="none", seed=seed)
    return time.perf_counter() - begun


def _start_seconds(command: list[str], times: int) -> float:
    taken = []
    for _ in range(max(3, times)):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def generated(n: int) -> Dataset:
    """``n`` ratings with popular and unpopular items, and a taste of four dimensions."""
    rng = np.random.default_rng(0)
    users = np.sort(rng.integers(0, n // PER_USER, n)).astype(np.int32)
    items = np.minimum(rng.exponential(ITEMS / 8, n), ITEMS - 1).astype(np.int32)
    tastes, factors = rng.normal(size=(n // PER_USER, 4)), rng.normal(size=(ITEMS, 4)) * 0.4
    ratings = 3.5 + np.einsum("nd,nd->n", tastes[users], factors[items]) + rng.normal(0, 0.8, n)
    frame = pl.DataFrame({"user_id": users, "item_id": items, "rating": np.clip(np.round(ratings), 1, 5)})
    text = frame.with_columns(pl.col("user_id", "item_id").cast(pl.String))
    absent = [pl.lit(None, pl.String).alias("event"), pl.lit(None, pl.Float64).alias("timestamp")]
    rows = text.unique(["user_id", "item_id"], maintain_order=True).with_columns(absent)
    empty = pl.DataFrame(schema={"item_id": pl.String, "title": pl.String, "text": pl.String, "category": pl.String})
    return Dataset(rows, empty, pl.DataFrame(schema={"user_id": pl.String}), name=f"generated-{n}")


def _in_a_process(size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.speed", "--one", str(size)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _one(size: int) -> None:
    data = generated(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = _fit_seconds(data, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = data.interactions.height
    print(json.dumps({"ratings": rows, "seconds": seconds, "data_mib": before / 1024, "peak_mib": peak / 1024}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(int(sys.argv[2]))
    else:
        main("speed", run, seeds=3)
