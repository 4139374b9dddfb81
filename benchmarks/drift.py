"""Whether it helps that old answers fade, and whether drift is noticed: a generated turn of tastes, and MovieTweetings.

``turn``: a model fitted on people whose tastes stay. New people rate an item a day, drawn at random, for 100 days; on
day 50 the taste of half of them is drawn anew. Every ten days NDCG@10 over what each has not rated, the rating that the
taste of the day expects, above the lowest, as gain. The list is by liking alone, since nothing else tells items apart.
Answers never fade, or by a half-life that is given. Last, the half-life that a fit to all these answers chooses itself,
and whom ``drift`` names.

``movietweetings``: a model fitted on the first three fifths of the ratings. Of people drawn who rate in there and later
the rest is told in six windows of equal size; NDCG@10 of the list before each window counts what they liked in it.
Lists leave out what was rated, and are Palate's own; popularity, and that of the last thirty days, stand beside it, of
everybody's ratings. So does one more list, told all that everybody rates, as an application would tell it, where the
others are told what the people drawn rate; and the same again with popularity of late as the fit left it, to which what
is told since is added without its time.

Intervals over people. Differences are paired, against answers that never fade.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import load, main
from palate import Answer, Dataset, Learner, rate
from palate.datasets import planted_world
from palate.datasets.planted import NOISE
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.metrics import graded_ndcg
from palate.loop.drift import drift
from palate.loop.list_scores import list_scores
from palate.loop.memory import Memory
from palate.model.choose_half_life import choose_forgetting
from palate.posteriors.answers import Answers
from palate.posteriors.forgetting import Forgetting
from palate.random import derive_rng
from palate.ranking.histories import list_ndcg

Array = np.ndarray
SETS = ("turn", "movietweetings")
DAY = 86_400.0
NEVER = "never"
TURN_DAYS, PEOPLE, TURN_AT, WINDOW = 100, 120, 50, 10
TURN_HALF_LIVES = {f"{days} days": days * DAY for days in (10, 20, 40)}
TWEETS_HALF_LIVES = {f"{days} days": days * DAY for days in (14, 60)}
TWEETERS, WINDOWS, RECENT = 400, 6, 30 * DAY
ALL, TIMELESS = "told everything", "told everything, without times"


def run(seeds: int, sets: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed."""
    logging.getLogger("palate").setLevel(logging.ERROR)
    makers = {"turn": turn, "movietweetings": movietweetings}
    return {"rows": [{"set": name, "seed": seed, **makers[name](seed)} for name in sets for seed in range(seeds)]}


def fading(learner: Learner, half_life: float | None, times: Array) -> Learner:
    """The same fit, whose answers fade so."""
    forgetting = None if half_life is None else Forgetting(half_life, times)
    return Learner(Memory(replace(learner.model, forgetting=forgetting)), learner.seed)


def told(learner: Learner, people: Mapping[str, Sequence[Answer]], first: float, end: float) -> Learner:
    """With what was said from a time to another."""
    return learner.tell(one for said in people.values() for one in said if first <= (one.answered_at or 0.0) < end)


# ---- a turn ----------------------------------------------------------------------------------------------------------


def turn(seed: int) -> dict[str, Any]:
    rng = derive_rng(seed, "drift", "turn")
    world = planted_world(users=300, items=300, rng=rng)
    fitted = Learner.fit(world.dataset, encoder="none", likelihood="gaussian", seed=seed)
    people, truth, turned = _stream(world, rng)
    nothing = np.full(fitted.model.answers.nnz, np.nan)
    arms = {NEVER: fading(fitted, None, nothing)}
    arms |= {name: fading(fitted, seconds, nothing) for name, seconds in TURN_HALF_LIVES.items()}
    found: dict[str, list[Array]] = {name: [] for name in (*arms, "popular", "popular lately")}
    counts = np.bincount(fitted.model.answers.indices, minlength=300).astype(float)
    for first in range(0, TURN_DAYS, WINDOW):
        end = (first + WINDOW) * DAY
        arms = {name: told(learner, people, first * DAY, end) for name, learner in arms.items()}
        ends = truth[int(first + WINDOW > TURN_AT)]
        lately = np.zeros(300)
        for said in people.values():
            for one in said[: first + WINDOW]:
                counts_of = fitted.model.catalogue.position(one.item_id)
                lately[counts_of] += first <= (one.answered_at or 0.0) / DAY
        for name, rows in found.items():
            level = {"popular": counts, "popular lately": lately}.get(name)
            scores = partial(_liking, arms[name]) if level is None else partial(_same, level)
            rows.append(_graded(people, ends, fitted, scores, first + WINDOW))
    tables = {name: np.stack(rows, 1) for name, rows in found.items()}  # (people, windows)
    answers = sorted((one for said in people.values() for one in said), key=lambda one: one.answered_at or 0.0)
    alarms = drift(arms[NEVER].memory, answers)
    named = np.array([user in alarms.users for user in people])
    return {
        "people": PEOPLE,
        "turned": int(turned.sum()),
        "windows": _windows(tables),
        "after the turn": _after({name: table[turned][:, 5:] for name, table in tables.items()}),
        "of those who stayed": _after({name: table[~turned][:, 5:] for name, table in tables.items()}),
        "half-life chosen, days": _chosen(people, seed),
        "named by drift": {
            "of those who turned": float(named[turned].mean()),
            "of those who stayed": float(named[~turned].mean()),
            "days until": float(np.median([alarms.users[user].at / DAY - TURN_AT for user in alarms.users])),  # type: ignore[operator]
            "overall": alarms.overall is not None,
        },
    }


def _liking(learner: Learner, user: str) -> Array:
    return list_scores(learner.memory, user).total(0.0)


def _same(level: Array, _user: str) -> Array:
    return level


def _stream(world: Any, rng: np.random.Generator) -> tuple[dict[str, list[Answer]], Array, Array]:
    """What new people say, what they would say before and after, (2, people, items), and who turned."""
    tastes = rng.normal(size=(2, PEOPLE, world.tastes.shape[1]))
    turned = np.arange(PEOPLE) % 2 == 0
    tastes[1, ~turned] = tastes[0, ~turned]
    truth = world.expected().mean() + world.levels + tastes @ world.factors.T
    people = {}
    for row in range(PEOPLE):
        items = rng.permutation(len(world.item_ids))[:TURN_DAYS]
        said = truth[(np.arange(TURN_DAYS) >= TURN_AT).astype(int), row, items] + NOISE * rng.normal(size=TURN_DAYS)
        people[f"p{row}"] = [
            replace(
                rate(f"p{row}", world.item_ids[item], float(np.clip(np.rint(value), 1, 5)), key=f"p{row}-{day}"),
                answered_at=day * DAY,
            )
            for day, (item, value) in enumerate(zip(items, said, strict=True))
        ]
    return people, truth, turned


def _graded(
    people: Mapping[str, Sequence[Answer]],
    truth: Array,
    learner: Learner,
    scores_of: Callable[[str], Array],
    days: int,
) -> Array:
    found = np.zeros(len(people))
    for row, (user, said) in enumerate(people.items()):
        left = np.ones(truth.shape[1], dtype=bool)
        left[learner.model.catalogue.positions([one.item_id for one in said[:days]])] = False
        gains = np.maximum(truth[row][left] - truth[row].min(), 0.0)
        found[row] = graded_ndcg(scores_of(user)[left], gains, np.zeros(int(left.sum()), int), n_rows=1, k=10)[0]
    return found


def _chosen(people: Mapping[str, Sequence[Answer]], seed: int) -> float | None:
    """What a fit to all that these people said takes for the half-life, in days."""
    rows = [(one.user_id, one.item_id, one.value, one.answered_at) for said in people.values() for one in said]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    return _half_life(Dataset.from_tables(table), Learner.fit(Dataset.from_tables(table), encoder="none", seed=seed))


def _half_life(data: Dataset, learner: Learner) -> float | None:
    coded = data.coded()
    parts = coded.users, coded.items, coded.values, (len(coded.user_ids), len(coded.item_ids))
    found = choose_forgetting(coded, Answers.build(*parts), learner.model.taste.likelihood)
    return None if found is None else round(found.half_life / DAY, 1)


# ---- MovieTweetings --------------------------------------------------------------------------------------------------


def movietweetings(seed: int) -> dict[str, Any]:
    data, rng = load("movietweetings"), derive_rng(seed, "drift", "movietweetings")
    rows = data.interactions.sort("timestamp", maintain_order=True)
    cut = int(0.6 * rows.height)
    before = replace(data, interactions=rows[:cut])
    fitted = Learner.fit(before, encoder="none", seed=seed)
    catalogue, like = fitted.model.catalogue, fitted.model.scale.like
    coded = before.coded()
    times = coded.timestamps[np.argsort(coded.users, kind="stable")]
    later = rows[cut:].filter(
        pl.col("user_id").is_in(fitted.model.user_ids) & pl.col("item_id").is_in(list(catalogue.ids))
    )
    users = rng.permutation(later["user_id"].unique().sort().to_numpy())[:TWEETERS].tolist()
    later = later.filter(pl.col("user_id").is_in(users))
    everybody = _said(rows[cut:].filter(pl.col("item_id").is_in(list(catalogue.ids))))
    people = {user: everybody[user] for user in users}
    edges = np.quantile(later["timestamp"].to_numpy(), np.linspace(0.0, 1.0, WINDOWS + 1))
    edges[-1] += 1.0
    arms = {NEVER: fading(fitted, None, times)}
    arms |= {name: fading(fitted, seconds, times) for name, seconds in TWEETS_HALF_LIVES.items()}
    assert fitted.model.list_model is not None
    timeless = replace(fitted.model, list_model=replace(fitted.model.list_model, last=None))
    arms |= {ALL: arms[NEVER], TIMELESS: fading(Learner(Memory(timeless), seed), None, times)}
    found = {name: np.full((len(users), WINDOWS), np.nan) for name in (*arms, "popular", "popular lately")}
    all_items = rows.filter(pl.col("item_id").is_in(list(catalogue.ids)))
    for window, (first, end) in enumerate(pairwise(edges)):
        popular = _counts(all_items.filter(pl.col("timestamp") < first), catalogue)
        lately = _counts(
            all_items.filter(pl.col("timestamp").is_between(first - RECENT, first, closed="left")), catalogue
        )
        for row, user in enumerate(users):
            liked = [
                one.item_id
                for one in people[user]
                if first <= (one.answered_at or 0.0) < end and (one.value or 0) >= like
            ]
            if not liked:
                continue
            wanted = np.zeros((1, len(catalogue)), dtype=bool)
            wanted[0, catalogue.positions(liked)] = True
            seen = list(arms[NEVER].state(user).asked)
            for name, table in found.items():
                if name in arms:
                    scores = list_scores(arms[name].memory, user).total()
                else:
                    scores = (popular if name == "popular" else lately).copy()
                scores[seen] = -np.inf
                counts = np.array([len(liked)])
                table[row, window] = list_ndcg(scores[None], wanted, counts)[0]
        arms = {
            name: told(learner, everybody if name in (ALL, TIMELESS) else people, first, end)
            for name, learner in arms.items()
        }
    answers = sorted((one for said in people.values() for one in said), key=lambda one: one.answered_at or 0.0)
    alarms = drift(arms[NEVER].memory, answers)
    return {
        "people": len(users),
        "ratings told": len(answers),
        "ratings of everybody": sum(map(len, everybody.values())),
        "windows": _windows(found),
        "all windows": _after(found),
        "half-life chosen, days": _half_life(before, fitted),
        "named by drift": {
            "share of people": round(len(alarms.users) / len(users), 4),
            "overall": alarms.overall is not None,
            "loss": round(alarms.loss, 4),
        },
    }


def _said(rows: pl.DataFrame) -> dict[str, list[Answer]]:
    """Ratings by user, in the order of time."""
    people: dict[str, list[Answer]] = {}
    for place, (user, item, value, at) in enumerate(
        rows.select("user_id", "item_id", "rating", "timestamp").iter_rows()
    ):
        people.setdefault(user, []).append(replace(rate(user, item, value, key=f"t{place}"), answered_at=float(at)))
    return people


def _counts(rows: pl.DataFrame, catalogue: Any) -> Array:
    places = catalogue.positions(rows["item_id"].to_list())
    return np.bincount(places, minlength=len(catalogue)).astype(float)


# ---- figures ---------------------------------------------------------------------------------------------------------


def _windows(tables: Mapping[str, Array]) -> dict[str, Any]:
    """NDCG@10 of each window, with intervals over people."""
    found = {}
    for name, table in tables.items():
        interval = bootstrap_mean(table, rng=derive_rng(0, "windows"))
        found[name] = {end: np.round(getattr(interval, end), 4).tolist() for end in ("mean", "low", "high")}
    return found


def _after(tables: Mapping[str, Array]) -> dict[str, Any]:
    """The mean over windows of each, and less that of answers that never fade."""
    means = {name: np.nanmean(table[np.isfinite(table).any(1)], axis=1) for name, table in tables.items()}
    found = {}
    for name, mean in means.items():
        interval, apart = (
            bootstrap_mean(mean, rng=derive_rng(0, "after")),
            paired_bootstrap(mean, means[NEVER], rng=derive_rng(0, "after")),
        )
        of_late = paired_bootstrap(mean, means["popular lately"], rng=derive_rng(0, "after"))
        found[name] = {
            "ndcg@10": [round(float(value), 4) for value in interval],
            "minus never": [round(float(value), 4) for value in apart],
            "minus popular lately": [round(float(value), 4) for value in of_late],
        }
    return found


if __name__ == "__main__":
    main("drift", run, seeds=1, sets=SETS, fixed=True)
