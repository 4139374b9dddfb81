"""The next basket of people who bought before: what the model of repeats orders, against "buy again".

Cut in time at 0.8 of the purchases. Everything is learnt on what was before; tested is who bought before and after, by
what they bought on their first day after the cut: NDCG@10 over the whole catalogue, for that day.

"repeats" is the order in which Palate's list has what a person bought (:mod:`palate.ranking.repeats`), which nothing
here chooses; behind it stands what sells lately, as behind the rivals. These are popularity ever and of late; the own
products of a person by how many days they bought them ("frequency", equal ones by the last day), and the same with days
that count half after some time or after some visits ("frequency, fading"); item-kNN over all that was bought, which
keeps it in the list. Settings of the rivals are those of the best NDCG@10 by the same protocol in the training part;
the best of them *on the people tested* is the rival.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from benchmarks._data import folder_of, main
from palate import Dataset
from palate.datasets.samples import shop_sample
from palate.evaluation.baselines import Interactions, ItemKNN
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.random import derive_rng
from palate.ranking.experts.levels import DAY
from palate.ranking.repeats import fit_repeats

SETS = ("online-retail", "shop-sample")
SHARE = 0.8  # of the purchases that are before the cut
K = 10
HALF_LIVES = (7.0, 15.0, 30.0, 60.0, 120.0, 240.0)
FADES = (0.6, 0.7, 0.8, 0.9, 0.95)  # of a visit, for every later one
SHRINKAGES = (0.0, 10.0, 100.0, 1000.0)
DISCOUNT = 1.0 / np.log2(np.arange(2, K + 2))
Score = Callable[[int], np.ndarray]  # of a person the scores of all items


@dataclass(frozen=True, eq=False)
class Baskets:
    """Purchases before a cut, and of some people what they bought on their first day after it.

    Attributes:
        rows: user, item, day and time of each purchase before, numbered, by user.
        start: Where the rows of each user begin, and the end.
        people: Who is tested.
        days: Of each of them the day.
        baskets: And what they bought.
    """

    rows: pl.DataFrame
    start: np.ndarray
    people: np.ndarray
    days: np.ndarray
    baskets: Sequence[np.ndarray]
    n_items: int

    @classmethod
    def of(cls, rows: pl.DataFrame, n_users: int, n_items: int) -> Baskets:
        cut = float(np.quantile(rows["time"].to_numpy(), SHARE))
        before = rows.filter(pl.col("time") <= cut).sort("user", "time", maintain_order=True)
        after = rows.filter((pl.col("time") > cut) & pl.col("user").is_in(before["user"].unique().implode()))
        after = after.filter(pl.col("day") > np.floor(cut / DAY))  # the day of the cut is in both
        first = after.filter(pl.col("day") == pl.col("day").min().over("user"))
        first = first.filter(pl.col("item").is_in(before["item"].unique().implode()))
        each = first.group_by("user", maintain_order=True).agg(pl.col("item").unique().sort(), pl.col("day").first())
        start = np.searchsorted(before["user"].to_numpy(), np.arange(n_users + 1))
        baskets = [np.array(items) for items in each["item"].to_list()]
        return cls(before, start, each["user"].to_numpy(), each["day"].to_numpy(), baskets, n_items)

    def own(self, user: int) -> tuple[np.ndarray, np.ndarray]:
        """Items and days of one person, each pair once."""
        part = self.rows.slice(self.start[user], self.start[user + 1] - self.start[user])
        keys = np.unique(part["item"].to_numpy() * 100_000 + part["day"].to_numpy())
        return keys // 100_000, keys % 100_000

    def quality(self, score: Score) -> np.ndarray:
        """NDCG@10 of each basket."""
        return np.array(
            [ndcg(np.argsort(-score(place), kind="stable")[:K], basket) for place, basket in enumerate(self.baskets)]
        )


def ndcg(shown: np.ndarray, basket: np.ndarray) -> float:
    gain = float(np.isin(shown, basket) @ DISCOUNT[: len(shown)])
    return gain / float(DISCOUNT[: min(K, len(basket))].sum())


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed; a seed draws the generated shop, and whatever is drawn in a fit."""
    return {"rows": [row(name, seed) for name in names for seed in range(seeds)]}


def row(name: str, seed: int) -> dict[str, Any]:
    """One set."""
    data = dataset(name, seed)
    bought = data.interactions.filter(pl.col("event") == "purchase")
    users, items = (bought[name].unique().sort() for name in ("user_id", "item_id"))
    rows = bought.select(
        pl.col("user_id").cast(pl.Enum(users)).to_physical().cast(pl.Int64).alias("user"),
        pl.col("item_id").cast(pl.Enum(items)).to_physical().cast(pl.Int64).alias("item"),
        (pl.col("timestamp") / DAY).floor().cast(pl.Int64).alias("day"),
        pl.col("timestamp").alias("time"),
    )
    outer = Baskets.of(rows, len(users), len(items))
    inner = Baskets.of(outer.rows, len(users), len(items))
    print(name, seed, f"{len(outer.people)} people, {len(inner.people)} inside", file=sys.stderr)
    found, settings = rivals(inner, outer)
    own = outer.quality(repeats(outer))
    best = max(found, key=lambda rival: float(found[rival].mean()))
    again = [
        np.isin(basket, outer.own(user)[0]).mean() for user, basket in zip(outer.people, outer.baskets, strict=True)
    ]
    return {
        "set": name,
        "seed": seed,
        "people": len(outer.people),
        "items": len(items),
        "bought_before": round(float(np.mean(again)), 4),
        "ndcg@10": {
            each: bootstrap_mean(values, rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict()
            for each, values in {"repeats": own, **found}.items()
        },
        "settings": settings,
        "best_rival": best,
        "repeats_minus_best": paired_bootstrap(own, found[best], rng=derive_rng(0, "bootstrap")).as_dict(),
    }


def dataset(name: str, seed: int) -> Dataset:
    if name == "shop-sample":
        return shop_sample(users=1200, rng=np.random.default_rng(seed))
    return Dataset.load(folder_of(name))


def repeats(of: Baskets) -> Score:
    """By the model of repeats, then by what sells lately."""
    columns = (of.rows[name].to_numpy() for name in ("user", "item", "time"))
    model = fit_repeats(*columns, (len(of.start) - 1, of.n_items), act="purchase", least=1.0)
    assert model is not None, "too little is bought again"
    fill, none = level(of, HALF_LIVES[0]) - 1e3, np.zeros(0, dtype=np.intp)

    def score(place: int) -> np.ndarray:
        items, log_odds, _ = model.log_odds(int(of.people[place]), none, np.zeros(0), float(of.days[place] * DAY))
        scores = fill.copy()
        scores[items] = log_odds
        return scores

    return score


def rivals(inner: Baskets, outer: Baskets) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Of each its quality outside with the setting that is best inside, and that setting."""
    found, settings = {}, {}
    for name, grid in GRIDS.items():
        tried = {setting: float(inner.quality(MAKERS[name](inner, setting)).mean()) for setting in grid}
        best = max(tried, key=lambda setting: tried[setting])
        print("  ", name, best, round(tried[best], 4), file=sys.stderr)
        found[name], settings[name] = outer.quality(MAKERS[name](outer, best)), list(best)
    return found, settings


def popular(of: Baskets, setting: tuple[Any, ...]) -> Score:
    scores = level(of, *setting)
    return lambda _: scores


def level(of: Baskets, half_life: float = float("inf")) -> np.ndarray:
    """How much was bought of each item, in [0, 1]."""
    day = of.rows["day"].to_numpy()
    counts = np.bincount(of.rows["item"].to_numpy(), 0.5 ** ((day.max() - day) / half_life), of.n_items)
    return np.asarray(counts / counts.max())


def frequency(of: Baskets, setting: tuple[Any, ...]) -> Score:
    """A person's own by days bought, which count half after so many days, or a share for every visit since."""
    fill, (kind, amount) = 1e-6 * level(of), setting or ("days", float("inf"))

    def score(place: int) -> np.ndarray:
        items, days = of.own(int(of.people[place]))
        if kind == "days":
            weights = 0.5 ** ((of.days[place] - days) / amount)
        else:
            visits = np.unique(days)
            weights = amount ** (len(visits) - 1 - np.searchsorted(visits, days))
        last = np.zeros(of.n_items)
        np.maximum.at(last, items, days / days.max())
        return np.asarray(np.bincount(items, weights, of.n_items) + 1e-4 * last + fill)

    return score


def knn(of: Baskets, setting: tuple[Any, ...]) -> Score:
    """Shrunk cosines to all that a person bought, itself included."""
    users, items = of.rows["user"].to_numpy(), of.rows["item"].to_numpy()
    n_users = len(of.start) - 1
    met = sparse.csr_array((np.ones(len(users)), (users, items)), shape=(n_users, of.n_items))
    met.sum_duplicates()
    met.data[:] = 1.0
    pairs = met.tocoo()
    train = Interactions(pairs.row, pairs.col, pairs.data, np.full(met.nnz, np.nan), n_users, of.n_items)
    weights = ItemKNN(of.n_items, setting[0]).fit(train, rng=np.random.default_rng(0)).weights
    weights = sparse.csr_array(weights) + sparse.diags_array(np.ones(of.n_items), format="csr")
    return lambda place: np.asarray((met[[int(of.people[place])]] @ weights).toarray()[0])


GRIDS: Mapping[str, Sequence[tuple[Any, ...]]] = {
    "popularity": [()],
    "recent popularity": [(days,) for days in HALF_LIVES],
    "frequency": [()],
    "frequency, fading": [*(("days", days) for days in HALF_LIVES), *(("visits", share) for share in FADES)],
    "item-knn": [(shrinkage,) for shrinkage in SHRINKAGES],
}
MAKERS: Mapping[str, Callable[[Baskets, tuple[Any, ...]], Score]] = {
    "popularity": popular,
    "recent popularity": popular,
    "frequency": frequency,
    "frequency, fading": frequency,
    "item-knn": knn,
}


if __name__ == "__main__":
    main("repeat_purchase", run, seeds=1, sets=SETS, fixed=True)
