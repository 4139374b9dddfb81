"""Ratings held out: error, likelihood and intervals, beside a Gibbs sampler and the fit of an earlier commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._before import COMMIT, before
from benchmarks._data import load, main, nine_tenths
from benchmarks._gibbs import Drawn, gibbs
from palate import Learner
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.intervals import paired_rmse
from palate.evaluation.metrics import gaussian_negative_log_likelihood, interval_coverage, rmse
from palate.model.model import Model
from palate.random import derive_rng

SETS = ("movielens-100k", "coat")
DIM, SWEEPS, BURN = 16, 200, 100


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """Each set, and each split of it."""
    return {"before": COMMIT, "rows": [_row(name, seed) for name in sets for seed in range(seeds)]}


def _row(name: str, seed: int) -> dict[str, Any]:
    start = time.perf_counter()
    model, rows, columns, observed = _fitted(name, seed)
    seconds = time.perf_counter() - start
    mean, std = predict_rows(model, rows, columns)
    noise = model.taste.items.noise[columns] * model.user_noise[rows]
    own = np.sqrt(np.maximum(std**2 - noise, 0.0))
    row = {"set": name, "split": seed, "rows": len(observed), "palate": _scored(mean, std, observed)}
    row["palate"] |= {"std": float(own.mean()), "dimensions": model.taste.items.dim, "seconds": seconds}
    row["before"] = before("ratings", "fit", name, seed)
    for title, user_noise in (("gibbs", False), ("gibbs, noise of users", True)):
        start = time.perf_counter()
        drawn = _drawn(model, rows, columns, user_noise, seed)
        row[title] = _scored(drawn.mean, np.sqrt(drawn.std**2 + drawn.noise), observed)
        row[title] |= {"std": float(drawn.std.mean()), "seconds": time.perf_counter() - start}
        row[f"rmse minus {title}"] = _apart(mean, drawn.mean, observed, rows)
    return row


def fit(name: str, seed: int) -> dict[str, float]:
    """A fit of nine tenths of a set, and the others as it tells them."""
    model, rows, columns, observed = _fitted(name, seed)
    return _scored(*predict_rows(model, rows, columns), observed)


def _fitted(name: str, seed: int) -> tuple[Model, np.ndarray, np.ndarray, np.ndarray]:
    train, test = nine_tenths(load(name), rng=derive_rng(seed, "nine tenths"))
    model = Learner.fit(train, encoder="none", dim=DIM, likelihood="gaussian", seed=seed).model
    return model, *held_out_rows(model, test)


def _drawn(model: Model, rows: np.ndarray, columns: np.ndarray, user_noise: bool, seed: int) -> Drawn:
    rng = derive_rng(seed, "gibbs")
    settings = {"dim": DIM, "sweeps": SWEEPS, "burn": BURN, "user_noise": user_noise}
    return gibbs(model.answers, (rows, columns), likelihood="gaussian", rng=rng, **settings)


def _scored(mean: np.ndarray, std: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    return {
        "rmse": rmse(mean, observed),
        "negative_log_likelihood": gaussian_negative_log_likelihood(mean, std, observed),
        "coverage_95": interval_coverage(mean, std, observed),
    }


def _apart(ours: np.ndarray, theirs: np.ndarray, observed: np.ndarray, users: np.ndarray) -> dict[str, object]:
    """Difference of the RMSEs, users resampled."""
    there, place = np.unique(users, return_inverse=True)
    squares = [np.bincount(place, (mean - observed) ** 2, len(there)) for mean in (ours, theirs)]
    return paired_rmse(*squares, np.bincount(place), rng=np.random.default_rng(0)).as_dict()


if __name__ == "__main__":
    main("ratings", run, seeds=3, sets=SETS)
