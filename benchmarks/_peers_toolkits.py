"""LensKit's and RecBole's own metrics on given lists, in their environment.

    PYTHON benchmarks/_peers_toolkits.py INPUT OUTPUT.json

Needs no palate. It reads a folder of arrays (.npz): ``ranked`` (B, k), -1 where a list is short; ``starts`` (B + 1,)
and ``positives``, a user's after another's; ``n_items``; and of ratings ``predicted``, ``observed``, ``rows``.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

warnings.filterwarnings("ignore")
os.environ.setdefault("LK_LOG_LEVEL", "error")


def main() -> None:
    source, target = sys.argv[1:]
    result = metrics(Path(source))
    result["versions"] = {name: version(name) for name in ("lenskit", "recbole", "numpy", "pandas", "torch")}
    Path(target).write_text(json.dumps(result, allow_nan=False), encoding="utf-8")


# --- metrics on given lists -----------------------------------------------------------------------


def metrics(source: Path) -> dict[str, Any]:
    """Of each file of a folder, in the order of their names."""
    return {"found": [_of_lists(path) for path in sorted(source.iterdir())]}


def _of_lists(path: Path) -> dict[str, Any]:
    """Every metric of every list, by library; None where there is no number."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    wanted = [
        arrays["positives"][start:end] for start, end in zip(arrays["starts"], arrays["starts"][1:], strict=False)
    ]
    return {
        "lenskit": {name: _numbers(values) for name, values in _by_lenskit(arrays, wanted).items()},
        "recbole": {name: _numbers(values) for name, values in _by_recbole(arrays, wanted).items()},
    }


def _by_lenskit(arrays: dict[str, np.ndarray], wanted: list[np.ndarray]) -> dict[str, Any]:
    from lenskit.data import ItemList
    from lenskit.metrics import MAE, NDCG, RMSE, Hit, Precision, Recall, RecipRank
    from lenskit.metrics.ranking import AveragePrecision, LogRankWeight

    ranked, k = arrays["ranked"], arrays["ranked"].shape[1]
    named = {
        "ndcg": NDCG(k, weight=LogRankWeight(offset=1)),
        "ndcg, as it comes": NDCG(k),
        "precision": Precision(k),
        "recall": Recall(k),
        "hit_rate": Hit(k),
        "mrr": RecipRank(k),
        "map": AveragePrecision(k),
    }
    lists = [ItemList(item_ids=row[row >= 0].astype(np.int64), ordered=True) for row in ranked]
    truth = [ItemList(item_ids=np.asarray(items, dtype=np.int64)) for items in wanted]
    found: dict[str, Any] = {
        name: [_tried(metric, one, other) for one, other in zip(lists, truth, strict=True)]
        for name, metric in named.items()
    }
    if "predicted" in arrays:
        rows = np.arange(len(arrays["predicted"]))
        said = ItemList(item_ids=rows, scores=arrays["predicted"])
        seen = ItemList(item_ids=rows, rating=arrays["observed"])
        graded = NDCG(k, weight=LogRankWeight(offset=1), gain="rating")
        found |= {"rmse": [RMSE().measure_list(said, seen)], "mae": [MAE().measure_list(said, seen)], "graded_ndcg": []}
        for user in range(int(arrays["rows"].max()) + 1):
            own = np.flatnonzero(arrays["rows"] == user)
            order = own[np.argsort(-arrays["predicted"][own], kind="stable")]
            found["graded_ndcg"].append(graded.measure_list(ItemList(item_ids=order, ordered=True), seen[own]))
    return found


def _tried(metric: Any, ranked: Any, wanted: Any) -> float:
    try:
        return float(metric.measure_list(ranked, wanted))
    except ZeroDivisionError:  # average precision without a positive
        return float("nan")


def _by_recbole(arrays: dict[str, np.ndarray], wanted: list[np.ndarray]) -> dict[str, Any]:
    import torch

    setattr(np, "float", np.float64)  # as RecBole's Config does  # noqa: B010
    from recbole.evaluator import Evaluator
    from recbole.evaluator.collector import DataStruct

    names = {
        "ndcg": "ndcg", "precision": "precision", "recall": "recall", "hit_rate": "hit", "mrr": "mrr", "map": "map",
    }  # fmt: skip
    ranked, k = arrays["ranked"], arrays["ranked"].shape[1]
    hits = np.array([np.isin(row, items) for row, items in zip(ranked, wanted, strict=True)])
    has = np.array([len(items) for items in wanted]) > 0  # RecBole asks for nobody else
    struct = DataStruct()
    counts = np.array([len(items) for items in wanted])[:, None]
    struct.set("rec.topk", torch.from_numpy(np.hstack([hits, counts])[has].astype(np.int64)))
    struct.set("rec.items", torch.from_numpy(ranked))
    struct.set("data.num_items", int(arrays["n_items"]) + 1)  # its 0 is none
    whole = (ranked >= 0).all()  # its own lists are never short
    settings = {
        "metrics": [*names.values(), *(["itemcoverage"] if whole else [])],
        "topk": [k],
        "metric_decimal_place": 17,
    }
    evaluator = Evaluator(settings)
    means = evaluator.evaluate(struct)
    found = {"coverage": [means[f"itemcoverage@{k}"]]} if whole else {}
    for ours, theirs in names.items():
        metric = evaluator.metric_class[theirs]
        given = metric.used_info(struct)
        values = metric.metric_info(*given) if theirs in ("map", "recall", "ndcg") else metric.metric_info(given[0])
        column = np.full(len(ranked), np.nan)
        column[has] = np.asarray(values, dtype=np.float64)[:, -1]
        found[ours], found[f"mean {ours}"] = column, [means[f"{theirs}@{k}"]]
    if "predicted" in arrays:
        struct.set("rec.score", torch.from_numpy(arrays["predicted"]))
        struct.set("data.label", torch.from_numpy(arrays["observed"]))
        errors = Evaluator({"metrics": ["rmse", "mae"], "metric_decimal_place": 17}).evaluate(struct)
        found |= {name: [value] for name, value in errors.items()}
    return found


def _numbers(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in np.asarray(values, dtype=np.float64)]


if __name__ == "__main__":
    main()
