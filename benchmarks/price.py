"""What closeness to the prices somebody pays adds to their list.

Cut in time; everything is fitted on what was before. Tested are people who are new, after n events, and people who are
known, by what they took up later of products that they had not met. To the score of each product is added -w times the
distance of the logarithm of its price from the mean over what the person met; w is the one with the best NDCG@10 by the
same protocol inside the training part, for each n. Intervals are over people, paired.

Of Amazon's gift cards nearly all prices are missing; no other set here has any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import folder_of, main
from palate import Dataset
from palate.datasets.samples import shop_sample
from palate.datasets.splits import global_time
from palate.evaluation.evaluate import interactions_of
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.palate_ranker import Lists, met_of
from palate.random import derive_rng
from palate.ranking.fit_list import fit_list
from palate.ranking.histories import Histories, list_ndcg

SETS = ("online-retail", "shop-sample")
STAGES = (1, 3, 10)  # events of somebody new
KNOWN = "known"
MOST_ITEMS, LEAST_MET, MOST_PEOPLE, FEWEST = 2000, 5, 2000, 10
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Stage:
    """People of whom so much is known: scores without prices, what they took up later, and distances; all (n, I)."""

    scores: np.ndarray
    later: np.ndarray
    distance: np.ndarray

    def quality(self, weight: float) -> np.ndarray:
        """NDCG@10 of each."""
        return np.asarray(list_ndcg(self.scores - weight * self.distance, self.later, self.later.sum(1)))


def stages(data: Dataset, seed: int) -> tuple[Dataset, dict[str, Stage]]:
    """The training part, and by n, or "known", who is tested."""
    parts, whole = global_time(data), data.coded("event")
    train, test = (interactions_of(part, whole, data.vocabulary).liked for part in (parts.train, parts.test))
    counts = np.bincount(train.items, minlength=train.n_items)
    kept = np.argsort(-counts, kind="stable")[:MOST_ITEMS]
    kept = np.sort(kept[counts[kept] >= LEAST_MET])
    price = dict(data.items.select("item_id", "price").iter_rows())
    level = np.log([max(float(price[whole.item_ids[item]]), 0.01) for item in kept])
    place = np.full(train.n_items, -1)
    place[kept] = np.arange(len(kept))
    inside = train.where(place[train.items] >= 0)
    inside = replace(inside, items=place[inside.items], n_items=len(kept))
    fitted = Lists(fit_list(met_of(inside), rng=derive_rng(seed, "list")))
    print(f"{len(kept)} products, {len(train.users)} rows before", file=sys.stderr)
    before, after = (by_user(part.users, place[part.items], part.timestamps) for part in (train, test))
    rng, found = derive_rng(seed, "people"), {}
    new = [items for user, items in after.items() if user not in before]
    for n in STAGES:
        some = drawn([items for items in new if len(items) > n], rng)
        if len(some) >= FEWEST:
            histories = Histories.of([items[:n] for items in some], len(kept))
            later = [items[n:] for items in some]
            found[str(n)] = stage(fitted.of_new(histories), histories, later, level)
    known = drawn([(user, items) for user, items in after.items() if user in before], rng)
    fresh = [(user, items[~np.isin(items, before[user])]) for user, items in known]
    users = [user for user, items in fresh if len(items)]
    histories = Histories.of([before[user] for user in users], len(kept))
    later = [items for _, items in fresh if len(items)]
    found[KNOWN] = stage(fitted.score(np.array(users)), histories, later, level)
    return parts.train, found


def drawn(people: list[Any], rng: np.random.Generator) -> list[Any]:
    return [people[place] for place in np.sort(rng.permutation(len(people))[:MOST_PEOPLE])]


def by_user(users: np.ndarray, items: np.ndarray, times: np.ndarray) -> dict[int, np.ndarray]:
    """Of each user what is kept of what they met, in order."""
    rows = pl.DataFrame({"user": users, "item": items, "time": times}).filter(pl.col("item") >= 0).sort("user", "time")
    return {user: np.array(own) for user, own in rows.group_by("user", maintain_order=True).agg("item").iter_rows()}


def stage(scores: np.ndarray, histories: Histories, later: list[np.ndarray], level: np.ndarray) -> Stage:
    met = histories.matrix()
    habit = (met @ level) / histories.sizes
    scores = np.where(met.toarray() > 0, -np.inf, scores)
    wanted = Histories.of(later, histories.n_items).matrix().toarray() > 0
    return Stage(scores, wanted, np.abs(level - habit[:, None]))


def row(name: str, seed: int) -> dict[str, Any]:
    """One set."""
    generated = name == "shop-sample"
    data = shop_sample(users=1200, rng=np.random.default_rng(seed)) if generated else Dataset.load(folder_of(name))
    before, outer = stages(data, seed)
    _, inner = stages(before, seed)
    return {"set": name, "seed": seed, "stages": dict(compared(inner, outer))}


def compared(inner: dict[str, Stage], outer: dict[str, Stage]) -> Iterator[tuple[str, dict[str, Any]]]:
    """By n the weight chosen inside and what it does outside."""
    for n, tested in outer.items():
        if n not in inner:
            continue
        weight = max(WEIGHTS, key=lambda each: float(inner[n].quality(each).mean()))
        without, priced = tested.quality(0.0), tested.quality(weight)
        yield (
            n,
            {
                "people": len(without),
                "weight": weight,
                "without": bootstrap_mean(without, rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict(),
                "with": bootstrap_mean(priced, rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict(),
                "with_minus_without": paired_bootstrap(priced, without, rng=derive_rng(0, "bootstrap")).as_dict(),
            },
        )


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed; a seed draws the generated shop, people, and whatever is drawn in a fit."""
    return {"rows": [row(name, seed) for name in names for seed in range(seeds)]}


if __name__ == "__main__":
    main("price", run, 2, sets=SETS, fixed=True)
