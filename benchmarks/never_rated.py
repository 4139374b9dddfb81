"""Items nobody has rated: RMSE with a content prior (the embedded encoder) and without, a fifth of them hidden."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._data import POLIS, load, main
from palate import Dataset, Learner
from palate.datasets.splits import new_items
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.intervals import rmse_interval
from palate.random import derive_rng

ENCODERS = ("none", "default")
# model.md: prototype with MiniLM content, and without
PROTOTYPE = {
    "polis/scoop-hivemind.biodiversity": (0.718, 0.745),
    "polis/american-assembly.bowling-green": (0.688, 0.705),
    "polis/scoop-hivemind.affordable-housing": (0.845, 0.874),
    "jester": (4.55, 4.63),
}


def run(seeds: int) -> dict[str, Any]:
    """One row a set."""
    return {"rows": [_row(name, seeds) for name in ("jester", *(f"polis/{name}" for name in POLIS))]}


def _row(name: str, seeds: int) -> dict[str, Any]:
    data = load(name)
    row: dict[str, Any] = {"set": name, "prototype": PROTOTYPE.get(name)}
    errors: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for encoder in ENCODERS:
        errors[encoder] = _errors(data, encoder, seeds)
        squared, counts, inside = errors[encoder]
        interval = rmse_interval(squared, counts, rng=derive_rng(0, "bootstrap")).as_dict()
        row[encoder] = {"rmse": interval, "coverage_95": float(inside.sum() / counts.sum())}
    with_content, without = errors["default"][0], errors["none"][0]
    row["content_minus_none"] = _difference(with_content, without, errors["none"][1])
    return row


def _difference(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> dict[str, object]:
    from palate.evaluation.intervals import paired_rmse

    return paired_rmse(a, b, counts, rng=derive_rng(0, "bootstrap")).as_dict()


def _errors(data: Dataset, encoder: str, seeds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By (seed, hidden item): summed squared error, ratings, ratings inside the 95 % interval."""
    squared, counts, inside = [], [], []
    for seed in range(seeds):
        split = new_items(data, share=0.2, rng=derive_rng(seed, "never-rated"))
        model = Learner.fit(split.train, encoder=encoder, likelihood="gaussian", seed=seed).model
        rows, columns, observed = held_out_rows(model, split.test)
        mean, std = predict_rows(model, rows, columns)
        _, item = np.unique(columns, return_inverse=True)
        squared.append(np.bincount(item, (mean - observed) ** 2))
        counts.append(np.bincount(item).astype(float))
        inside.append(np.bincount(item, np.abs(mean - observed) <= 1.959964 * std))
    return np.concatenate(squared), np.concatenate(counts), np.concatenate(inside)


if __name__ == "__main__":
    main("never_rated", run, seeds=20)
