"""Honest intervals: share of held-out ratings inside 95 % intervals, and calibration of P(agree) on Polis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import POLIS, load, main
from palate import Dataset
from palate.datasets.splits import random_split
from palate.entities import RATING
from palate.evaluation.evaluate import rating_quality
from palate.random import derive_rng

SETS = ("movielens-100k", "jester", *(f"polis/{name}" for name in POLIS))


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set: the mean over the seeds, with the lowest and the highest."""
    rows = []
    for name in sets:
        data = load(name)
        votes = name.startswith("polis/")
        rows.append(_row(f"{name} (agree or not)" if votes else name, _agreement(data) if votes else data, seeds))
    return {"rows": rows}


def _agreement(data: Dataset) -> Dataset:
    agree = (pl.col(RATING) > 0).cast(pl.Float64).alias(RATING)
    return replace(data, interactions=data.interactions.with_columns(agree))


def _row(name: str, data: Dataset, seeds: int) -> dict[str, Any]:
    runs = []
    for seed in range(seeds):
        split = random_split(data, rng=derive_rng(seed, "calibration"))
        runs.append(rating_quality(split, encoder="none", seed=seed))
    numbers = {key: [run[key] for run in runs] for key, value in runs[0].items() if isinstance(value, float)}
    spread = {key: {"mean": float(np.mean(v)), "low": min(v), "high": max(v)} for key, v in numbers.items()}
    return {"set": name, "likelihood": runs[0]["likelihood"], **spread}


if __name__ == "__main__":
    main("calibration", run, seeds=5, sets=SETS)
