"""Recommendation quality: every model tuned, fitted and judged on the same rows in one run.

Protocol. Interactions are for or against; models are fitted on those for, and judged by them. Each model's settings are
chosen by NDCG@k on rows that are held back: the validation rows or, without any (Microsoft Recommenders' 75/25), a
fifth of the training rows, drawn anew three times. Then it is fitted again on all training and validation rows.

A list leaves out what the user has in these. NDCG is divided by the best reachable value, that of min(k, positives)
hits. Items of equal score count by expectation over their orders (:mod:`palate.evaluation.metrics`). Users without a
positive in the test rows count in no mean. People of whom nothing was liked before have tables of their own, since
there a model that knows only what goes with what has nothing to say: it gets the better of popularity and recent
popularity on the rows held back, and its entry names that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from palate.errors import DataError, OptionError
from palate.evaluation.baselines import Interactions, Model, Popularity, Scorer, matrix_of
from palate.evaluation.intervals import Interval, bootstrap_mean
from palate.evaluation.metrics import Places, catalogue_coverage, expected_metrics, places
from palate.evaluation.tuning import Grid, Tuned, tune
from palate.random import derive_rng
from palate.runners import Handle, InProcess, Runner

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Fold = tuple[Interactions, Interactions]

INNER_SHARE = 0.2  # of the training rows, for choosing settings where there are no validation rows
INNER_SPLITS = 3  # one alone is noisy: what the test part hides looks like errors
USER_BLOCK = 1024  # users scored at once: 8 bytes times this times the catalogue
LEVELS = ("popularity", "recent-popularity")  # what a model may fall back to
GROUPS = ("with_history", "without_history")


@dataclass(frozen=True)
class _Task:
    """What every model is given, and what it is held to."""

    fit: Interactions
    folds: Sequence[Fold]
    seen: sparse.csr_array  # (U, I)
    relevant: sparse.csr_array  # (U, I)
    has_history: BoolArray  # (U,)
    k: int
    seed: int


@dataclass(frozen=True)
class _Judged:
    """One model's result: each metric per user, shape (U,), and seconds spent."""

    tuned: Tuned
    at_edge: Mapping[str, float]
    fallback: str | None
    metrics: dict[str, FloatArray]
    lists: IntArray
    tune_seconds: float | None
    fit_seconds: float
    score_seconds: float


def evaluate_ranking(
    grids: Mapping[str, Grid | Sequence[Model]],
    train: Interactions,
    validation: Interactions | None,
    test: Interactions,
    *,
    k: int = 10,
    rng: np.random.Generator,
    runner: Runner | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Tune, fit and judge every model by the protocol above.

    Args:
        grids: For each name the settings to choose from.
        train, validation, test: Rows of one coded world; ``validation`` may be ``None``.
        k: Length of the lists.
        rng: Source of the inner split, of the models' randomness and of the bootstrap.
        runner: Where each model is tuned, fitted and judged; None: here, one after another. The figures are the same.
        progress: Called with each name before its work begins, with a runner before its result is waited for.
    Returns:
        JSON-serialisable: ``k``, ``users`` (in the means), ``users_without_positives``; ``with_history`` and
        ``without_history``, None where there is nobody: ``users``, ``best`` (by NDCG) and ``models``, for each name
        ``metrics`` (``ndcg@10``, ``recall@20`` and so on: mean, low, high, over users), ``coverage@10`` and
        ``behind_best`` (its metrics minus the best model's, paired by user); and ``models``: for each name
        ``settings``, ``at_edge`` (settings that are the least or the largest of those that could be tried), ``tried``
        (how many), ``fallback`` (what stands in for it where there is no history, None where nothing does) and seconds
        of each phase. With a runner those of fitting and scoring are taken at the end, in this process, when nothing
        else runs, and those of tuning are None: it is not done again.
    Raises:
        OptionError: If there is no model.
        DataError: If there is nothing to fit on or to judge by.
    """
    if not grids or not all(isinstance(grid, Grid) or len(grid) for grid in grids.values()):
        raise OptionError("there is no model to evaluate. Name at least one, such as popularity.")
    task = _task(train, validation, test, k, int(rng.integers(2**31)))
    levels = {name: grids[name] for name in LEVELS if name in grids} or {LEVELS[0]: [Popularity()]}
    judged: dict[str, _Judged] = {}
    order = [*(name for name in grids if name in levels), *(name for name in grids if name not in levels)]
    with InProcess(all_cores=True) if runner is None else nullcontext(runner) as chosen:
        given, none = chosen.submit(_same, task), chosen.submit(_same, None)
        fallback, waiting = none, dict[str, Handle]()
        for name in order:
            if fallback is none and name not in LEVELS:
                fallback = chosen.submit(_fallback, levels, list(waiting), list(waiting.values()), given)
            if runner is None:
                progress(name)
            waiting[name] = chosen.submit(_judge, grids[name], given, fallback)
        for name, handle in waiting.items():
            if runner is not None:
                progress(name)
            judged[name] = chosen.get(handle)
        chosen.free([given, none, fallback, *waiting.values()])
    if runner is not None:
        judged = {name: _timed_alone(each, task) for name, each in judged.items()}
    return _summary({name: judged[name] for name in grids}, task)


def _same(value: Any) -> Any:
    return value


def judge(
    scorer: Scorer, seen: sparse.csr_array, relevant: sparse.csr_array, k: int
) -> tuple[dict[str, FloatArray], IntArray]:
    """Metrics of each user (U,) and the lists (U, k); a positive that was seen before cannot be shown, nor counts.

    Returns:
        ``ndcg@k``, ``recall@k`` and so on, and ``recall@2k``, twice as far down.
    """
    wanted = _unseen(relevant, seen)
    parts, lists = [], []
    for start in range(0, wanted.shape[0], USER_BLOCK):
        users = np.arange(start, min(start + USER_BLOCK, wanted.shape[0]))
        ranked, found = places(scorer.score(users), wanted[users], 2 * k, seen=seen[users])
        lists.append(ranked[:, :k])
        positives = np.diff(wanted[users].indptr)
        first = Places(*(part[:, :k] for part in (found.tied, found.hits, found.within, found.above)))
        figures = {f"{name}@{k}": values for name, values in expected_metrics(first, positives).items()}
        parts.append(figures | {f"recall@{2 * k}": expected_metrics(found, positives)["recall"]})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, np.concatenate(lists)


@dataclass(frozen=True)
class _WithFallback:
    """A scorer, and another for those of whom nothing is known."""

    scorer: Scorer
    level: Scorer
    has_history: BoolArray  # (U,)

    def score(self, users: npt.NDArray[np.integer]) -> FloatArray:
        scores = np.array(self.scorer.score(users), dtype=np.float64)
        without = ~self.has_history[users]
        if without.any():
            scores[without] = self.level.score(users[without])
        return scores


def _task(train: Interactions, validation: Interactions | None, test: Interactions, k: int, seed: int) -> _Task:
    relevant, everything = matrix_of(test.liked), train
    if validation is None:
        folds = _inner_folds(train, derive_rng(seed, "inner"))
    else:
        folds, everything = [(train, validation)], _together(train, validation)
    if not len(train.liked.users):
        raise DataError("the training part has 0 interactions that are for. Choose another split or give more data.")
    seen = matrix_of(everything)
    if not _unseen(relevant, seen).nnz:
        raise DataError("the test part has 0 items that its users have not seen before. Choose another split.")
    return _Task(everything, folds, seen, relevant, np.diff(matrix_of(everything.liked).indptr) > 0, k, seed)


def _together(train: Interactions, validation: Interactions) -> Interactions:
    pairs = zip(
        (train.users, train.items, train.values, train.timestamps),
        (validation.users, validation.items, validation.values, validation.timestamps),
        strict=True,
    )
    users, items, values, timestamps = (np.concatenate(pair) for pair in pairs)
    return replace(train, users=users, items=items, values=values, timestamps=timestamps)


def _inner_folds(train: Interactions, rng: np.random.Generator) -> list[Fold]:
    draws = [rng.random(len(train.users)) < INNER_SHARE for _ in range(INNER_SPLITS)]
    return [(train.where(~held), train.where(held)) for held in draws]


def _unseen(relevant: sparse.csr_array, seen: sparse.csr_array) -> sparse.csr_array:
    unseen = sparse.csr_array(relevant - relevant.multiply(seen))
    unseen.eliminate_zeros()
    return unseen


def _quality(model: Model, task: _Task, *, without_history: bool = False) -> float:
    """Mean NDCG over the folds and their users, or those of them without a history if there are any."""
    figures = []
    for train, held in task.folds:
        scorer = model.fit(train.liked, rng=derive_rng(task.seed, "tune"))
        found = judge(scorer, matrix_of(train), matrix_of(held.liked), task.k)[0][f"ndcg@{task.k}"]
        empty = np.isfinite(found) & (np.diff(matrix_of(train.liked).indptr) == 0)
        figures.append(_mean(found[empty] if without_history and empty.any() else found))
    return float(np.mean(figures))


def _fallback(
    grids: Mapping[str, Grid | Sequence[Model]], names: Sequence[str], judged: Sequence[_Judged], task: _Task
) -> tuple[str, Scorer]:
    """The level that is best for those of whom nothing is known, and its name.

    Args:
        names, judged: Of the levels that were tuned already.
    """
    tuned = {name: each.tuned.model for name, each in zip(names, judged, strict=True)}
    models = {
        name: tuned[name] if name in tuned else tune(grids[name], lambda m: _quality(m, task)).model for name in grids
    }
    name = next(iter(models))
    if len(models) > 1:
        name = max(models, key=lambda name: _quality(models[name], task, without_history=True))
    return name, models[name].fit(task.fit.liked, rng=derive_rng(task.seed, "fit"))


def _judge(grid: Grid | Sequence[Model], task: _Task, fallback: tuple[str, Scorer] | None) -> _Judged:
    """One model from its grid to its figures."""
    started = time.perf_counter()
    tuned = tune(grid, lambda model: _quality(model, task))
    at_tuned = time.perf_counter()
    scorer: Scorer = tuned.model.fit(task.fit.liked, rng=derive_rng(task.seed, "fit"))
    fitted = time.perf_counter()
    at_edge, level = {**tuned.at_edge, **getattr(scorer, "at_edge", {})}, getattr(scorer, "level", None)
    if fallback is not None and getattr(tuned.model, "fallback", False):
        level, scorer = fallback[0], _WithFallback(scorer, fallback[1], task.has_history)
    metrics, lists = judge(scorer, task.seen, task.relevant, task.k)
    seconds = at_tuned - started, fitted - at_tuned, time.perf_counter() - fitted
    return _Judged(tuned, at_edge, level, metrics, lists, *seconds)


def _timed_alone(judged: _Judged, task: _Task) -> _Judged:
    """With the seconds of fitting and scoring, done once more."""
    started = time.perf_counter()
    scorer = judged.tuned.model.fit(task.fit.liked, rng=derive_rng(task.seed, "fit"))
    fitted = time.perf_counter()
    judge(scorer, task.seen, task.relevant, task.k)
    scored = time.perf_counter()
    return replace(judged, tune_seconds=None, fit_seconds=fitted - started, score_seconds=scored - fitted)


def _summary(judged: Mapping[str, _Judged], task: _Task) -> dict[str, Any]:
    known = np.isfinite(next(iter(judged.values())).metrics[f"ndcg@{task.k}"])
    groups = (known & task.has_history, known & ~task.has_history)
    return {
        "k": task.k,
        "users": int(known.sum()),
        "users_without_positives": int((~known).sum()),
        **{name: _group(judged, rows, task) for name, rows in zip(GROUPS, groups, strict=True)},
        "models": {name: _settings(result) for name, result in judged.items()},
    }


def _settings(result: _Judged) -> dict[str, Any]:
    return {
        "settings": repr(result.tuned.model),
        "at_edge": dict(result.at_edge),
        "tried": result.tuned.tried,
        "fallback": result.fallback,
        "tune_seconds": None if result.tune_seconds is None else round(result.tune_seconds, 3),
        "fit_seconds": round(result.fit_seconds, 3),
        "score_seconds": round(result.score_seconds, 3),
    }


def _group(judged: Mapping[str, _Judged], rows: BoolArray, task: _Task) -> dict[str, Any] | None:
    """The figures of some users; every interval draws the same ones, so that all are comparable."""
    if not rows.any():
        return None
    figures = {name: {metric: values[rows] for metric, values in each.metrics.items()} for name, each in judged.items()}
    best = max(figures, key=lambda name: _mean(figures[name][f"ndcg@{task.k}"]))
    models = {}
    for name, own in figures.items():
        behind = {metric: values - figures[best][metric] for metric, values in own.items()}
        models[name] = {
            "metrics": _intervals(own, task, 0.0),
            f"coverage@{task.k}": catalogue_coverage(judged[name].lists[rows], task.fit.n_items),
            "behind_best": _intervals(behind, task, -1.0),
        }
    return {"users": int(rows.sum()), "best": best, "models": models}


def _intervals(metrics: Mapping[str, FloatArray], task: _Task, least: float) -> dict[str, Any]:
    values, rng = np.column_stack(list(metrics.values())), derive_rng(task.seed, "bootstrap")
    intervals = bootstrap_mean(values, rng=rng, within=(least, 1.0))
    columns = [Interval(*figures).as_dict() for figures in zip(*intervals, strict=True)]
    return dict(zip(metrics, columns, strict=True))


def _mean(values: FloatArray) -> float:
    """Mean over the users who have a figure, 0 if nobody has."""
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else 0.0
