"""What keeping less of the items' covariances loses: error and interval coverage of held-out ratings, and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks._data import load, main
from palate import Dataset, Learner
from palate.datasets.splits import random_split
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.metrics import interval_coverage, rmse
from palate.posteriors.items import Form, Items
from palate.posteriors.statistics import unpack
from palate.posteriors.taste import Taste
from palate.random import derive_rng

FORMS: tuple[Form, ...] = ("full", "diagonal", "isotropic")


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set and form, the mean over the seeds."""
    return {"rows": [row for name in sets for row in _rows(name, load(name), seeds)]}


def _rows(name: str, data: Dataset, seeds: int) -> list[dict[str, Any]]:
    found: dict[Form, list[tuple[float, float, int]]] = {form: [] for form in FORMS}
    for seed in range(seeds):
        split = random_split(data, rng=derive_rng(seed, "covariance-forms"))
        model = Learner.fit(split.train, encoder="none", seed=seed).model
        rows, columns, observed = held_out_rows(model, split.test)
        items = model.taste.items
        means = np.concatenate([items.level[:, None], items.factors], 1)
        for form in FORMS:
            kept = Items.build(means, unpack(items.spread.values), items.noise, form)
            other = replace(model, taste=Taste.build(kept, model.taste.likelihood))
            mean, std = predict_rows(other, rows, columns)
            quality = rmse(mean, observed), interval_coverage(mean, std, observed)
            found[form].append((*quality, kept.spread.values.nbytes))
    parts = {form: np.mean(values, axis=0).tolist() for form, values in found.items()}
    return [
        {"set": name, "form": form, "rmse": error, "coverage_95": coverage, "bytes": size}
        for form, (error, coverage, size) in parts.items()
    ]


if __name__ == "__main__":
    main("covariance_forms", run, seeds=5, sets=("movielens-100k", "jester"))
