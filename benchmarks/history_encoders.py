"""New people with three events behind them: what a prior of taste from their history is worth.

Cut in time: all models train on what was before it. Tested is everybody who has nothing before it: their first three
events are their history, all later ones on items with at least five events before the cut are to be found among all
those items, the three left out. Popularity is that of the training part. The baselines' settings are chosen by the same
protocol inside the training part, with a cut of its own; the Transformers have one setting each, and the one list
chooses its own in its fit.

``ratings``: of the sets that have any, RMSE on the later ratings after 0 to 10 answers (the ratings next in time) by
taste without history and with each history as the prior; the three events come as history only.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import load
from benchmarks._sequences import (
    InHistory,
    World,
    ask_sasrec,
    content_of,
    load_events,
    main_with_sasrec,
    taste_of,
    training_of,
    vectors_of,
    world,
)
from palate import Dataset
from palate.datasets.splits import global_time
from palate.datasets.views import item_table
from palate.encoders.histories.behaviour_fit import fit_behaviour
from palate.encoders.histories.history import HistoryEncoder, HistoryText, Log, RecencyMean, liking, names_of
from palate.encoders.registry import load_encoder
from palate.evaluation.baselines import (
    Ease,
    Interactions,
    ItemKNN,
    LinearInHistory,
    Model,
    Popularity,
    RecentPopularity,
    matrix_of,
)
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap, rmse_interval
from palate.evaluation.metrics import list_metrics
from palate.evaluation.palate_ranker import Palate
from palate.evaluation.ranking import judge
from palate.model.fit import fit_taste
from palate.posteriors.answers import Answers
from palate.posteriors.belief import Belief
from palate.posteriors.history_prior import fit_history
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste
from palate.random import derive_rng

K, EVENTS, ANSWERS = 10, 3, 10
GRIDS: Mapping[str, Sequence[Model]] = {
    "popularity": [Popularity()],
    "recent-popularity": [RecentPopularity(days) for days in (1.0, 3.0, 7.0, 30.0, 90.0)],
    "item-knn": [ItemKNN(neighbours, shrinkage) for neighbours in (20, 100, 400) for shrinkage in (0.0, 10.0, 100.0)],
    "ease": [Ease(l2) for l2 in (50.0, 200.0, 500.0, 1000.0, 3000.0)],
}
WITH_RATINGS = ("movielens-100k", "movietweetings")


def run(seeds: int, python: str | None, names: Sequence[str], networks: bool) -> dict[str, Any]:
    """One row a set and seed; the baselines depend on no seed. Without its environment SASRec is left out."""
    rows = []
    for name in names:
        data = load_events(name)
        outer = new_people(data)
        chosen = _chosen(new_people(global_time(data).train), outer)
        for seed in range(seeds):
            print(name, seed, file=sys.stderr)
            found = {**chosen, **_ours(outer, seed, networks)}
            told = None
            if python is not None and networks:
                found["sasrec"], told = _sasrec(outer, python, seed)
            row = {"set": name, "seed": seed, "sasrec": told, **_summary(found)}
            if name in WITH_RATINGS:
                row["ratings"] = _ratings(load(name), seed, networks)
            rows.append(row)
    return {"rows": rows}


def new_people(data: Dataset) -> tuple[World, Interactions, Interactions]:
    """The training part, and of people who are not in it the first three events and the later ones."""
    parts = global_time(data)
    old = parts.train.interactions["user_id"].unique()
    test = parts.test.filter((~parts.test.interactions["user_id"].is_in(old.implode())).to_numpy())
    part = world(parts.train, test)
    rank = (
        pl.Series(part.test.users).to_frame("user").select(pl.int_range(pl.len()).over("user")).to_series().to_numpy()
    )
    more = np.bincount(part.test.users, minlength=part.test.n_users)[part.test.users] > EVENTS
    return part, part.test.where(more & (rank < EVENTS)), part.test.where(more & (rank >= EVENTS))


def _chosen(inner: tuple[World, Interactions, Interactions], outer: tuple[World, Interactions, Interactions]) -> Any:
    """NDCG of each user for each baseline, in the setting that is best inside the training part."""
    found = {}
    for name, grid in GRIDS.items():
        best = grid[int(np.argmax([np.nanmean(_baseline(model, inner)) for model in grid]))]
        found[name] = _baseline(best, outer)
    return found


def _baseline(model: Model, given: tuple[World, Interactions, Interactions]) -> np.ndarray:
    part, seen, test = given
    scorer: Any = model.fit(part.train, rng=np.random.default_rng(0))
    if isinstance(scorer, LinearInHistory):
        scorer = replace(scorer, history=matrix_of(seen))  # on the fly: the matrix was made without them
    return _ndcg(scorer, seen, test)


def _ndcg(scorer: Any, seen: Interactions, test: Interactions) -> np.ndarray:
    """Of those tested, in order of their number, (n,)."""
    return judge(scorer, matrix_of(seen), matrix_of(test), K)[0]["ndcg"][np.unique(test.users)]


def _sasrec(
    given: tuple[World, Interactions, Interactions], python: str, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """NDCG of those tested, and how it was trained."""
    part, seen, test = given
    ask = np.unique(test.users)
    lists = np.full((test.n_users, K), -1)
    answer = ask_sasrec(python, part.train, seen, ask, k=K, seed=seed)
    lists[ask] = answer["lists"]
    return np.asarray(list_metrics(lists, matrix_of(test))["ndcg"][ask]), training_of(answer)


def _ours(given: tuple[World, Interactions, Interactions], seed: int, networks: bool) -> dict[str, np.ndarray]:
    """The one list; taste on events, from nothing, the events as answers, and history; and the Transformer."""
    part, seen, test = given
    content = content_of(part)
    taste = taste_of(part, content, dim=16, seed=seed)
    vectors = vectors_of(taste, content)
    log = Log.of(seen.users, seen.items, np.ones(len(seen.users)), seen.timestamps, ["view"] * len(seen.users))
    log = replace(log, kinds=np.full(len(log), np.bincount(part.log.kinds[part.log.liking > 0]).argmax()))
    lists = Palate().fit(part.train, rng=derive_rng(seed, "palate"))
    met = [seen.items[seen.users == user] for user in range(test.n_users)]
    found = {
        "palate": _ndcg(InHistory(lists, met), seen, test),
        "taste, no history": _by_taste(taste, np.tile(taste.start.mean, (test.n_users, 1)), seen, test),
        "taste, events as answers": _by_taste(taste, taste.believe(_answers(seen)).mean, seen, test),
    }
    encoders: dict[str, tuple[HistoryEncoder, np.ndarray]] = {
        "mean": (RecencyMean(), vectors if content is None else content.astype(np.float64)),
        "mean of factors": (RecencyMean(), taste.items.factors),
    }
    if content is not None:
        names = names_of(item_table(part.data, part.item_ids))
        encoders["text"] = (HistoryText(load_encoder("default"), names), content)
    if networks:
        behaviour = fit_behaviour(part.log, vectors, test.n_users, rng=derive_rng(seed, "behaviour"))
        encoders["behaviour"] = (behaviour, vectors)
        rows = _Rows(behaviour.encode(log, vectors, test.n_users), lambda chosen: behaviour.score(chosen, vectors))
        found["behaviour, next item"] = _ndcg(rows, seen, test)
    for name, (encoder, table) in encoders.items():
        starts = _starts(taste, encoder, part.log, _answers(part.train), log, table)
        found[f"taste, history by {name}"] = _by_taste(taste, starts.mean, seen, test)
    return found


class _Rows:
    def __init__(self, states: np.ndarray, score: Any) -> None:
        self.states, self._score = states, score

    def score(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(self._score(self.states[users]))


def _by_taste(taste: Taste, means: np.ndarray, seen: Interactions, test: Interactions) -> np.ndarray:
    return _ndcg(_Rows(means, lambda chosen: taste.items.level + chosen @ taste.items.factors.T), seen, test)


def _answers(rows: Interactions) -> Any:
    shape = (rows.n_users, rows.n_items)
    return Answers.build(rows.users.astype(np.int32), rows.items.astype(np.int32), rows.values, shape).values


def _starts(taste: Taste, encoder: HistoryEncoder, log: Log, answers: Any, new: Log, vectors: np.ndarray) -> Belief:
    """Where new users start, by a prior learnt from the first events of each training user.

    What it is to tell are their later answers, so no event counts twice.
    """
    n_users = answers.shape[0]
    early = log.early(n_users, np.random.default_rng(0))
    histories = encoder.encode(log.take(early), vectors, n_users)
    later = answers.copy()
    keys = np.repeat(np.arange(n_users), np.diff(later.indptr)) * answers.shape[1] + later.indices
    known = log.users[early] * answers.shape[1] + log.items[early]
    keep = ~np.isin(keys, known)
    counts = np.bincount(keys[keep] // answers.shape[1], minlength=n_users)
    later = type(answers)(
        (later.data[keep], later.indices[keep], np.concatenate([[0], np.cumsum(counts)])), shape=answers.shape
    )
    prior = fit_history(taste, later, histories)
    assert prior is not None
    encoded = encoder.encode(new, vectors, n_users)
    means, covariances = prior.predict(encoded), prior.covariances(encoded)
    users = np.unique(new.users)
    mean = np.tile(taste.start.mean, (n_users, 1))
    covariance = np.tile(taste.start.covariance, (n_users, 1, 1))
    for user in users:
        start = taste.prior(means[user], covariances[user])
        mean[user], covariance[user] = start.mean, start.covariance
    return Belief(mean, covariance)


def _summary(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    best = max(found, key=lambda name: float(np.mean(found[name])))
    models = {
        name: {
            "ndcg@10": bootstrap_mean(values, rng=derive_rng(0, "bootstrap")).as_dict(),
            "behind_best": paired_bootstrap(values, found[best], rng=derive_rng(0, "bootstrap")).as_dict(),
        }
        for name, values in found.items()
    }
    return {"users": len(found[best]), "best": best, "models": models}


def _ratings(data: Dataset, seed: int, networks: bool) -> dict[str, Any]:
    """RMSE after 0 to 10 answers by where taste starts, and the answers that a history saves."""
    parts = global_time(data)
    old = parts.train.interactions["user_id"].unique()
    coded = parts.train.coded()
    items = {item: place for place, item in enumerate(coded.item_ids)}
    answers = Answers.build(coded.users, coded.items, coded.values, (len(coded.user_ids), len(items)))
    content = _content(parts.train, coded.item_ids)
    taste = fit_taste(answers, Gaussian(), content, dim=16, seed=seed)[0]
    centre, reach = float(coded.values.mean()), float(np.abs(coded.values - coded.values.mean()).max())
    log = Log.of(coded.users, coded.items, liking(coded.values, [None] * len(coded.values)), coded.timestamps)
    rated = np.bincount(coded.items, minlength=len(items)) > 0
    new = _new_ratings(parts.test.interactions.filter(~pl.col("user_id").is_in(old.implode())), items, rated)
    first = new.filter(pl.col("rank") < EVENTS)
    shown = liking(first["rating"].to_numpy(), [None] * len(first), mean=centre, reach=reach)
    history = Log.of(first["user"], first["item"], shown, first["timestamp"])
    vectors = vectors_of(taste, content)
    n_new = int(new["user"].n_unique())
    mean, covariance = taste.start.mean, taste.start.covariance
    starts = {"none": Belief(np.tile(mean, (n_new, 1)), np.tile(covariance, (n_new, 1, 1)))}
    encoders: dict[str, tuple[HistoryEncoder, np.ndarray]] = {
        "mean": (RecencyMean(), vectors if content is None else content.astype(np.float64)),
        "mean of factors": (RecencyMean(), taste.items.factors),
    }
    if networks:
        behaviour = fit_behaviour(log, vectors, len(coded.user_ids), rng=derive_rng(seed, "behaviour"))
        encoders["behaviour"] = (behaviour, vectors)
    for name, (encoder, table) in encoders.items():
        starts[name] = _some(_starts(taste, encoder, log, answers.values, history, table), n_new)
    return _curves(taste, starts, new)


def _some(belief: Belief, n: int) -> Belief:
    return Belief(belief.mean[:n], belief.covariance[:n])


def _content(data: Dataset, item_ids: list[str]) -> np.ndarray | None:
    from palate.encoders.items import encode

    return encode(item_table(data, item_ids), "default", None)[0]


def _new_ratings(rows: pl.DataFrame, items: dict[str, int], rated: np.ndarray) -> pl.DataFrame:
    """Ratings of new users of items that somebody rated before, in time; users with enough of them, numbered anew."""
    known = [item for item, place in items.items() if rated[place]]
    kept = rows.filter(pl.col("item_id").is_in(known)).sort("timestamp", maintain_order=True)
    kept = kept.with_columns(
        rank=pl.int_range(pl.len()).over("user_id"),
        n=pl.len().over("user_id"),
        item=pl.col("item_id").replace_strict(items, return_dtype=pl.Int64),
    ).filter(pl.col("n") > EVENTS + ANSWERS)
    return kept.with_columns(user=pl.col("user_id").rank("dense").cast(pl.Int64) - 1)


def _curves(taste: Taste, starts: Mapping[str, Belief], new: pl.DataFrame) -> dict[str, Any]:
    test = new.filter(pl.col("rank") >= EVENTS + ANSWERS)
    users, columns, observed = (test[name].to_numpy() for name in ("user", "item", "rating"))
    n = len(next(iter(starts.values())).mean)
    counts = np.bincount(users, minlength=n).astype(float)
    result: dict[str, Any] = {"users": n, "ratings": len(observed)}
    for name, start in starts.items():
        squared, belief = [], start
        for turn in range(ANSWERS + 1):
            if turn:
                told = new.filter(pl.col("rank") == EVENTS + turn - 1).sort("user")
                belief = taste.observe(belief, told["item"].to_numpy(), told["rating"].to_numpy())
            means = taste.items.level[columns] + (taste.items.factors[columns] * belief.mean[users]).sum(1)
            squared.append(np.bincount(users, (means - observed) ** 2, minlength=n))
        interval = rmse_interval(np.stack(squared, 1), counts, rng=derive_rng(0, "bootstrap"))
        result[name] = interval.as_dict()
        reached = np.flatnonzero(np.asarray(result["none"]["mean"]) <= float(interval.mean[0]))
        result[name]["answers_saved_at_0"] = int(reached[0]) if len(reached) else f"more than {ANSWERS}"
    return result


if __name__ == "__main__":
    main_with_sasrec("history_encoders", run)
