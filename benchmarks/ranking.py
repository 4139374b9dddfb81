"""Warm lists beside tuned rivals, every interaction a positive: Palate's one list, of people who are known.

Microsoft Recommenders' protocol (75/25 of each item's pairs) and random 8:1:1, as ``palate evaluate`` does. Of a
catalogue the 3,000 items that most people met. The best of the rivals *on the test rows* is the rival, which favours
the rivals; ``benchmarks.rivals`` stands them beside those of kept libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from benchmarks._data import main
from benchmarks._sequences import load_events
from palate import Dataset
from palate.entities import ITEM, USER
from palate.evaluation.evaluate import evaluate

SETS = ("movielens-100k", "movielens-latest-small", "lastfm-hetrec", "goodbooks", "steam-play")
SPLITS = ("stratified-item", "random")
MODELS = ("palate", "popularity", "item-knn", "rp3beta", "ease", "ials")  # of each set; SLIM and TF-IDF on the first
MOST_ITEMS = 3000


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set, split and seed."""
    rows = [row(name, split, seed) for name in sets for split in SPLITS for seed in range(seeds)]
    return {"most_items": MOST_ITEMS, "rows": rows}


def row(name: str, split: str, seed: int) -> dict[str, Any]:
    """One run."""
    models = (*MODELS, "slim") if name == SETS[0] and seed == 0 else MODELS
    print(name, split, seed, file=sys.stderr)
    document = evaluate(
        often_met(load_events(name)),
        split=split,
        seed=seed,
        models=models,
        progress=lambda model: print(" ", model, file=sys.stderr),
    )
    known = document["with_history"]
    found = {
        model: {
            "settings": document["models"][model]["settings"],
            "at_edge": document["models"][model]["at_edge"],
            "fit_seconds": document["models"][model]["fit_seconds"],
            "ndcg@10": each["metrics"]["ndcg@10"],
            "recall@20": each["metrics"]["recall@20"],
            "behind_best": each["behind_best"]["ndcg@10"],
            "recall_behind_best": each["behind_best"]["recall@20"],
        }
        for model, each in known["models"].items()
    }
    return {"set": name, "split": split, "seed": seed, "users": known["users"], "best": known["best"], "models": found}


def often_met(data: Dataset) -> Dataset:
    """With the items alone that most people met."""
    counts = data.interactions.group_by(ITEM).agg(pl.col(USER).n_unique().alias("n"))
    kept = counts.sort("n", ITEM, descending=[True, False])[ITEM].head(MOST_ITEMS).implode()
    return replace(
        data,
        interactions=data.interactions.filter(pl.col(ITEM).is_in(kept)),
        items=data.items.filter(pl.col(ITEM).is_in(kept)),
    )


if __name__ == "__main__":
    main("ranking", run, seeds=1, sets=SETS)
