"""What hearing signs is worth: lists of a model that hears events for and against beside one that hears those for.

Three logs: impressions of short videos (skipped, viewed, played to the end, liked, hated); MovieLens-100K as what
people did (a rating of 5 a like, 4 a play, 3 a view, 2 a skip, 1 a dislike); and a planted shop, where what its buyers
rate low came back. A quarter of each user's pairs is held out, drawn anew for each seed. Relevant is what somebody was
for, and NDCG@10 is of two lists: of the whole catalogue less what was trained on, and of what is held out, for and
against, alone, which is what was put before them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import folder_of, load, main
from palate import Dataset, Learner
from palate.datasets import planted_world
from palate.datasets.splits import random_split
from palate.evaluation.intervals import bootstrap_mean
from palate.evaluation.judge import K
from palate.evaluation.metrics import expected_metrics, places
from palate.model.model import Model
from palate.random import derive_rng
from palate.vocabulary import FOR, STANDARD

LEAST = 20  # impressions of a user, where most have few
BLOCK = 512  # users whose lists are made at once
SIZE = (600, 300)  # users and items of the planted shop
WAYS = ("without signs", "with signs", "documented strengths")
Array = np.ndarray[Any, Any]


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """NDCG@10 of each way, and what it is more than without signs, paired by user over all seeds."""
    return {"k": K, "rows": [_row(name, make(), seeds) for name, make in LOGS.items() if name in sets]}


def _row(name: str, data: Dataset, seeds: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, Array]]] = {way: [] for way in WAYS}
    strengths = []
    for seed in range(seeds):
        rng = derive_rng(seed, "events", name)
        parts = random_split(data, shares=(0.75, 0.0, 0.25), rng=rng)
        for way in WAYS:
            model = Learner.fit(heard(parts.train, way), encoder="none", likelihood="implicit", seed=seed).model
            found[way].append(quality(model, data, parts.train, parts.test))
            if way == "with signs":
                strengths.append({word: model.vocabulary.liking(word) for word in model.vocabulary.learnt})
    return {
        "set": name,
        "users": data.interactions["user_id"].n_unique(),
        "events": dict(data.interactions["event"].value_counts(sort=True).iter_rows()),
        "strengths": {word: sorted(one[word] for one in strengths) for word in strengths[0]},
        **{measure: _measured(found, measure) for measure in ("catalogue", "put before them")},
    }


def _measured(found: dict[str, list[dict[str, Array]]], measure: str) -> dict[str, Any]:
    users = {way: _mean(np.array([one[measure] for one in found[way]])) for way in WAYS}
    rng = derive_rng(0, "bootstrap")
    return {
        way: {
            "ndcg@10": bootstrap_mean(value, rng=rng).as_dict(),
            "more": None if way == WAYS[0] else bootstrap_mean(value - users[WAYS[0]], rng=rng).as_dict(),
        }
        for way, value in users.items()
    }


def _mean(values: Array) -> Array:
    """Over the seeds, (seeds, U); NaN where none has a figure."""
    known = np.isfinite(values)
    return np.where(known.any(0), np.nan_to_num(values).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def heard(train: Dataset, way: str) -> Dataset:
    """The log as one of the ways hears it."""
    if way == "without signs":  # everything for counts alike, and nothing else is there
        for_alone = train.filter(pl.col("event").is_in([*FOR]))
        return replace(for_alone, interactions=for_alone.interactions.with_columns(event=pl.lit("view")))
    if way == "with signs":
        return train
    given = {word: f"{word}:{STANDARD.strength(word)}" for word in train.interactions["event"].unique()}
    return Dataset.from_tables(train.interactions, events=given)


def quality(model: Model, whole: Dataset, train: Dataset, test: Dataset) -> dict[str, Array]:
    """NDCG@10 of each user of the whole data, NaN where nothing is relevant or the model does not know them."""
    names = whole.interactions["user_id"].unique().sort().to_list()
    tastes, taste = model.taste.believe(model.answers).mean, model.taste
    columns = {item: place for place, item in enumerate(model.catalogue.ids)}
    known = [name for name in names if name in model.rows]
    found = {measure: np.full(len(names), np.nan) for measure in ("catalogue", "put before them")}
    place = {name: row for row, name in enumerate(names)}
    for start in range(0, len(known), BLOCK):
        users = known[start : start + BLOCK]
        score = taste.items.level + tastes[[model.rows[user] for user in users]] @ taste.items.factors.T
        seen, relevant, shown = (
            _cells(part, users, columns, signs) for part, signs in ((train, (-1, 1)), (test, (1,)), (test, (-1, 1)))
        )
        at = [place[user] for user in users]
        found["catalogue"][at] = _ndcg(score, ~seen, relevant)
        found["put before them"][at] = _ndcg(score, shown, relevant)
    return found


def _cells(part: Dataset, users: list[str], columns: dict[str, int], signs: tuple[int, ...]) -> Array:
    """Where users have an event of one of these signs, (n, I)."""
    coded = part.coded("event")
    of_user, of_item = ({name: row for row, name in enumerate(users)}, columns)
    rows = np.array([of_user.get(name, -1) for name in coded.user_ids])[coded.users]
    places = np.array([of_item.get(name, -1) for name in coded.item_ids])[coded.items]
    kept = (rows >= 0) & (places >= 0) & np.isin(np.sign(coded.values), signs)
    cells = np.zeros((len(users), len(columns)), dtype=bool)
    cells[rows[kept], places[kept]] = True
    return cells


def _ndcg(score: Array, allowed: Array, relevant: Array) -> Array:
    """Of each row's list of what is allowed; NaN where nothing is relevant."""
    found = places(np.where(allowed, score, -np.inf), relevant & allowed, K)[1]
    return expected_metrics(found, (relevant & allowed).sum(1))["ndcg"]


def videos() -> Dataset:
    """Impressions of short videos, of users who had twenty or more."""
    rows = pl.read_parquet(folder_of("kuairand-pure-cut") / "impressions.parquet")
    word = (
        pl.when("is_hate").then(pl.lit("dislike"))
        .when("is_like").then(pl.lit("like"))
        .when("long_view").then(pl.lit("play"))
        .when("is_click").then(pl.lit("view"))
        .otherwise(pl.lit("skip"))
    )  # fmt: skip
    rows = rows.select("user_id", "item_id", "timestamp", word.alias("event"))
    return Dataset.from_tables(rows.filter(pl.len().over("user_id") >= LEAST), name="kuairand-pure-cut")


def films() -> Dataset:
    """MovieLens-100K as what people did."""
    rows = load("movielens-100k").interactions
    words = {5.0: "like", 4.0: "play", 3.0: "view", 2.0: "skip", 1.0: "dislike"}
    event = pl.col("rating").replace_strict(words, return_dtype=pl.String)
    return Dataset.from_tables(rows.select("user_id", "item_id", "timestamp", event.alias("event")))


def shop() -> Dataset:
    """A planted shop: what is rated 4 and more was bought and kept, 2 and less came back."""
    rows = planted_world(users=SIZE[0], items=SIZE[1], rng=np.random.default_rng(0)).dataset.interactions
    event = pl.when(pl.col("rating") >= 4).then(pl.lit("purchase")).when(pl.col("rating") <= 2).then(pl.lit("return"))
    return Dataset.from_tables(rows.select("user_id", "item_id", "timestamp", event.alias("event")).drop_nulls("event"))


LOGS: dict[str, Callable[[], Dataset]] = {
    "kuairand-pure-cut": videos,
    "movielens-100k as events": films,
    "planted shop": shop,
}

if __name__ == "__main__":
    main("events", run, seeds=20, sets=tuple(LOGS), fixed=True)
