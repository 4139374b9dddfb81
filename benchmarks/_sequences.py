"""What the benchmarks of history share: four logs with times, and item vectors from a training part alone."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import folder_of, load, main
from palate import Dataset
from palate.datasets.views import item_table
from palate.encoders.histories.behaviour import item_vectors
from palate.encoders.histories.history import Log, liking
from palate.encoders.items import encode
from palate.evaluation.baselines import Interactions
from palate.evaluation.palate_ranker import Lists
from palate.model.fit import fit_taste
from palate.posteriors.answers import Answers
from palate.posteriors.likelihoods import Implicit
from palate.posteriors.taste import Taste
from palate.ranking.histories import Histories
from palate.vocabulary import AGAINST, FOR

SETS = ("movielens-100k", "movietweetings", "kuairand-pure-cut", "online-retail")
PEERS = Path(__file__).resolve().parents[1] / ".venv-peers-sequences" / "bin" / "python"
PLAIN = {  # files of what was done, without times, and of the items, and the column of their titles
    "lastfm-hetrec": ("plays.parquet", "artists.parquet", "name"),
    "steam-play": ("plays.parquet", "items.parquet", "title"),
    "goodbooks": ("ratings.parquet", "items.parquet", "title"),
    "deezer-ro": ("likes.parquet", "genres.parquet", "genre"),
}
LEAST = 5  # events of an item in the training part: of rarer ones no peer knows anything


def main_with_sasrec(name: str, run: Callable[[int, str | None, Sequence[str], bool], dict[str, Any]]) -> None:
    """As :func:`benchmarks._data.main`, for a benchmark that also asks SASRec, if its environment is there."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--peers", default=str(PEERS), metavar="PYTHON", help="of the environment that holds RecTools")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument(
        "--no-networks", dest="networks", action="store_false", help="leave out what is trained by steps"
    )
    options, sys.argv[1:] = parser.parse_known_args()
    python = options.peers if Path(options.peers).exists() else None
    left_out = {}
    if not options.networks:
        left_out = dict.fromkeys(("behaviour", "sasrec"), "--no-networks")
    elif python is None:
        left_out["sasrec"] = f"its environment is missing: make {PEERS.parents[1].name}/.made"
        print(f"SASRec is left out, {left_out['sasrec']}", file=sys.stderr)
    main(
        name,
        lambda seeds: {"left_out": left_out, **run(seeds, python, options.sets.split(","), options.networks)},
        seeds=3,
    )


@dataclass(frozen=True, eq=False)
class World:
    """A training part, numbered.

    Attributes:
        log: All events of the training part, the ill ones too.
        train: Those meant well, each pair once.
        test: Events meant well, of the same users and items.
        data: The rows of the training part, and the items.
        item_ids: In their order.
    """

    log: Log
    train: Interactions
    test: Interactions
    data: Dataset
    item_ids: list[str]


@dataclass(frozen=True, eq=False)
class InHistory:
    """The one list for people who are not in its fit, of what each user met, oldest first."""

    lists: Lists
    met: Sequence[np.ndarray]

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.lists.of_new(Histories.of([self.met[user] for user in users], self.lists.model.n_items))


def load_events(name: str) -> Dataset:
    """Every row an event: a rating a view, an impression a like, a click or a skip, a basket line a purchase."""
    folder = folder_of(name)
    if name == "online-retail":
        rows = pl.read_parquet(folder / "purchases.parquet").with_columns(
            pl.lit("purchase").alias("event"), pl.col("timestamp").dt.epoch("s")
        )
        items = pl.read_parquet(folder / "items.parquet").rename({"description": "text"})
        return _tables(rows, items.select("item_id", "text"), name)
    if name == "kuairand-pure-cut":
        kind = pl.when("is_like").then(pl.lit("like")).when("is_click").then(pl.lit("click")).otherwise(pl.lit("skip"))
        rows = pl.read_parquet(folder / "impressions.parquet").with_columns(kind.alias("event"))
        items = pl.read_parquet(folder / "items.parquet")
        words = pl.format("{} tags {}", pl.col("video_type"), pl.col("tag").fill_null("none"))
        return _tables(rows, items.select("item_id", words.alias("text")), name)
    if name in PLAIN:
        file, items, title = PLAIN[name]
        rows = pl.read_parquet(folder / file).select("user_id", "item_id", pl.lit("view").alias("event"))
        named = pl.read_parquet(folder / items).select("item_id", pl.col(title).alias("title"))
        return Dataset.from_tables(rows, named, name=name)
    data = load(name)
    views = data.interactions.with_columns(pl.lit("view").alias("event"), pl.lit(None, pl.Float64).alias("rating"))
    return replace(data, interactions=views)


def _tables(rows: pl.DataFrame, items: pl.DataFrame, name: str) -> Dataset:
    return Dataset.from_tables(rows.select("user_id", "item_id", "event", "timestamp"), items, name=name)


def world(train: Dataset, test: Dataset) -> World:
    """Both parts in numbers; items with fewer than five good events in the training part are left out of both."""
    good = pl.col("event").is_in(list(FOR))
    counts = train.interactions.filter(good).group_by("item_id").agg(pl.col("user_id").n_unique().alias("n"))
    kept = counts.filter(pl.col("n") >= LEAST)["item_id"].sort()
    known = pl.col("item_id").is_in(kept.implode()) & pl.col("event").is_in([*FOR, *AGAINST])
    before, after = (part.interactions.filter(known) for part in (train, test))
    users = pl.concat([before["user_id"], after["user_id"]]).unique().sort()
    size = (len(users), len(kept))
    rows = _coded(before, users, kept)
    signs = liking(np.full(len(rows), np.nan), rows["event"].to_list())
    log = Log.of(rows["user"], rows["item"], signs, rows["time"], rows["event"].to_list())
    data = replace(train, interactions=before, items=train.items.filter(pl.col("item_id").is_in(kept.implode())))
    return World(
        log,
        _interactions(_coded(before.filter(good), users, kept), *size),
        _interactions(_coded(after.filter(good), users, kept), *size),
        data,
        kept.to_list(),
    )


def _coded(rows: pl.DataFrame, users: pl.Series, items: pl.Series) -> pl.DataFrame:
    """Numbers, by time; of a pair that repeats the last row."""
    return (
        rows.sort("timestamp", maintain_order=True)
        .unique(["user_id", "item_id"], keep="last", maintain_order=True)
        .select(
            pl.col("user_id").cast(pl.Enum(users)).to_physical().cast(pl.Int64).alias("user"),
            pl.col("item_id").cast(pl.Enum(items)).to_physical().cast(pl.Int64).alias("item"),
            "event",
            pl.col("timestamp").alias("time"),
        )
    )


def _interactions(rows: pl.DataFrame, n_users: int, n_items: int) -> Interactions:
    columns = (rows["user"].to_numpy(), rows["item"].to_numpy(), np.ones(len(rows)), rows["time"].to_numpy())
    return Interactions(*columns, n_users, n_items)


def content_of(part: World) -> np.ndarray | None:
    """Encodings of the items by the embedded encoder, (I, E)."""
    return encode(item_table(part.data, part.item_ids), "default", None)[0]


def taste_of(part: World, content: np.ndarray | None, *, dim: int = 32, seed: int = 0) -> Taste:
    """The taste model of the training part's good events."""
    train = part.train
    answers = Answers.build(
        train.users.astype(np.int32), train.items.astype(np.int32), train.values, (train.n_users, train.n_items)
    )
    return fit_taste(answers, Implicit(), content, dim=dim, seed=seed)[0]


def vectors_of(taste: Taste, content: np.ndarray | None) -> np.ndarray:
    """Content, level and factors of the items side by side, (I, E + A)."""
    return item_vectors(content, taste.items.level, taste.items.factors)


def ask_sasrec(
    python: str, train: Interactions, seen: Interactions, ask: np.ndarray, *, k: int, seed: int
) -> dict[str, Any]:
    """Lists of RecTools' SASRec for some users of whom ``seen`` is known, (n, k); ``python`` is of its environment."""
    arrays = {
        "users": train.users, "items": train.items, "times": train.timestamps, "seen_users": seen.users,
        "seen_items": seen.items, "seen_times": seen.timestamps, "ask": ask, "k": k, "seed": seed,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "input.npz", Path(folder) / "output.json"
        np.savez(source, **arrays)
        script = Path(__file__).with_name("_peers_sequences.py")
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
        subprocess.run([python, script, source, target], check=True, env={**os.environ, **one_thread})
        return dict(json.loads(target.read_text(encoding="utf-8")))


def training_of(answer: dict[str, Any]) -> dict[str, Any]:
    """How SASRec was trained, of what :func:`ask_sasrec` gave."""
    return {name: answer[name] for name in ("epochs", "stopped_by_clock", "seconds", "settings")}
