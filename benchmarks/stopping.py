"""When each stopping criterion stops, and what is given up against going on to the end of the budget.

Interviews: people never seen of the young-people-survey are asked item by item by the default strategy. By value: no
question is expected to raise the NDCG@10 of the list, or the best item alone, by more than its price. The others are
those of classifiers, on each user's own items: like or not, how sure, how wide the belief. Beside each: everybody is
asked the same number of questions, as many as the criterion takes on average.

Texts: a linear softmax on a frozen encoder, batches of ten by the margin, with the criteria on a part of the pool that
was set aside. Of a title of bing-news the label is whether it was clicked, of popquorn-offensiveness whether a comment
is above the median.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.special import entr, ndtr
from threadpoolctl import threadpool_limits

from benchmarks._data import folder_of, load, main
from benchmarks.text_classification import Texts, offensiveness
from palate.acquisition import DEFAULT, Given, best, get_strategy, values
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.acquisition.stopping import (
    by_value,
    classification_change,
    confidence_drop,
    delta_f,
    kappa_average,
    no_improvement,
    overall_uncertainty,
)
from palate.classifiers.softmax import Softmax
from palate.encoders.cache import Cached
from palate.encoders.registry import load_encoder
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap, ratio_interval
from palate.evaluation.play import Judge
from palate.evaluation.world import World, users_world
from palate.posteriors.belief import Belief
from palate.random import derive_rng

PRICES = {  # of a question: in NDCG@10 of the list, and in points of a rating of the best item alone
    "evoi-ndcg": (0.005, 0.002, 0.001),
    "evoi": (0.01, 0.001),
}
BUDGET, MAX_USERS = 25, 400
START, K, ROUNDS, SET_ASIDE, PRIOR_VARIANCE = 10, 10, 49, 400, 10.0

Array = np.ndarray
Tables = dict[str, Array]
MEASURES = (  # how it is called, from sums and weights, which table, which weights
    ("rmse", lambda total, weight: np.sqrt(total / weight), "squared", "ratings"),
    ("ndcg@10", lambda total, weight: total / weight, "ndcg", "lists"),
)
History = dict[str, Sequence[Any]]  # what is known after each round, the oldest first
CRITERIA: dict[str, Callable[[History], bool]] = {
    "kappa-average": lambda seen: kappa_average(seen["predictions"]),
    "delta-f": lambda seen: delta_f(seen["predictions"]),
    "classification-change": lambda seen: classification_change(seen["predictions"]),
    "overall-uncertainty": lambda seen: overall_uncertainty(seen["probabilities"][-1], threshold=0.5),
    "confidence-drop": lambda seen: confidence_drop(seen["confidence"]),
    "no-improvement": lambda seen: no_improvement(seen["uncertainty"]),
}


def run(seeds: int) -> dict[str, Any]:
    with threadpool_limits(limits=1):
        return {"interviews": _interviews(seeds), "texts": [_texts(name, seeds) for name in SETS]}


def first_stop(rounds: History, stops: Callable[[History], bool]) -> int:
    """The first round after which a criterion says to stop; the last one if it never does."""
    last = len(next(iter(rounds.values()))) - 1
    seen = ({name: values[: turn + 1] for name, values in rounds.items()} for turn in range(last))
    return next((turn for turn, history in enumerate(seen) if stops(history)), last)


# ---- interviews ------------------------------------------------------------------------------------------------------


def _interviews(seeds: int) -> dict[str, Any]:
    data = load("young-people-survey")
    people: list[str] = []
    rows = []
    for seed in range(seeds):
        world = users_world(data, encoder="none", seed=seed, max_users=MAX_USERS)
        people += world.subjects
        rows.append(_played(world, derive_rng(seed, "play", DEFAULT)))
    tables = {name: np.concatenate([row[name] for row in rows]) for name in ("squared", "ndcg", "asked")}
    weights = {name: np.concatenate([row[name] for row in rows]) for name in ("ratings", "lists")}
    place = np.unique(people, return_inverse=True)[1]
    stops = {name: np.concatenate([row["stops"][name] for row in rows]) for name in rows[0]["stops"]}
    full = np.full(len(people), BUDGET)
    return {
        "set": data.name,
        "strategy": DEFAULT,
        "budget": BUDGET,
        "full": _quality(tables, weights, full, place),
        "criteria": [{"criterion": name, **_given_up(tables, weights, stops[name], place)} for name in stops],
    }


def _given_up(tables: Tables, weights: Tables, stops: Array, place: Array) -> dict[str, Any]:
    """What a criterion costs: questions; RMSE and NDCG less those of the budget, and of as many questions for all."""
    everyone = np.arange(len(stops))
    questions = tables["asked"][everyone, stops]
    mean = float(questions.mean())
    found: dict[str, Any] = {
        "questions": mean,
        "spread": float(questions.std()),
        "stopped": float((stops < BUDGET).mean()),
    }
    found |= _quality(tables, weights, stops, place)
    for name, statistic, table, weight in MEASURES:
        curve, total = tables[table], _by_person(weights[weight], place)
        own = _by_person(curve[everyone, stops], place)
        few = min(int(mean), BUDGET - 1)
        alike = (few + 1 - mean) * curve[:, few] + (mean - few) * curve[:, few + 1]
        for other, sums in (("full", curve[:, -1]), ("same_number", alike)):
            found[f"{name}_minus_{other}"] = ratio_interval(
                [own, _by_person(sums, place), total],
                lambda a, b, w, level=statistic: level(a, w) - level(b, w),
                rng=derive_rng(0, "bootstrap"),
            ).as_dict()
    return found


def _quality(tables: Tables, weights: Tables, stops: Array, place: Array) -> dict[str, Any]:
    everyone = np.arange(len(stops))
    return {
        name: ratio_interval(
            [_by_person(tables[table][everyone, stops], place), _by_person(weights[weight], place)],
            statistic,
            rng=derive_rng(0, "bootstrap"),
        ).as_dict()
        for name, statistic, table, weight in MEASURES
    }


def _by_person(table: Array, place: Array) -> Array:
    return np.bincount(place, table)


def _played(world: World, rng: np.random.Generator) -> dict[str, Any]:
    """Squared errors and questions asked after each turn, and where each criterion would have stopped."""
    n, strategy = len(world.subjects), get_strategy(DEFAULT)
    everyone, belief, allowed = np.arange(n), world.start, world.answerable.copy()
    exposure, given = world.answerability.start(n), Given.nothing(n)
    judge = Judge(world.taste, world.held_out, world.scale)
    judged, asked, seen = [judge(belief)], [np.zeros(n)], [_seen(world, belief)]
    worth: dict[str, list[Array]] = {name: [] for name in PRICES}
    for turn in range(BUDGET + 1):
        candidates = world.candidates.aimed(world.answerability, exposure, given, answerable=True)
        for name, found in worth.items():
            value = values(get_strategy(name), belief, candidates, allowed=allowed, rng=rng)
            found.append(np.where(allowed, value, -np.inf).max(1))
        if turn == BUDGET:
            break
        picks, _ = best(values(strategy, belief, candidates, allowed=allowed, rng=rng), allowed, rng=rng)
        got, picks = picks >= 0, np.maximum(picks, 0)
        allowed[everyone[got], picks[got]] = False
        answers = np.where(got, world.ratings[everyone, picks], np.nan)
        given = given.added(np.where(got, picks, -1), answers)
        after = world.taste.observe(belief, picks, np.nan_to_num(answers))
        belief = Belief(
            np.where(got[:, None], after.mean, belief.mean),
            np.where(got[:, None, None], after.covariance, belief.covariance),
        )
        judged.append(judge(belief))
        asked.append(asked[-1] + got)
        seen.append(_seen(world, belief))
    rounds = [{name: [row[name][user] for row in seen] for name in seen[0]} for user in range(n)]
    stops = {
        f"{name} {price:g}": [first_stop({"worth": row}, _worth_less(price)) for row in np.stack(worth[name], 1)]
        for name, prices in PRICES.items()
        for price in prices
    }
    stops |= {name: [first_stop(history, stop) for history in rounds] for name, stop in CRITERIA.items()}
    return {
        "squared": np.stack([row["rmse"] for row in judged], 1),
        "ndcg": np.stack([row["ndcg@10"] for row in judged], 1),
        "asked": np.stack(asked, 1),
        "ratings": judge.weights["rmse"],
        "lists": judge.weights["ndcg@10"],
        "stops": {name: np.array(found) for name, found in stops.items()},
    }


def _worth_less(price: float) -> Callable[[History], bool]:
    return lambda seen: by_value(seen["worth"][-1], price)


def _seen(world: World, belief: Belief) -> dict[str, Array]:
    """What the criteria look at, of all items: liked or not, with which chance, and the variance of the answers."""
    items = world.taste.items
    mean, variance = items.level + belief.score(items.factors), belief.variance(items.factors)
    like = ndtr((mean - world.scale.cut) / np.sqrt(variance + items.answer_noise))
    return {
        "predictions": like > 0.5,
        "probabilities": np.stack([1.0 - like, like], -1),
        "confidence": np.maximum(like, 1.0 - like).mean(1),
        "uncertainty": variance.mean(1),
    }


# ---- texts -----------------------------------------------------------------------------------------------------------


def clicks() -> Texts:
    """Titles of news, and whether they were clicked by those who saw them, most of the time."""
    folder = folder_of("bing-news")
    means = pl.read_parquet(folder / "interactions.parquet").group_by("item_id").agg(pl.col("label").mean())
    rows = pl.read_parquet(folder / "items.parquet").join(means, on="item_id").sort("item_id")
    return rows["title"].to_list(), (rows["label"].to_numpy() > 0.5).astype(np.intp)


SETS: dict[str, Callable[[], Texts]] = {"bing-news": clicks, "popquorn-offensiveness": offensiveness}


def _texts(name: str, seeds: int) -> dict[str, Any]:
    texts, labels = SETS[name]()
    features = Cached(load_encoder("default")).encode(texts).astype(np.float64)
    features = np.column_stack([features, np.ones(len(features))])
    plays = [_learnt(features, labels, derive_rng(seed, "stopping", name)) for seed in range(seeds)]
    full = np.array([accuracies[-1] for accuracies, _ in plays])
    rows = []
    for criterion in CRITERIA:
        stops = [stop[criterion] for _, stop in plays]
        accuracy = np.array([accuracies[stop] for (accuracies, _), stop in zip(plays, stops, strict=True)])
        rows.append(
            {
                "criterion": criterion,
                "labels": START + K * float(np.mean(stops)),
                "stopped": float(np.mean(np.array(stops) < ROUNDS)),
                "accuracy": bootstrap_mean(accuracy, rng=derive_rng(0, "bootstrap")).as_dict(),
                "minus_full": paired_bootstrap(accuracy, full, rng=derive_rng(0, "bootstrap")).as_dict(),
            }
        )
    start = np.array([accuracies[0] for accuracies, _ in plays])
    return {
        "set": name,
        "texts": len(texts),
        "budget": START + K * ROUNDS,
        "first": bootstrap_mean(start, rng=derive_rng(0, "bootstrap")).as_dict(),
        "full": bootstrap_mean(full, rng=derive_rng(0, "bootstrap")).as_dict(),
        "criteria": rows,
    }


def _learnt(features: Array, labels: Array, rng: np.random.Generator) -> tuple[list[float], dict[str, int]]:
    """Accuracy on held-out texts after each round, and where each criterion would have stopped."""
    order = rng.permutation(len(labels))
    test, aside, pool = np.split(order, [len(order) // 3, len(order) // 3 + SET_ASIDE])
    firsts = np.unique(labels[pool], return_index=True)[1]
    known = pool[np.concatenate([firsts, np.setdiff1d(np.arange(START), firsts)[: START - len(firsts)]])]
    accuracy: list[float] = []
    rounds: dict[str, list[Any]] = {name: [] for name in ("predictions", "probabilities", "confidence", "uncertainty")}
    for _ in range(ROUNDS + 1):
        model = Softmax.fit(features[known], labels[known], range(2), PRIOR_VARIANCE)
        accuracy.append(float((model.probabilities(features[test]).argmax(1) == labels[test]).mean()))
        open_ = np.setdiff1d(pool, known)
        left, set_aside = model.probabilities(features[open_]), model.probabilities(features[aside])
        rounds["predictions"].append(set_aside.argmax(1))
        rounds["probabilities"].append(left)
        rounds["confidence"].append(float(set_aside.max(1).mean()))
        rounds["uncertainty"].append(float(entr(left).sum(1).mean()))
        chosen = POOL_STRATEGIES["margin"].pick(Pool.unlabelled(left[None], features[open_]), K, rng=rng).items
        known = np.concatenate([known, open_[chosen]])
    return accuracy, {name: first_stop(rounds, stop) for name, stop in CRITERIA.items()}


if __name__ == "__main__":
    main("stopping", run, seeds=20)
