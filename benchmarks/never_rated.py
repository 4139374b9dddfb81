"""Items nobody has rated: a fifth of them hidden, predicted from text, image, sound, categories, or all of these.

Of users who have ratings left. RMSE and the order of a user's hidden items (NDCG@10 with the rating above the lowest
as gain), against no content at all, and everything fused against the best modality alone; intervals by item (RMSE) and
by user (NDCG), since one that is hidden under several seeds errs alike in all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import POLIS, folder_of, load, main
from palate import Dataset, Learner
from palate.datasets.splits import new_items
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap, paired_rmse, rmse_interval
from palate.evaluation.metrics import graded_ndcg
from palate.random import derive_rng

Array = np.ndarray
TEXT: dict[str, Any] = {"encoder": "default"}
IMAGE: dict[str, Any] = {"image": "efficientnet-lite0"}
AUDIO: dict[str, Any] = {"audio": "musicnn"}
CATEGORY: dict[str, Any] = {"categories": True}
# what is tried on each set, beside nothing; the last is everything
TRIED = {
    "jester": {"text": TEXT},
    **{f"polis/{name}": {"text": TEXT} for name in POLIS},
    "coat": {"text": TEXT, "category": CATEGORY, "text+category": TEXT | CATEGORY},
    "dog-aesthetics": {"text": TEXT, "image": IMAGE, "text+image": TEXT | IMAGE},
    "emotify": {"audio": AUDIO, "category": CATEGORY, "audio+category": AUDIO | CATEGORY},
    **{
        f"movie-posters/{ratings}": {
            "text": TEXT,
            "image": IMAGE,
            "category": CATEGORY,
            "text+image": TEXT | IMAGE,
            "text+category": TEXT | CATEGORY,
            "text+image+category": TEXT | IMAGE | CATEGORY,
        }
        for ratings in ("movielens-latest-small", "movietweetings")
    },
    "movielens-latest-small": {"text": TEXT, "category": CATEGORY, "text+category": TEXT | CATEGORY},
}
# the design's prototype with MiniLM content, and without
PROTOTYPE = {
    "polis/scoop-hivemind.biodiversity": (0.718, 0.745),
    "polis/american-assembly.bowling-green": (0.688, 0.705),
    "polis/scoop-hivemind.affordable-housing": (0.845, 0.874),
    "jester": (4.55, 4.63),
}


@dataclass(frozen=True)
class Played:
    """What was measured of one way to see items, over all seeds."""

    squared: Array  # by item: squared error, summed over the seeds that hid it
    counts: Array  # by item: ratings that were predicted
    inside: Array  # by item: ratings inside the 95 % interval
    ndcg: Array  # by user, mean over the seeds; NaN where there is no order


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set."""
    logging.getLogger("palate").setLevel(logging.ERROR)
    return {"rows": [row(name, seeds) for name in sets]}


def row(name: str, seeds: int) -> dict[str, Any]:
    """Everything that is tried on one set."""
    data = _load(name)
    played = {"none": _play(data, {}, seeds)}
    played |= {way: _play(data, options, seeds) for way, options in TRIED[name].items()}
    found: dict[str, Any] = {"set": name, "seeds": seeds, "prototype": PROTOTYPE.get(name)}
    found["ways"] = {way: _summary(one) for way, one in played.items()}
    found["minus_none"] = {way: _difference(one, played["none"]) for way, one in played.items() if way != "none"}
    single = [way for way in TRIED[name] if "+" not in way]
    if len(single) > 1:
        best = min(single, key=lambda way: found["ways"][way]["rmse"]["mean"])
        found["best_alone"] = best
        found["fused_minus_best_alone"] = {
            way: _difference(played[way], played[best]) for way in TRIED[name] if "+" in way
        }
    return found


def _summary(played: Played) -> dict[str, Any]:
    rng = derive_rng(0, "bootstrap")
    return {
        "rmse": rmse_interval(played.squared, played.counts, rng=rng).as_dict(),
        "ndcg@10": bootstrap_mean(played.ndcg, rng=rng).as_dict(),
        "coverage_95": float(played.inside.sum() / played.counts.sum()),
    }


def _difference(one: Played, other: Played) -> dict[str, Any]:
    rng = derive_rng(0, "bootstrap")
    return {
        "rmse": paired_rmse(one.squared, other.squared, one.counts, rng=rng).as_dict(),
        "ndcg@10": paired_bootstrap(one.ndcg, other.ndcg, rng=rng).as_dict(),
    }


def _play(data: Dataset, options: dict[str, Any], seeds: int) -> Played:
    users = {user: row for row, user in enumerate(data.interactions["user_id"].unique().sort())}
    items = {item: row for row, item in enumerate(data.interactions["item_id"].unique().sort())}
    squared, counts, inside = np.zeros((3, len(items)))
    ndcg, times = np.zeros(len(users)), np.zeros(len(users))
    for seed in range(seeds):
        split = new_items(data, share=0.2, rng=derive_rng(seed, "never-rated"))
        model = Learner.fit(split.train, **{"encoder": "none", **options}, likelihood="gaussian", seed=seed).model
        rows, columns, observed = held_out_rows(model, split.test)
        mean, std = predict_rows(model, rows, columns)
        item = np.array([items[model.catalogue.ids[column]] for column in columns])
        np.add.at(squared, item, (mean - observed) ** 2)
        np.add.at(counts, item, 1.0)
        np.add.at(inside, item, np.abs(mean - observed) <= 1.959964 * std)
        for user, found in zip(*_ndcg(rows, mean, observed - model.scale.low), strict=True):
            ndcg[users[model.user_ids[user]]] += found
            times[users[model.user_ids[user]]] += 1
    return Played(squared, counts, inside, np.where(times > 0, ndcg / np.maximum(times, 1), np.nan))


def _ndcg(rows: Array, mean: Array, gains: Array, k: int = 10) -> tuple[Array, Array]:
    """Users with two hidden items of different gain, and the NDCG@k of their order by the predicted mean."""
    size = rows.max() + 1
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, rows, gains)
    np.maximum.at(high, rows, gains)
    chosen = np.flatnonzero(high > low)
    return chosen, graded_ndcg(mean, gains, rows, n_rows=size, k=k)[chosen]


# ---- the sets -------------------------------------------------------------------------------------------------------


def _load(name: str) -> Dataset:
    if name == "emotify":
        return _emotify()
    if name == "coat":
        return _coat()
    if name == "dog-aesthetics":
        return replace(load(name), folder=folder_of(name))
    if name.startswith("movie-posters/") or name == "movielens-latest-small":
        return _films(name)
    return load(name)


def _coat() -> Dataset:
    """With the attributes of a coat, of which its text is composed, as categories too."""
    data, items = load("coat"), pl.read_parquet(folder_of("coat") / "items.parquet")
    shown = pl.when("on_front_page").then(pl.lit("front page"))
    attributes = pl.concat_str(["gender", "jacket_type", "colour", shown], separator="|", ignore_nulls=True)
    both = data.items.join(
        items.select(pl.col("item_id").cast(pl.String), attributes.alias("attributes")), on="item_id", how="left"
    )
    return replace(data, items=both.with_columns(pl.col("attributes").alias("category")).drop("attributes"))


def _emotify() -> Dataset:
    """Liked 1, disliked −1, neither 0; a user is a group of listeners of one age, gender and mother tongue."""
    folder = folder_of("emotify")
    rating = (pl.col("liked").cast(pl.Float64) - pl.col("disliked")).mean().alias("rating")
    annotations = pl.read_parquet(folder / "annotations.parquet")
    ratings = annotations.group_by("listener_group_id", "item_id", maintain_order=True).agg(rating)
    items = pl.read_parquet(folder / "items.parquet").select("item_id", pl.col("genre").alias("category"), "audio")
    return Dataset.from_tables(ratings.rename({"listener_group_id": "user_id"}), items, name="emotify", folder=folder)


def _films(name: str) -> Dataset:
    """Ratings, titles, genres and overviews; of ``movie-posters`` the films that have one."""
    source = name.removeprefix("movie-posters/")
    ratings, items = _movielens() if source == "movielens-latest-small" else _movietweetings()
    if name != source:
        key = "movielens_id" if source == "movielens-latest-small" else "movietweetings_item_id"
        posters = pl.read_parquet(folder_of("movie-posters") / "posters.parquet").drop_nulls(key).unique(key)
        posters = posters.select(pl.col(key).cast(pl.Int64).alias("item_id"), pl.col("poster_jpeg").alias("image"))
        items = items.join(posters, on="item_id")
        ratings = ratings.filter(pl.col("item_id").is_in(items["item_id"].implode()))
    return Dataset.from_tables(ratings, items, name=name)


def _movielens() -> tuple[pl.DataFrame, pl.DataFrame]:
    folder = folder_of("movielens-latest-small")
    ratings = pl.read_csv(folder / "original" / "ratings.csv").select(
        pl.col("userId").alias("user_id"), pl.col("movieId").alias("item_id"), "rating"
    )
    genres = pl.when(pl.col("genres") != "(no genres listed)").then(pl.col("genres")).alias("category")
    items = pl.read_csv(folder / "original" / "movies.csv").select(pl.col("movieId").alias("item_id"), "title", genres)
    return ratings, _with_overviews(items, folder / "item_text.parquet")


def _movietweetings() -> tuple[pl.DataFrame, pl.DataFrame]:
    folder = folder_of("movietweetings")
    ratings = pl.read_parquet(folder / "ratings.parquet").select(
        "user_id", pl.col("item_id").cast(pl.Int64), pl.col("rating").cast(pl.Float64)
    )
    items = pl.read_parquet(folder / "items.parquet").select(
        pl.col("item_id").cast(pl.Int64), "title", pl.col("genres").list.join("|").alias("category")
    )
    return ratings, _with_overviews(items, folder / "item_overview_tmdb_DEV_ONLY.parquet")


def _with_overviews(items: pl.DataFrame, path: Any) -> pl.DataFrame:
    overviews = pl.read_parquet(path).unique("item_id", keep="first", maintain_order=True)
    overviews = overviews.select(pl.col("item_id").cast(pl.Int64), pl.col("overview").alias("text"))
    return items.join(overviews, on="item_id", how="left", maintain_order="left")


if __name__ == "__main__":
    main("never_rated", run, seeds=20, sets=tuple(TRIED), fixed=True)
