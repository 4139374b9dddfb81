"""What text encoders cost and are worth on somebody's own data, and which one a budget of time is best spent on."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from palate.arrays import Progress
from palate.datasets.splits import Split, new_items
from palate.datasets.tables import Dataset
from palate.encoders.registry import available, load_encoder
from palate.entities import ITEM, RATING
from palate.errors import DataError, OptionError, PalateError
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.learner import Learner
from palate.random import derive_rng

SAMPLE = 256
"""Texts that an encoder's rate is measured on."""

ITEMS = 1_000
"""The most rated items, on which an encoder's worth is measured."""

TOLERANCE = 0.01
"""Of the least error: an encoder that errs so little more is as good, and the fastest of them is recommended."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An encoder on a data set.

    Attributes:
        dimension: Length of a vector.
        texts_per_second: On a sample of the texts, the model loaded and warm.
        seconds: That all the texts would take.
        megabytes: Peak memory of a process that encodes the sample.
        rmse: Error on the ratings of items that the fit had none of; ``None`` where the data has no ratings.
        failed: Why there are no figures; empty where there are.
    """

    name: str
    dimension: int | None = None
    texts_per_second: float | None = None
    seconds: float | None = None
    megabytes: float | None = None
    rmse: float | None = None
    failed: str = ""


def measure_encoders(
    data: Dataset, names: Sequence[str] | None = None, *, seed: int = 0, progress: Progress | None = None
) -> list[Measured]:
    """Each encoder's cost and worth.

    Args:
        data: Items with text; with ratings, for the error.
        names: Of encoders. ``None``: the text encoders that are installed.
        seed: Of the split and the sample.
        progress: Called with (what, done, of).
    Raises:
        DataError: If no item has a text.
    """
    texts = [text for text in data.item_texts() if text]
    if not texts:
        raise DataError(f"no item of {data.name} has a text. Give items with text, title or category.")
    chosen = installed() if names is None else list(names)
    picked = derive_rng(seed, "sample").permutation(len(texts))[:SAMPLE]
    sample, split = [texts[row] for row in picked], _split(data, seed)
    found = []
    for done, name in enumerate(chosen):
        if progress is not None:
            progress("measuring", done, len(chosen))
        found.append(_measure(name, sample, len(texts), split, seed))
    if progress is not None:
        progress("measuring", len(chosen), len(chosen))
    return found


def installed() -> list[str]:
    """The text encoders that can be used as they are, ``none`` among them."""
    rows = [row for row in available() if row["installed"] and row.get("modality", "text") == "text"]
    return [str(row["name"]) for row in rows if row["dimension"] is not None]


def recommend(found: Sequence[Measured], budget: float | None = None) -> Measured:
    """The fastest of those that are as good as the best within the budget; without an error to go by, the first.

    Args:
        found: :func:`measure_encoders`.
        budget: Seconds for all texts; ``None``: no matter.
    Raises:
        OptionError: If none is within the budget.
    """
    within = [row for row in found if not row.failed and (budget is None or (row.seconds or 0.0) <= budget)]
    if not within:
        raise OptionError(f"no encoder that was measured encodes all texts within {budget} seconds. Give more.")
    errors = [row.rmse for row in within if row.rmse is not None]
    if not errors:
        return within[0]
    good = [row for row in within if row.rmse is not None and row.rmse <= min(errors) * (1 + TOLERANCE)]
    return min(good, key=lambda row: row.seconds or 0.0)


def _measure(name: str, sample: list[str], total: int, split: Split | None, seed: int) -> Measured:
    if name == "none":
        cost = Measured(name, dimension=0, seconds=0.0)
    else:
        run = subprocess.run(
            [sys.executable, "-m", __name__, name],
            input=json.dumps(sample),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            return Measured(name, failed=(run.stderr.strip().splitlines() or ["no reason given"])[-1])
        cost = Measured(name, **json.loads(run.stdout))
        cost = replace(cost, seconds=total / cost.texts_per_second if cost.texts_per_second else None)
    try:
        return replace(cost, rmse=None if split is None else _rmse(split, name, seed))
    except PalateError as error:
        return replace(cost, failed=str(error))


def _split(data: Dataset, seed: int) -> Split | None:
    """The ratings of the most rated items, those of a fifth of them to test on; ``None`` where there are too few."""
    import polars as pl

    rated = data.filter(data.interactions[RATING].is_not_null().to_numpy())
    counts = rated.interactions[ITEM].value_counts(sort=True).sort(["count", ITEM], descending=[True, False])
    if len(counts) < 10:
        return None
    most = rated.filter(rated.interactions.select(pl.col(ITEM).is_in(counts[ITEM][:ITEMS].implode()))[ITEM].to_numpy())
    return new_items(most, share=0.2, rng=derive_rng(seed, "never-rated"))


def _rmse(split: Split, name: str, seed: int) -> float:
    model = Learner.fit(split.train, encoder=name, likelihood="gaussian", seed=seed).model
    rows, columns, observed = held_out_rows(model, split.test)
    mean, _ = predict_rows(model, rows, columns)
    return float(np.sqrt(np.mean((mean - observed) ** 2)))


def _cost(name: str, texts: list[str]) -> dict[str, Any]:
    encoder = load_encoder(name)
    encoder.encode(texts[:8])
    started = time.perf_counter()
    encoder.encode(texts)
    rate = len(texts) / (time.perf_counter() - started)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # of ru_maxrss: bytes there, kilobytes here
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"dimension": encoder.dim, "texts_per_second": round(rate, 1), "megabytes": round(peak)}


if __name__ == "__main__":  # a process of its own, so that its peak memory is that encoder's
    try:
        sys.stdout.write(json.dumps(_cost(sys.argv[1], json.load(sys.stdin))))
    except PalateError as error:
        sys.exit(str(error))
