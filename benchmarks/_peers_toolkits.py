"""LensKit's and RecBole's own metrics on given lists, and their models beside Palate's list, in their environment.

    PYTHON benchmarks/_peers_toolkits.py metrics|lenskit|recbole INPUT OUTPUT.json

``metrics`` needs no palate. It reads a folder of arrays (.npz): ``ranked`` (B, k), -1 where a list is
short; ``starts`` (B + 1,) and ``positives``, a user's after another's; ``n_items``; and of ratings ``predicted``,
``observed``, ``rows``. The other two need palate on the path and read a data folder and a seed (INPUT.json).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

warnings.filterwarnings("ignore")
os.environ.setdefault("LK_LOG_LEVEL", "error")

K = 10


def main() -> None:
    job, source, target = sys.argv[1:]
    result = {"metrics": metrics, "lenskit": lenskit_models, "recbole": recbole_models}[job](Path(source))
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


# --- models, each library's split, its models and metrics, Palate's list among them ---------------


def lenskit_models(source: Path) -> dict[str, Any]:
    """NDCG@10 and more of each test user by LensKit's metrics, over LensKit's split, and by our judge on the same rows.

    Settings are chosen by NDCG@10 on a fifth of each user's training rows.
    """
    from lenskit.als import BiasedMFScorer, ImplicitMFScorer
    from lenskit.basic import PopScorer
    from lenskit.knn import EASEScorer, ItemKNNScorer
    from lenskit.splitting import SampleFrac, crossfold_users

    from palate.integrations.lenskit import PalateScorer, lenskit_dataset

    given = json.loads(source.read_text(encoding="utf-8"))
    whole = lenskit_dataset(_load(given["set"]))
    grids: dict[str, list[Any]] = {
        "Palate": [PalateScorer()],
        "PopScorer": [PopScorer(score="count")],
        "ItemKNNScorer": [ItemKNNScorer(max_nbrs=n, feedback="implicit") for n in (10, 20, 50, 100, 200)],
        "EASEScorer": [EASEScorer(regularization=r) for r in (50.0, 100.0, 200.0, 400.0, 800.0)],
        "ImplicitMFScorer": [
            ImplicitMFScorer(embedding_size=d, regularization=r, weight=w, epochs=15)
            for d in (16, 32, 64) for r in (0.1, 1.0) for w in (5.0, 20.0, 40.0)
        ],
        "BiasedMFScorer": [BiasedMFScorer(embedding_size=d, regularization=r) for d in (16, 64) for r in (0.1, 1.0)],
    }  # fmt: skip
    rng = np.random.default_rng(given["seed"])
    [parts] = crossfold_users(whole, 1, SampleFrac(0.2, rng=rng), rng=rng)
    [inner] = crossfold_users(parts.train, 1, SampleFrac(0.2, rng=rng), rng=rng)
    rows = {}
    for name, grid in grids.items():
        reached = [float(np.mean(_lists_of(one, inner)["ndcg"])) for one in grid] if len(grid) > 1 else [0.0]
        best = grid[int(np.argmax(reached))]
        rows[name] = {"settings": repr(best), "metrics": {key: list(v) for key, v in _lists_of(best, parts).items()}}
    return {"rows": rows, "judge": _judged_by_us(parts, given["seed"])}


def _lists_of(scorer: Any, parts: Any) -> dict[str, np.ndarray]:
    """Each metric of each test user, in the order of the test part."""
    from lenskit.batch import recommend
    from lenskit.metrics import NDCG, Hit, Precision, Recall, RecipRank
    from lenskit.metrics.ranking import LogRankWeight
    from lenskit.pipeline import topn_pipeline
    from lenskit.training import TrainingOptions

    pipeline = topn_pipeline(scorer).clone()
    pipeline.train(parts.train, TrainingOptions(rng=0))
    lists = recommend(pipeline, [key.user_id for key, _ in parts.test], n=K, n_jobs=1)
    named = {
        "ndcg": NDCG(K, weight=LogRankWeight(offset=1)), "recall": Recall(K), "precision": Precision(K),
        "hit_rate": Hit(K), "mrr": RecipRank(K),
    }  # fmt: skip
    return {
        name: np.array([metric.measure_list(lists.lookup(user_id=key.user_id), test) for key, test in parts.test])
        for name, metric in named.items()
    }


def _judged_by_us(parts: Any, seed: int) -> dict[str, float]:
    """NDCG@10 by ``palate evaluate``'s judge on the same rows, of Palate and of a scorer of LensKit."""
    from lenskit.knn import EASEScorer

    from palate.evaluation.evaluate import evaluate
    from palate.integrations.lenskit import LensKitRanker, split_of

    others = {"EASEScorer": [LensKitRanker(EASEScorer(regularization=200.0))]}
    found = evaluate(split_of(parts), models=("palate", "ease"), others=others, seed=seed)
    return {name: one["metrics"]["ndcg@10"]["mean"] for name, one in found["with_history"]["models"].items()}


def recbole_models(source: Path) -> dict[str, Any]:
    """NDCG@10 by RecBole's evaluator over RecBole's split, and by our judge on the same rows."""
    from palate.evaluation.evaluate import evaluate
    from palate.integrations.recbole import PalateRecommender, RecBoleRanker, recbole_config, split_of, write_atomic

    given = json.loads(source.read_text(encoding="utf-8"))
    data = _load(given["set"])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # RecBole writes logs where it stands
        settings = write_atomic(data, folder) | {
            "seed": given["seed"], "topk": [K], "metrics": ["NDCG", "Recall", "Precision", "Hit", "MRR", "MAP"],
            "metric_decimal_place": 17, "show_progress": False, "state": "ERROR", "valid_metric": f"NDCG@{K}",
            "checkpoint_dir": folder, "use_gpu": False, "epochs": 60, "stopping_step": 3,
            "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "full"},
        }  # fmt: skip
        rows: dict[str, Any] = {}
        rankers, split = {}, None
        for model in (PalateRecommender, "Pop", "ItemKNN", "EASE", "BPR"):
            name = model if isinstance(model, str) else "Palate"
            config = recbole_config(model, data.name, settings)
            trained, dataset, tests, parts = _trained(config, model)
            rows[name] = {key: float(value) for key, value in tests.items()}
            if split is None:
                split = split_of(*parts, items=data.items, name=data.name)
            if name != "Palate":
                rankers[name] = [RecBoleRanker(trained, dataset)]
        judged = evaluate(split, models=("palate", "ease"), others=rankers, seed=given["seed"])
    models = judged["with_history"]["models"]
    return {"rows": rows, "judge": {name: one["metrics"] for name, one in models.items()}, "users": judged["users"]}


def _trained(config: Any, model: Any) -> tuple[Any, Any, dict[str, float], tuple[Any, Any, Any]]:
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    logging.disable(logging.CRITICAL)
    init_seed(config["seed"], reproducibility=True)
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    made = (get_model(model) if isinstance(model, str) else model)(config, loaders[0].dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, made)
    if isinstance(model, str):
        trainer.fit(loaders[0], loaders[1], saved=False, show_progress=False, verbose=False)
    return made, dataset, trainer.evaluate(loaders[2], load_best_model=False), tuple(one.dataset for one in loaders)


def _load(name: str) -> Any:
    from benchmarks._data import load

    return load(name)


if __name__ == "__main__":
    main()
