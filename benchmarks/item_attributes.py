"""Attributes of items, labelled by noisy workers: what one is worth as a feature, and how honest a filter is.

``features``: a fifth of the items is hidden with all that was said of them, as in ``benchmarks.never_rated``, but their
labels are there. A worker is right with a chance between .55 and .95, and guesses otherwise. Labels: none; of every
item 1 or 3, or the truth; 3 of half of the items, where the others lack the block, or have the mean shares; and 3 of
workers who all guess, which must not cost anything. With the text encoder and without; the text is of
other things, such as a coat's colour. RMSE, and NDCG@10 of a person's hidden items, as differences to no labels.

``filters``: real crowds whose truth is known. Of each item some votes, drawn; items pass whose probability of some
option, or its lower bound, reaches a floor. How many pass, and how many of them are what is claimed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import Any
from unittest import mock

import numpy as np
import polars as pl

from benchmarks._data import folder_of, load, main
from palate import Answer, Dataset
from palate.datasets.splits import new_items
from palate.encoders.blocks import Raw
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap, paired_rmse, ratio_interval, rmse_interval
from palate.evaluation.metrics import graded_ndcg
from palate.model.fit import check_arguments, fit_model
from palate.model.item_labels import label_blocks
from palate.oracles.item_labels import ItemLabels, labels_of
from palate.random import derive_rng

Array = np.ndarray
RATED = ("coat",)
CROWDS = ("bluebirds", "faces", "product_pairs")
ENCODERS = ("none", "default")
WAYS = ("no labels", "1 vote", "3 votes", "truth", "3 votes of half", "the same, mean shares", "3 guesses")
WORKERS, VOTES, GOLD, FLOORS = 12, (1, 2, 3, 5), (0, 50), (0.8, 0.9, 0.95)


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set."""
    logging.getLogger("palate").setLevel(logging.ERROR)
    return {"rows": [features(name, seeds) if name in RATED else filters(name, seeds) for name in sets]}


# ---- as a feature ---------------------------------------------------------------------------------------------------


def features(name: str, seeds: int) -> dict[str, Any]:
    """Every way on one set."""
    data, attribute, truth = _with_truth(name)
    users = {user: row for row, user in enumerate(data.interactions["user_id"].unique().sort())}
    items = {item: row for row, item in enumerate(data.interactions["item_id"].unique().sort())}
    found: dict[str, Any] = {"set": name, "kind": "feature", "options": list(attribute.options), "encoders": {}}
    for encoder in ENCODERS:
        played = {way: _Played(len(users), len(items)) for way in WAYS}
        for seed in range(seeds):
            split = new_items(data, share=0.2, rng=derive_rng(seed, "item attributes"))
            for way in WAYS:
                votes, gold = _labels(way, attribute, truth, derive_rng(seed, "workers", way))
                given = {"encoder": encoder, "seed": seed, "likelihood": "gaussian"}
                given["item_attributes"] = [] if way == "no labels" else [attribute]
                blocks = _filled if way == "the same, mean shares" else label_blocks
                with mock.patch("palate.model.fit.label_blocks", blocks):
                    model = fit_model(
                        **check_arguments({"data": split.train, **given}),
                        labels=votes,
                        gold={attribute.name: gold},
                        lists=False,
                    )
                rows, columns, observed = held_out_rows(model, split.test)
                mean, _ = predict_rows(model, rows, columns)
                place = np.array([users[user] for user in model.user_ids])
                item = np.array([items[one] for one in model.catalogue.ids])
                played[way].add(place[rows], item[columns], mean, observed, model.scale.low)
        base = played["no labels"]
        found["encoders"][encoder] = {
            way: one.summary() | ({} if one is base else {"minus no labels": one.minus(base)})
            for way, one in played.items()
        } | {"half: lacks minus mean shares": played["3 votes of half"].minus(played["the same, mean shares"])}
    return found


class _Played:
    """Squared errors by item, and the order of the hidden items by user, over the seeds."""

    def __init__(self, n_users: int, n_items: int) -> None:
        self.squared, self.counts = np.zeros((2, n_items))
        self.orders, self.times = np.zeros((2, n_users))

    def add(self, users: Array, items: Array, mean: Array, observed: Array, low: float) -> None:
        np.add.at(self.squared, items, (mean - observed) ** 2)
        np.add.at(self.counts, items, 1.0)
        order = graded_ndcg(mean, observed - low, users, n_rows=len(self.orders), k=10)
        is_ordered = np.bincount(users, minlength=len(order)) > 1
        here = is_ordered & ~np.isnan(order)
        self.orders[here] += order[here]
        self.times[here] += 1.0

    @property
    def ndcg(self) -> Array:
        return np.where(self.times > 0, self.orders / np.maximum(self.times, 1.0), np.nan)

    def summary(self) -> dict[str, Any]:
        rng = derive_rng(0, "bootstrap")
        return {
            "rmse": rmse_interval(self.squared, self.counts, rng=rng).as_dict(),
            "ndcg@10": bootstrap_mean(self.ndcg, rng=rng).as_dict(),
        }

    def minus(self, other: _Played) -> dict[str, Any]:
        rng = derive_rng(0, "bootstrap")
        return {
            "rmse": paired_rmse(self.squared, other.squared, self.counts, rng=rng).as_dict(),
            "ndcg@10": paired_bootstrap(self.ndcg, other.ndcg, rng=rng).as_dict(),
        }


def _with_truth(name: str) -> tuple[Dataset, ItemAttribute, dict[str, int]]:
    """A set without what says the attribute, and the option of each item: a coat's type."""
    data, items = load(name), pl.read_parquet(folder_of(name) / "items.parquet")
    kinds = dict(items.select(pl.col("item_id").cast(pl.String), "jacket_type").iter_rows())
    rest = pl.concat_str(["gender", "colour"], separator=" ").alias("text")
    data = Dataset.from_tables(data.interactions, items.select(pl.col("item_id").cast(pl.String), rest), name=name)
    options = sorted(set(kinds.values()))
    attribute = ItemAttribute("kind", "What kind is it?", tuple(options))
    return data, attribute, {item: options.index(kind) for item, kind in kinds.items()}


def _labels(
    way: str, attribute: ItemAttribute, truth: dict[str, int], rng: np.random.Generator
) -> tuple[list[Answer], dict[str, int]]:
    """Votes, and what is known."""
    if way in ("no labels", "truth"):
        return [], truth if way == "truth" else {}
    each, n_options = 1 if way == "1 vote" else 3, len(attribute.options)
    is_guess, is_half = way == "3 guesses", "half" in way or "mean shares" in way
    skill = np.zeros(WORKERS) if is_guess else rng.uniform(0.55, 0.95, WORKERS)
    votes = []
    for item, option in sorted(truth.items()):
        if is_half and derive_rng(0, "half", item).random() < 0.5:
            continue
        for worker in rng.choice(WORKERS, each, replace=False).tolist():
            said = option if rng.random() < skill[worker] else int(rng.integers(n_options))
            votes.append(AttributeQuestion(attribute, item).answer(said, source=f"w{worker}"))
    return votes, {}


def _filled(labels: Iterable[ItemLabels], ids: Sequence[str]) -> list[Raw]:
    """The blocks, where an item without labels has what all have on average."""
    found = []
    for block, vectors in label_blocks(labels, ids):
        lacks = np.isnan(vectors).any(1)
        filled = vectors.copy()
        filled[lacks] = vectors[~lacks].mean(0)
        found.append((block, filled))
    return found


# ---- as a filter ----------------------------------------------------------------------------------------------------


def filters(name: str, seeds: int) -> dict[str, Any]:
    """How many items pass, and how many of them rightly."""
    votes, truth, attribute = _crowd(name)
    by_item: dict[str, list[tuple[str, int]]] = {}
    for item, worker, option in votes:
        by_item.setdefault(item, []).append((worker, option))
    judged = sorted(truth.keys() & by_item.keys())
    rows = []
    for n_votes in VOTES:
        for n_gold in GOLD:
            sums = {(by, floor): np.zeros((3, len(judged))) for by in ("probability", "lower") for floor in FLOORS}
            temperatures = []
            for seed in range(seeds):
                rng = derive_rng(seed, "filters", name, str(n_votes))
                drawn = [
                    AttributeQuestion(attribute, item).answer(said[row][1], source=said[row][0])
                    for item, said in sorted(by_item.items())
                    for row in rng.permutation(len(said))[:n_votes].tolist()
                ]
                gold = {judged[row]: truth[judged[row]] for row in rng.permutation(len(judged))[:n_gold].tolist()}
                found = labels_of(attribute, drawn, [], gold)
                temperatures.append(found.temperature)
                places = {item: row for row, item in enumerate(found.items)}
                for row, item in enumerate(judged):
                    if item in gold:
                        continue
                    for by, said in {"probability": found.probabilities, "lower": found.lower}.items():
                        for floor in FLOORS:
                            passes = said[places[item]] >= floor
                            right = bool(passes[truth[item]])
                            sums[by, floor][:, row] += (1.0, float(passes.any()), float(right and passes.any()))
            for (by, floor), (seen, passed, right) in sums.items():
                rng = derive_rng(0, "bootstrap")
                interval = None
                if passed.sum():
                    interval = ratio_interval([right, passed], lambda r, n: r / np.maximum(n, 1e-9), rng=rng).as_dict()
                rows.append(
                    {
                        "votes": n_votes,
                        "gold": n_gold,
                        "by": by,
                        "floor": floor,
                        "passed": float(passed.sum() / seen.sum()),
                        "right": interval,
                        "temperature": float(np.mean(temperatures)),
                    }
                )
    return {"set": name, "kind": "filter", "items": len(judged), "filters": rows}


def _crowd(name: str) -> tuple[list[tuple[str, str, int]], dict[str, int], ItemAttribute]:
    folder = folder_of("crowd-labels")
    labels, truth = (pl.read_parquet(folder / f"{name}_{part}.parquet") for part in ("labels", "truth"))
    options = sorted({*map(str, labels["label"].to_list()), *map(str, truth["truth"].to_list())})
    place = {option: row for row, option in enumerate(options)}
    votes = [(str(item), str(worker), place[str(label)]) for item, worker, label in labels.iter_rows()]
    known = {str(item): place[str(label)] for item, label in truth.iter_rows()}
    return votes, known, ItemAttribute("kind", "What is it?", tuple(options))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main("item_attributes", run, seeds=3, sets=(*RATED, *CROWDS), fixed=True)
