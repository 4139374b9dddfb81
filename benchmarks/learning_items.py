"""What items learn between fits: new ones after 5 to 20 answers beside a refit, old ones that turn bad, seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import load, main
from benchmarks.catalogue_scale import synthetic_learner
from palate import Answer, Dataset, Learner, rate
from palate.datasets.views import added_items
from palate.entities import ITEM, RATING, USER
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.loop.memory import Memory
from palate.posteriors.items import Spread
from palate.random import derive_rng

SETS = ("movielens-100k", "jester", "young-people-survey")
STAGES = (5, 10, 20)
MAX_USERS, MAX_NEW, LEAST = 600, 40, 60  # drawn for each seed; an item is new only if so many of them rated it
BAD = 100  # lowest ratings of an old item, by as many strangers
LARGE = (100_000, 32)
TIMED = 30


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """RMSE with paired intervals over the seeds; the raters of new items are in the data, or have told nothing else."""
    rows = []
    for name in sets:
        data = load(name)
        for raters in ("known", "strangers"):
            found = [_new_items(data, raters, derive_rng(seed, "learning", name)) for seed in range(seeds)]
            rows.append({"set": name, "raters": raters, "stages": list(STAGES), **_table(np.array(found))})
    falls = np.array([_fall(load(sets[0]), derive_rng(seed, "fall")) for seed in range(seeds)])
    return {"new_items": rows, "bad_item": _falls(falls), "list_after_an_answer_seconds": _seconds()}


# ---- new items ------------------------------------------------------------------------------------------------------


def _new_items(data: Dataset, raters: str, rng: np.random.Generator) -> list[list[float]]:
    """RMSE on new items, by stage: unchanged, learnt between fits, refitted."""
    kept, new, told = _drawn(data, raters, rng)
    before = Learner.fit(kept, encoder="none", likelihood="gaussian").with_items(pl.DataFrame({ITEM: new}))
    whole = added_items(kept, before.model.catalogue.table)
    test = told.filter(pl.col("turn") >= STAGES[-1])
    quality = []
    for stage in STAGES:
        labels = [rate(*row) for row in told.filter(pl.col("turn") < stage).select(USER, ITEM, RATING).iter_rows()]
        refitted = Learner.fit(whole, encoder="none", likelihood="gaussian", labels=labels)
        quality.append([_rmse(one, test) for one in (before, before.tell(labels), refitted)])
    return quality


def _drawn(data: Dataset, raters: str, rng: np.random.Generator) -> tuple[Dataset, list[str], pl.DataFrame]:
    """What is fitted on, the new items, and their ratings: in the turn in which they are told, then the test."""
    rows = data.interactions.drop_nulls(RATING)
    users = rng.permutation(rows[USER].unique().sort().to_numpy())[:MAX_USERS]
    rows = rows.filter(pl.col(USER).is_in(users))
    strange = users[: len(users) // 3] if raters == "strangers" else users[:0]
    counts = rows.group_by(ITEM).len().filter(pl.col("len") >= LEAST)[ITEM].sort().to_numpy()
    new = rng.permutation(counts)[: max(2, min(MAX_NEW, len(counts) // 5))].tolist()
    is_new, is_strange = pl.col(ITEM).is_in(new), pl.col(USER).is_in(strange)
    of_new = rows.filter(is_new)[rng.permutation(rows.filter(is_new).height).tolist()]
    of_new = of_new.with_columns((is_strange | (raters == "known")).alias("first"))
    turn = pl.when("first").then(pl.col("first").cast(pl.Int64).cum_sum().over(ITEM) - 1).otherwise(STAGES[-1])
    told = of_new.with_columns(turn.alias("turn")).filter(~is_strange | (pl.col("turn") < STAGES[-1]))
    left = data.items.filter(~is_new)
    return replace(data, interactions=rows.filter(~is_new & ~is_strange), items=left), new, told


def _rmse(of: Learner, test: pl.DataFrame) -> float:
    items, squares = of.model.taste.items, []
    for (user,), rows in test.group_by(USER, maintain_order=True):
        places = of.model.catalogue.positions(rows[ITEM].to_list())
        said = items.level[places] + items.factors[places] @ of.state(str(user)).belief.mean
        squares.append((said - rows[RATING].to_numpy()) ** 2)
    return float(np.sqrt(np.concatenate(squares).mean()))


def _table(found: np.ndarray) -> dict[str, Any]:
    """Of RMSE (seeds, stages, 3): means, and what is lost against a refit, as a share of it."""
    rng = np.random.default_rng(0)
    lost = bootstrap_mean(found[:, :, 1] / found[:, :, 2] - 1.0, rng=rng)
    names = ("unchanged", "learnt", "refitted")
    return {
        "rmse": {name: _rounded(found[:, :, place].mean(0)) for place, name in enumerate(names)},
        "lost": {end: _rounded(getattr(lost, end)) for end in ("mean", "low", "high")},
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 5) for value in np.atleast_1d(values)]


# ---- an old item that turns bad -------------------------------------------------------------------------------------


def _fall(data: Dataset, rng: np.random.Generator) -> list[float]:
    """Of the best of the items that most have rated: its expected rating for a stranger, and the share of 200 users who
    have it among their first 20: before, after lowest ratings by as many strangers, and after a refit.
    """
    before = Learner.fit(data, encoder="none", likelihood="gaussian")
    model = before.model
    often = np.argsort(-model.catalogue.counts)[:200]
    item = model.catalogue.ids[int(often[np.argmax(model.taste.items.level[often])])]
    users = [model.user_ids[row] for row in rng.permutation(len(model.user_ids))[:200]]
    labels: list[Answer] = [rate(f"stranger{number}", item, model.scale.low) for number in range(BAD)]
    after = before.tell(labels)
    refitted = Learner.fit(data, encoder="none", likelihood="gaussian", labels=labels)
    found = []
    for one in (before, after, refitted):
        lists = [[shown.item_id for shown in one.recommend(user, 20, include_seen=True)] for user in users]
        found += [_expected(one, item), float(np.mean([item in shown for shown in lists]))]
    return found


def _expected(of: Learner, item: str) -> float:
    (shown,) = of.recommend("nobody", 1, allow=[item])
    return shown.score


def _falls(found: np.ndarray) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    apart = paired_bootstrap(found[:, 2::2][:, :2], found[:, 4::2][:, :1].repeat(2, 1), rng=rng)
    names = ("before", "learnt", "refitted")
    return {
        "expected rating": dict(zip(names, _rounded(found[:, 0::2].mean(0)), strict=True)),
        "share of lists": dict(zip(names, _rounded(found[:, 1::2].mean(0)), strict=True)),
        "learnt minus refitted": {end: _rounded(getattr(apart, end))[0] for end in ("mean", "low", "high")},
    }


# ---- seconds --------------------------------------------------------------------------------------------------------


def _seconds() -> dict[str, Any]:
    """From an answer to the list of somebody else, 100,000 items of 32 dimensions with whole covariances."""
    n, dim = LARGE
    of, rng = synthetic_learner(n, dim), derive_rng(0, "seconds")
    model, size = of.model, dim + 1
    values = np.zeros((n, size * (size + 1) // 2))
    values[:, np.flatnonzero(np.triu_indices(size)[0] == np.triu_indices(size)[1])] = 0.1
    items = replace(model.taste.items, spread=Spread("full", values))
    of = Learner(Memory(replace(model, taste=replace(model.taste, items=items))))
    of.recommend("reader", 10)
    taken = []
    for number in range(TIMED):
        answer = rate(f"rater{number % 5}", model.catalogue.ids[int(rng.integers(n))], 1.0)
        begun = time.perf_counter()
        of = of.tell(answer)
        of.recommend("reader", 10)
        taken.append(time.perf_counter() - begun)
    return {"items": n, "dimensions": dim, "median": float(np.median(taken)), "worst": float(np.max(taken))}


if __name__ == "__main__":
    main("learning_items", run, seeds=20, sets=SETS)
