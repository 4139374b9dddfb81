"""Warm top-10 on MovieLens-100K, every rating a positive, beside tuned baselines in the same run."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks._data import load, main
from palate.evaluation.evaluate import evaluate


def run(seeds: int) -> dict[str, Any]:
    """One row a split and seed: Microsoft Recommenders' protocol (75/25) and random 8:1:1."""
    data, rows = load("movielens-100k"), []
    for split in ("stratified-item", "random"):
        for seed in range(seeds):
            document = evaluate(data, split=split, seed=seed, progress=lambda name: print(name, file=sys.stderr))
            models = {
                name: {
                    "settings": document["models"][name]["settings"],
                    "ndcg@10": model["metrics"]["ndcg@10"],
                    "behind_best": model["behind_best"]["ndcg@10"],
                }
                for name, model in document["with_history"]["models"].items()
            }
            rows.append({"split": split, "seed": seed, "best": document["with_history"]["best"], "models": models})
    return {"rows": rows}


if __name__ == "__main__":
    main("ranking", run, seeds=2)
