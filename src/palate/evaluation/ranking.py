"""Warm recommendation quality: every model tuned, fitted and judged on the same rows in one run.

Protocol. Interactions are for or against; a list is judged by those for. A model that hears no signs is fitted on those
for alone (``hears_signs``: :mod:`palate.evaluation.palate_ranker`). Each model's settings are chosen by NDCG@k on
validation rows only.

- With validation rows (such as random 8:1:1): fit on the training rows alone, as RecBole does.
- Without (such as Microsoft Recommenders' 75/25): choose on a fifth of the training rows, drawn anew three times, then
  refit the choice on all training rows.

A list leaves out what the user has in the training and validation rows. NDCG is divided by the best reachable value,
that of min(k, positives) hits. Users without a positive in the test rows count in no mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from palate.errors import DataError, OptionError
from palate.evaluation.baselines import Interactions, Model, Scorer, matrix_of
from palate.evaluation.intervals import Interval, bootstrap_mean
from palate.evaluation.metrics import catalogue_coverage, expected_metrics, places
from palate.random import derive_rng

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Fold = tuple[Interactions, Interactions]

INNER_SHARE = 0.2  # of the training rows, for choosing settings where there are no validation rows
INNER_SPLITS = 3  # one alone is noisy: what the test part hides looks like errors
USER_BLOCK = 1024  # users scored at once: 8 bytes times this times the catalogue


@dataclass(frozen=True)
class _Task:
    """What every model is given, and what it is held to."""

    train: Interactions
    folds: Sequence[Fold]
    seen: sparse.csr_array  # (U, I)
    relevant: sparse.csr_array  # (U, I)
    k: int
    seed: int


@dataclass(frozen=True)
class _Judged:
    """One model's result: each metric per user, shape (U,), and seconds spent."""

    model: Model
    metrics: dict[str, FloatArray]
    coverage: float
    tune_seconds: float
    fit_seconds: float
    score_seconds: float


def evaluate_ranking(
    grids: Mapping[str, Sequence[Model]],
    train: Interactions,
    validation: Interactions | None,
    test: Interactions,
    *,
    k: int = 10,
    rng: np.random.Generator,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Tune, fit and judge every model by the protocol above.

    Args:
        grids: For each name the settings to choose from.
        train, validation, test: Rows of one coded world; ``validation`` may be ``None``.
        k: Length of the lists.
        rng: Source of the inner split, of the models' randomness and of the bootstrap.
        progress: Called with each name before its work begins.
    Returns:
        JSON-serialisable: ``k``, ``users`` (in the means), ``users_without_positives``, ``best`` (by NDCG) and
        ``models``: for each name ``settings``, ``metrics`` (``ndcg@10`` and so on: mean, low, high, over users),
        ``coverage@10``, ``behind_best`` (its metrics minus the best model's, paired by user) and seconds of each phase.
    Raises:
        OptionError: If there is no model.
        DataError: If there is nothing to fit on or to judge by.
    """
    if not grids or not all(len(grid) for grid in grids.values()):
        raise OptionError("there is no model to evaluate. Name at least one, such as popularity.")
    task = _task(train, validation, test, k, int(rng.integers(2**31)))
    judged: dict[str, _Judged] = {}
    for name, grid in grids.items():
        progress(name)
        judged[name] = _judge(grid, task)
    return _summary(judged, task)


def tune(grid: Sequence[Model], folds: Sequence[Fold], *, k: int = 10, seed: int) -> Model:
    """The first model of the grid with the best mean NDCG@k over folds of (rows to fit, rows to judge)."""
    if len(grid) == 1:
        return grid[0]
    return grid[int(np.argmax([_quality(model, folds, k, seed) for model in grid]))]


def judge(
    scorer: Scorer, seen: sparse.csr_array, relevant: sparse.csr_array, k: int
) -> tuple[dict[str, FloatArray], IntArray]:
    """Metrics of each user (U,) and the lists (U, k); a positive that was seen before cannot be shown, nor counts."""
    wanted = _unseen(relevant, seen)
    parts, lists = [], []
    for start in range(0, wanted.shape[0], USER_BLOCK):
        users = np.arange(start, min(start + USER_BLOCK, wanted.shape[0]))
        ranked, found = places(scorer.score(users), wanted[users], k, seen=seen[users])
        lists.append(ranked)
        parts.append(expected_metrics(found, np.diff(wanted[users].indptr)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, np.concatenate(lists)


def _task(train: Interactions, validation: Interactions | None, test: Interactions, k: int, seed: int) -> _Task:
    seen, relevant = matrix_of(train), matrix_of(test.liked)
    folds = _inner_folds(train, derive_rng(seed, "inner"))
    if validation is not None:
        folds = [(train, validation)]
        seen = sparse.csr_array(seen.maximum(matrix_of(validation)))
    if not len(train.liked.users):
        raise DataError("the training part has 0 interactions that are for. Choose another split or give more data.")
    if not _unseen(relevant, seen).nnz:
        raise DataError("the test part has 0 items that its users have not seen before. Choose another split.")
    return _Task(train, folds, seen, relevant, k, seed)


def _inner_folds(train: Interactions, rng: np.random.Generator) -> list[Fold]:
    draws = [rng.random(len(train.users)) < INNER_SHARE for _ in range(INNER_SPLITS)]
    return [(train.where(~held), train.where(held)) for held in draws]


def _unseen(relevant: sparse.csr_array, seen: sparse.csr_array) -> sparse.csr_array:
    unseen = sparse.csr_array(relevant - relevant.multiply(seen))
    unseen.eliminate_zeros()
    return unseen


def _quality(model: Model, folds: Sequence[Fold], k: int, seed: int) -> float:
    """Mean NDCG over the folds and their users."""
    figures = []
    for train, held in folds:
        scorer = model.fit(_heard(model, train), rng=derive_rng(seed, "tune"))
        figures.append(_mean(judge(scorer, matrix_of(train), matrix_of(held.liked), k)[0]["ndcg"]))
    return float(np.mean(figures))


def _heard(model: Model, train: Interactions) -> Interactions:
    return train if getattr(model, "hears_signs", False) else train.liked


def _judge(grid: Sequence[Model], task: _Task) -> _Judged:
    """One model from its grid to its figures."""
    started = time.perf_counter()
    model = tune(grid, task.folds, k=task.k, seed=task.seed)
    tuned = time.perf_counter()
    scorer = model.fit(_heard(model, task.train), rng=derive_rng(task.seed, "fit"))
    fitted = time.perf_counter()
    metrics, lists = judge(scorer, task.seen, task.relevant, task.k)
    coverage = catalogue_coverage(lists, task.train.n_items)
    return _Judged(model, metrics, coverage, tuned - started, fitted - tuned, time.perf_counter() - fitted)


def _summary(judged: Mapping[str, _Judged], task: _Task) -> dict[str, Any]:
    best = max(judged, key=lambda name: _mean(judged[name].metrics["ndcg"]))
    known = np.isfinite(judged[best].metrics["ndcg"])
    return {
        "k": task.k,
        "users": int(known.sum()),
        "users_without_positives": int((~known).sum()),
        "best": best,
        "models": {name: _row(result, judged[best], task) for name, result in judged.items()},
    }


def _row(result: _Judged, best: _Judged, task: _Task) -> dict[str, Any]:
    """One model's entry; every interval draws the same users, so that all are comparable."""
    behind = {name: values - best.metrics[name] for name, values in result.metrics.items()}
    return {
        "settings": repr(result.model),
        "metrics": _intervals(result.metrics, task, 0.0),
        f"coverage@{task.k}": result.coverage,
        "behind_best": _intervals(behind, task, -1.0),
        "tune_seconds": round(result.tune_seconds, 3),
        "fit_seconds": round(result.fit_seconds, 3),
        "score_seconds": round(result.score_seconds, 3),
    }


def _intervals(metrics: Mapping[str, FloatArray], task: _Task, least: float) -> dict[str, Any]:
    values, rng = np.column_stack(list(metrics.values())), derive_rng(task.seed, "bootstrap")
    intervals = bootstrap_mean(values, rng=rng, within=(least, 1.0))
    columns = [Interval(*figures).as_dict() for figures in zip(*intervals, strict=True)]
    return {f"{name}@{task.k}": column for name, column in zip(metrics, columns, strict=True)}


def _mean(values: FloatArray) -> float:
    """Mean over the users who have a figure, 0 if nobody has."""
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else 0.0
