"""Labels for a text classifier on a frozen encoder: ours beside scikit-activeml and small-text, on the same pools.

Ten labels to start with, at least one of each class, then batches of ten up to a hundred; the model is a linear softmax
under one prior, the same on both sides. The area is the mean accuracy over the curve; seconds are those of choosing a
batch, on one thread, the model being fitted outside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import sklearn.cluster  # noqa: F401 - loaded before its threads are limited
from threadpoolctl import threadpool_limits

from benchmarks._comparison import Peers, main_with_peers
from benchmarks._data import folder_of
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.arrays import Array, Positions
from palate.classifiers.softmax import Softmax
from palate.encoders.cache import Cached
from palate.encoders.registry import load_encoder
from palate.evaluation.intervals import Interval, ratio_interval
from palate.random import derive_rng

START, K, ROUNDS = 10, 10, 9
PRIOR_VARIANCE, DRAWS = 10.0, 32
OURS = ("random", "margin", "bald", "epig", "badge", "typiclust", "probcover", "core-set")
DRAWN = ("bald", "epig")  # need draws of the posterior; the others see its mode, as the peers' do
LEAST_OF_A_TOPIC = 80  # news of a smaller topic are left out

Texts = tuple[list[str], Positions]


def news_topics() -> Texts:
    """Titles of MIND news and their topic."""
    lines = (folder_of("mind-cut") / "original" / "news.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    names, counts = np.unique([row[1] for row in rows], return_counts=True)
    kept = [row for row in rows if row[1] in names[counts >= LEAST_OF_A_TOPIC]]
    return [row[3] for row in kept], np.unique([row[1] for row in kept], return_inverse=True)[1]


def offensiveness() -> Texts:
    """Reddit comments, and whether their mean rating of offensiveness is above the median."""
    folder = folder_of("popquorn-offensiveness")
    means = pl.read_parquet(folder / "ratings.parquet").group_by("item_id").agg(pl.col("rating").mean())
    rows = pl.read_parquet(folder / "items.parquet").join(means, on="item_id").sort("item_id")
    ratings = rows["rating"].to_numpy()
    return rows["text"].to_list(), (ratings > np.median(ratings)).astype(np.intp)


SETS: dict[str, Callable[[], Texts]] = {"mind-topics": news_topics, "popquorn-offensiveness": offensiveness}


def run(seeds: int, peers: Peers) -> dict[str, Any]:
    """By set: each strategy's area and seconds, and ours over theirs where both have it."""
    with threadpool_limits(limits=1):
        return {"rows": [_set(name, seeds, peers) for name in SETS]}


def _set(name: str, seeds: int, peers: Peers) -> dict[str, Any]:
    arrays = _arrays(*SETS[name](), seeds)
    theirs = peers("curves", arrays)
    found: dict[tuple[str, str], list[tuple[list[float], list[float]]]] = {}
    for strategy in OURS:
        found["palate", strategy] = [_play(strategy, arrays, seed) for seed in range(seeds)]
    for row in theirs["rows"]:
        found.setdefault((row["peer"], row["strategy"]), []).append((row["accuracy"], row["seconds"]))
    areas = {key: np.array([_area(accuracy) for accuracy, _ in runs]) for key, runs in found.items()}
    seconds = {key: np.array([np.mean(taken) for _, taken in runs]) for key, runs in found.items()}
    last = {key: float(np.mean([accuracy[-1] for accuracy, _ in runs])) for key, runs in found.items()}
    return {
        "set": name,
        "texts": len(arrays["labels"]),
        "classes": int(arrays["classes"]),
        "versions": theirs["versions"],
        "strategies": [_strategy(key, areas, seconds, last) for key in found],
        "ours_over_theirs": [_pair(key, areas, seconds) for key in found if key[0] != "palate" and key[1] in OURS],
    }


def _arrays(texts: list[str], labels: Positions, seeds: int) -> dict[str, np.ndarray]:
    """Features and, by seed, what is in the pool, in the test and labelled at the start."""
    features = Cached(load_encoder("default")).encode(texts).astype(np.float64)
    features = np.column_stack([features, np.ones(len(features))])
    n_test = len(labels) // 3
    orders = [derive_rng(seed, "text").permutation(len(labels)) for seed in range(seeds)]
    pools = [order[n_test:] for order in orders]
    return {
        "features": features,
        "labels": labels,
        "classes": np.array(labels.max() + 1),
        "pool": np.array(pools),
        "test": np.array([order[:n_test] for order in orders]),
        "start": np.array([_start(labels[pool]) for pool in pools]),
        "rounds": np.array(ROUNDS),
        "k": np.array(K),
        "prior_variance": np.array(PRIOR_VARIANCE),
    }


def _start(labels: Positions) -> Positions:
    """The first of each class and then the first there are; the pool is in a random order."""
    firsts = np.unique(labels, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(labels)), firsts)
    return np.concatenate([firsts, others[: START - len(firsts)]])


def _play(strategy: str, arrays: dict[str, np.ndarray], seed: int) -> tuple[list[float], list[float]]:
    rng = derive_rng(seed, "play", strategy)
    pool, test = arrays["pool"][seed], arrays["test"][seed]
    features, truth = arrays["features"], arrays["labels"]
    known = pool[arrays["start"][seed]]
    accuracy, seconds = [], []
    for turn in range(ROUNDS + 1):
        model = Softmax.fit(features[known], truth[known], range(int(arrays["classes"])), PRIOR_VARIANCE)
        accuracy.append(float((model.probabilities(features[test]).argmax(1) == truth[test]).mean()))
        if turn < ROUNDS:
            open_ = np.setdiff1d(pool, known)
            began = time.perf_counter()
            seen = _pool(model, features[open_], features[known], truth[known], strategy in DRAWN, rng)
            chosen = POOL_STRATEGIES[strategy].pick(seen, K, rng=rng).items
            seconds.append(time.perf_counter() - began)
            known = np.concatenate([known, open_[chosen]])
    return accuracy, seconds


def _pool(
    model: Softmax, candidates: Array, labelled: Array, labels: Positions, drawn: bool, rng: np.random.Generator
) -> Pool:
    rows = np.concatenate([candidates, labelled])
    samples = model.samples(rows, DRAWS, rng=rng) if drawn else model.probabilities(rows)[None]
    n = len(candidates)
    return Pool(samples[:, :n], candidates, labelled, labels, samples[:, n:])


def _area(accuracy: list[float]) -> float:
    """Mean height of the curve, by trapezes."""
    return float(np.mean((np.array(accuracy)[1:] + np.array(accuracy)[:-1]) / 2.0))


def _strategy(
    key: tuple[str, str], areas: dict[tuple[str, str], Array], seconds: dict[tuple[str, str], Array], last: Any
) -> dict[str, Any]:
    return {
        "from": key[0],
        "strategy": key[1],
        "area_over_random": _ratio(areas[key], areas["palate", "random"]).as_dict(),
        "area": float(areas[key].mean()),
        "accuracy_at_100": last[key],
        "seconds_a_batch": float(seconds[key].mean()),
    }


def _pair(
    key: tuple[str, str], areas: dict[tuple[str, str], Array], seconds: dict[tuple[str, str], Array]
) -> dict[str, Any]:
    ours = ("palate", key[1])
    return {
        "strategy": key[1],
        "over": key[0],
        "area": _ratio(areas[ours], areas[key]).as_dict(),
        "seconds": _ratio(seconds[ours], seconds[key]).as_dict(),
    }


def _ratio(a: Array, b: Array) -> Interval:
    """Of two means over the seeds, paired by seed."""
    return ratio_interval([a, b], lambda x, y: x / y, rng=derive_rng(0, "bootstrap"))


if __name__ == "__main__":
    main_with_peers("text_classification", run, seeds=20)
