"""A text encoder adapted to the answers, against the encoder as it is: items nobody has rated, as in `never_rated`.

A fifth of the items hidden, the rest fitted with ``adapt`` "linear" or "lora" and without; RMSE of the hidden items'
answers, intervals by hidden item. What the fit decided for itself is beside it: how often the adaptation was kept, and
its own difference on the items that it held out, which says what always keeping it would have done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._data import POLIS, main
from benchmarks.never_rated import _load
from palate import Dataset, Learner
from palate.datasets.splits import new_items
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.intervals import paired_rmse, rmse_interval
from palate.model.model import Model
from palate.random import derive_rng

Array = np.ndarray
# encoder and set, and with how many seeds at most
LINEAR = {"jester": 5, **{f"polis/{name}": 5 for name in POLIS[:3]}, "movielens-latest-small": 1}
LORA = {"jester": 2, f"polis/{POLIS[0]}": 2}
PLAYED = [
    *(("linear", "default", name, seeds) for name, seeds in LINEAR.items()),
    *(("lora", "minilm", name, seeds) for name, seeds in LORA.items()),
]


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set and way."""
    logging.getLogger("palate").setLevel(logging.ERROR)
    return {
        "rows": [row(adapt, encoder, name, min(seeds, most)) for adapt, encoder, name, most in PLAYED if name in sets]
    }


def row(adapt: str, encoder: str, name: str, seeds: int) -> dict[str, Any]:
    """One way to adapt, on one set."""
    data = _load(name)
    played = [_play(data, encoder, adapt, seed) for seed in range(seeds)]
    adapted, plain, counts = (np.concatenate([one[part] for one in played]) for part in ("adapted", "plain", "counts"))
    rng = derive_rng(0, "bootstrap")
    return {
        "set": name,
        "adapt": adapt,
        "encoder": encoder,
        "seeds": seeds,
        "rmse": rmse_interval(adapted, counts, rng=rng).as_dict(),
        "rmse_plain": rmse_interval(plain, counts, rng=rng).as_dict(),
        "minus_plain": paired_rmse(adapted, plain, counts, rng=rng).as_dict(),
        "kept": sum(one["kept"] for one in played),
        "own": [one["own"] for one in played],
        "seconds": [round(one["seconds"], 1) for one in played],
        "seconds_plain": [round(one["seconds_plain"], 1) for one in played],
    }


def _play(data: Dataset, encoder: str, adapt: str, seed: int) -> dict[str, Any]:
    split = new_items(data, share=0.2, rng=derive_rng(seed, "never-rated"))
    options: dict[str, Any] = {"encoder": encoder, "likelihood": "gaussian", "seed": seed}
    plain, seconds_plain = _fitted(split.train, options)  # first, so that both find the vectors in the cache
    adapted, seconds = _fitted(split.train, options | {"adapt": adapt})
    squared, counts = _errors(adapted, split.test)
    found = adapted.adaptation
    assert found is not None
    return {
        "adapted": squared,
        "plain": _errors(plain, split.test)[0],
        "counts": counts,
        "kept": found.kept,
        "own": found.difference,
        "seconds": seconds,
        "seconds_plain": seconds_plain,
    }


def _fitted(data: Dataset, options: dict[str, Any]) -> tuple[Model, float]:
    started = time.perf_counter()
    model = Learner.fit(data, **options).model
    return model, time.perf_counter() - started


def _errors(model: Model, test: Dataset) -> tuple[Array, Array]:
    """Summed squared error of each hidden item, and its answers."""
    rows, columns, observed = held_out_rows(model, test)
    mean, _ = predict_rows(model, rows, columns)
    _, item = np.unique(columns, return_inverse=True)
    return np.bincount(item, (mean - observed) ** 2), np.bincount(item).astype(float)


if __name__ == "__main__":
    main("adaptation", run, seeds=5, sets=tuple(LINEAR), fixed=True)
