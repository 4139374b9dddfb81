"""What the share, or the seconds, of a video that were watched add, as the line from which a play counts.

A fifth of the people, drawn, are new; of KuaiRand nearly everybody is there before any moment. A log says of each play
whether it counts: "as logged". Beside that stand lines at a share or at seconds, of any row, skips too; likes always
count. By each line a list is fitted on everybody else, and the new people are tested on what they took up *as logged*
after their first n rows that count as logged; of these n their history holds those above the line. The line with the
best NDCG@10 by the same protocol inside the training part, for each n, is compared with "as logged". Intervals are over
people, paired.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import folder_of, main
from benchmarks.price import by_user
from palate import Dataset
from palate.datasets.samples import video_sample
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.palate_ranker import Lists
from palate.random import derive_rng
from palate.ranking.fit_list import fit_list
from palate.ranking.held_back import Met
from palate.ranking.histories import Histories, list_ndcg

SETS = ("kuairand-pure-cut", "video-sample")
STAGES = (1, 3, 10)
SHARE, MOST_ITEMS, LEAST_MET, FEWEST = 0.2, 2000, 5, 10
LOGGED = "as logged"
LINES = {
    LOGGED: pl.col("counts"),
    **{f"share {line:g}": (pl.col("share") >= line) | pl.col("liked") for line in (0.1, 0.3, 0.5, 0.8)},
    **{f"{line:g} seconds": (pl.col("seconds") >= line) | pl.col("liked") for line in (3.0, 10.0, 30.0, 60.0)},
}
Quality = dict[int, dict[str, np.ndarray]]  # by n and line, of each person


def table_of(data: Dataset) -> pl.DataFrame:
    """One row a user and video: the first time, whether it counts as logged, whether it was liked, the most watched."""
    counts, liked = pl.col("event").is_in(["play", "click", "like", "share"]), pl.col("event").is_in(["like", "share"])
    rows = data.interactions.with_columns(
        pl.col("user_id").rank("dense").cast(pl.Int64) - 1, pl.col("item_id").rank("dense").cast(pl.Int64) - 1
    )
    return rows.group_by("user_id", "item_id", maintain_order=True).agg(
        pl.col("timestamp").min(),
        counts.any().alias("counts"),
        liked.any().alias("liked"),
        pl.col("share", "seconds").max().fill_null(0.0),
    )


def quality(rows: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, Quality]:
    """The rows of those who are not new, and NDCG@10 of those who are."""
    rng = derive_rng(seed, "people")
    users = rows["user_id"].unique().sort().to_numpy()
    is_new = pl.col("user_id").is_in(rng.permutation(users)[: round(SHARE * len(users))].tolist())
    before, after = rows.filter(~is_new), rows.filter(is_new)
    popular = before.filter("counts").group_by("item_id").len().filter(pl.col("len") >= LEAST_MET)
    kept = popular.sort("len", "item_id", descending=[True, False])["item_id"].head(MOST_ITEMS).sort().to_numpy()
    number = pl.DataFrame({"item_id": kept, "item": np.arange(len(kept))})
    new = after.join(number, on="item_id")
    shown = new.filter("counts")
    people = by_user(*(shown[name].to_numpy() for name in ("user_id", "item", "timestamp")))
    found: Quality = {}
    tested = {n: [user for user, items in people.items() if len(items) > n] for n in STAGES}
    for name, line in LINES.items():
        train = before.filter(line).join(number, on="item_id")
        users, items, times = (train[column].to_numpy() for column in ("user_id", "item", "timestamp"))
        ones = np.ones(len(train))
        met = Met.of(users, items, ones > 0, ones, times, (int(rows["user_id"].max() or 0) + 1, len(kept)))
        fitted = Lists(fit_list(met, rng=derive_rng(seed, "list")))
        above = set(new.filter(line).select("user_id", "item").iter_rows())
        for n, users_of in tested.items():
            if len(users_of) < FEWEST:
                continue
            first = [people[user][:n] for user in users_of]
            heard = [
                np.array([item for item in own if (user, int(item)) in above], dtype=np.intp)
                for user, own in zip(users_of, first, strict=True)
            ]
            scores = fitted.of_new(Histories.of(heard, len(kept)))
            scores[Histories.of(first, len(kept)).matrix().toarray() > 0] = -np.inf
            later = Histories.of([people[user][n:] for user in users_of], len(kept)).matrix().toarray() > 0
            found.setdefault(n, {})[name] = np.asarray(list_ndcg(scores, later, later.sum(1)))
    return before, found


def row(name: str, seed: int) -> dict[str, Any]:
    """One set."""
    generated = name == "video-sample"
    data = video_sample(users=1500, rng=np.random.default_rng(seed)) if generated else Dataset.load(folder_of(name))
    before, outer = quality(table_of(data), seed)
    print(name, seed, {n: len(found[LOGGED]) for n, found in outer.items()}, file=sys.stderr)
    inner = quality(before, seed)[1]
    stages = {}
    for n in [n for n in outer if n in inner]:
        chosen = max(inner[n], key=lambda line, n=n: float(inner[n][line].mean()))  # type: ignore[misc]
        stages[str(n)] = {
            "people": len(outer[n][LOGGED]),
            "line": chosen,
            "ndcg@10": {
                line: bootstrap_mean(values, rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict()
                for line, values in outer[n].items()
            },
            "line_minus_logged": paired_bootstrap(
                outer[n][chosen], outer[n][LOGGED], rng=derive_rng(0, "bootstrap")
            ).as_dict(),
        }
    return {"set": name, "seed": seed, "stages": stages}


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed; a seed draws the generated site, people, and whatever is drawn in a fit."""
    return {"rows": [row(name, seed) for name in names for seed in range(seeds)]}


if __name__ == "__main__":
    main("watch_share", run, 2, sets=SETS, fixed=True)
