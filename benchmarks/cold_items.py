"""Items nobody has acted on, for people who are known: the model against TF-IDF, tuned.

A fifth of the items is hidden with all that was said of them. Of each person RMSE and NDCG@10 of the hidden items they
rated (the rating above the lowest as gain), and NDCG@10 of a list of hidden items, all of them, by those they liked.

Rivals read the same text and are tuned on items hidden inside the training part: ``ridge``, of a person's ratings on
TF-IDF, with a level of the item by a ridge of everybody's ratings or none; ``profile``, the dot product of an item with
the summed TF-IDF of what a person met. Intervals over people; equal scores count by expectation.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from scipy.sparse.linalg import lsqr
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks._data import POLIS, load, main
from palate import Dataset, Learner
from palate.datasets.splits import new_items
from palate.evaluation.evaluate import held_out_rows, predict_rows
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap, paired_rmse, rmse_interval
from palate.evaluation.metrics import graded_ndcg
from palate.random import derive_rng

Array = np.ndarray
Rows = tuple[Array, Array, Array]  # positions of user and item, ratings
SETS = ("movielens-latest-small", "goodbooks", *(f"polis/{name}" for name in POLIS))
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
LISTED = 300  # people whose lists are made, drawn
MOST = 1_000  # people of a set, drawn
PLACES = 10  # of a list that are judged


def run(seeds: int, sets: tuple[str, ...]) -> dict[str, Any]:
    """One row a set."""
    logging.getLogger("palate").setLevel(logging.ERROR)
    return {"rows": [row(name, seeds) for name in sets]}


def row(name: str, seeds: int) -> dict[str, Any]:
    """The model and its rivals on one set; each person once, their errors summed over the seeds."""
    data = _drawn(load(name))
    users = {user: place for place, user in enumerate(data.interactions["user_id"].unique().sort())}
    ways = ("palate", "ridge", "profile")
    squared, counts = {way: np.zeros(len(users)) for way in ways}, np.zeros(len(users))
    orders, lists = ({way: np.full((seeds, len(users)), np.nan) for way in ways} for _ in range(2))
    for seed in range(seeds):
        split = new_items(data, share=0.2, rng=derive_rng(seed, "cold-items"))
        learner = Learner.fit(split.train, likelihood="gaussian", seed=seed)
        model = learner.model
        rows, columns, observed = held_out_rows(model, split.test)
        text = _texts(data, model.catalogue.ids)
        train = _rows(model.answers)
        rivals = {
            "ridge": Ridge.tuned(train, text, seed),
            "profile": Profile.tuned(train, text, model.scale.like, seed),
            "profile of lists": Profile.tuned(train, text, model.scale.like, seed, whole=True),
        }
        said = {"palate": predict_rows(model, rows, columns)[0]}
        said |= {way: rivals[way](rows, columns) for way in ("ridge", "profile")}
        place = np.array([users[user] for user in model.user_ids])
        for way, scores in said.items():
            np.add.at(squared[way], place[rows], (scores - observed) ** 2)
            found = graded_ndcg(scores, observed - model.scale.low, rows, n_rows=len(place), k=PLACES)
            orders[way][seed, place] = found
        np.add.at(counts, place[rows], 1.0)
        hidden, liked = np.unique(columns), observed >= model.scale.like
        able = derive_rng(seed, "listed").permutation(np.unique(rows[liked]))[:LISTED]
        for user in able:
            relevant = np.isin(hidden, columns[liked & (rows == user)]).astype(float)
            order = learner.recommend(model.user_ids[user], PLACES, allow=[model.catalogue.ids[i] for i in hidden])
            rank = {one.item_id: -float(at) for at, one in enumerate(order)}
            own = {
                "palate": np.array([rank.get(model.catalogue.ids[item], -np.inf) for item in hidden]),
                "ridge": rivals["ridge"](np.full(len(hidden), user), hidden),
                "profile": rivals["profile of lists"](np.full(len(hidden), user), hidden),
            }
            for way, scores in own.items():
                zeros = np.zeros(len(hidden), dtype=np.intp)
                lists[way][seed, place[user]] = graded_ndcg(scores, relevant, zeros, n_rows=1, k=PLACES)[0]
    return {"set": name, "people": int((counts > 0).sum()), **_summary(squared, counts, orders, lists)}


def _summary(squared: Any, counts: Array, orders: Any, lists: Any) -> dict[str, Any]:
    def mean(values: Array) -> Array:
        known = ~np.isnan(values)
        return np.where(known.any(0), np.nansum(values, 0) / np.maximum(known.sum(0), 1), np.nan)

    def rng() -> np.random.Generator:
        return derive_rng(0, "bootstrap")

    own: dict[str, Any] = {}
    for way in squared:
        own[way] = {
            "ndcg@10": bootstrap_mean(mean(orders[way]), rng=rng()).as_dict(),
            "list ndcg@10": bootstrap_mean(mean(lists[way]), rng=rng()).as_dict(),
        }
        if way != "profile":  # its scores are no ratings
            own[way]["rmse"] = rmse_interval(squared[way], counts, rng=rng()).as_dict()
    minus: dict[str, Any] = {}
    for way in ("ridge", "profile"):
        minus[way] = {
            "ndcg@10": paired_bootstrap(mean(orders["palate"]), mean(orders[way]), rng=rng()).as_dict(),
            "list ndcg@10": paired_bootstrap(mean(lists["palate"]), mean(lists[way]), rng=rng()).as_dict(),
        }
    minus["ridge"]["rmse"] = paired_rmse(squared["palate"], squared["ridge"], counts, rng=rng()).as_dict()
    return {"ways": own, "palate_minus": minus}


def _drawn(data: Dataset) -> Dataset:
    users = data.interactions["user_id"].unique().sort().to_list()
    chosen = derive_rng(0, "people").permutation(len(users))[:MOST]
    return data.filter(pl.col("user_id").is_in([users[at] for at in chosen]))


def _texts(data: Dataset, ids: list[str]) -> list[str]:
    """Of each item all that is text: what Palate reads too."""
    columns = [name for name, kind in data.items.schema.items() if kind == pl.String and name != "item_id"]
    whole = data.items.select("item_id", pl.concat_str(columns, separator=" ", ignore_nulls=True).alias("whole"))
    known = dict(whole.iter_rows())
    return [known.get(item, "") for item in ids]


def _rows(answers: Any) -> Rows:
    found = answers.tocoo()
    return found.row.astype(np.intp), found.col.astype(np.intp), found.data


def _inner(train: Rows, seed: int) -> tuple[Rows, Rows]:
    """What is known and what is hidden inside the training part: a fifth of its items."""
    items = np.unique(train[1])
    held = derive_rng(seed, "inner").permutation(items)[: len(items) // 5]
    is_held = np.isin(train[1], held)
    return tuple(part[~is_held] for part in train), tuple(part[is_held] for part in train)  # type: ignore[return-value]


class Ridge:
    """Ratings less the person's mean, by a ridge of everybody on TF-IDF and one of each person on what is left."""

    def __init__(self, train: Rows, text: sparse.csr_matrix, strength: float, level: float | None) -> None:
        users, items, values = train
        n_users, n_items = int(users.max()) + 1, text.shape[0]
        self.text, self.overall = text, float(values.mean())
        self.mean = np.bincount(users, values - self.overall, n_users) / (np.bincount(users, minlength=n_users) + 5.0)
        left = values - self.overall - self.mean[users]
        self.level = np.zeros(n_items)
        if level is not None:
            counts, sums = np.bincount(items, minlength=n_items), np.bincount(items, left, n_items)
            weight, rated = np.sqrt(counts), np.flatnonzero(counts)
            design = sparse.hstack([sparse.diags(weight[rated]) @ text[rated], sparse.csr_matrix(weight[rated, None])])
            found = lsqr(design.tocsr(), sums[rated] / weight[rated], damp=np.sqrt(level), iter_lim=200)[0]
            self.level = text @ found[:-1] + found[-1]
            left = left - (sums / (counts + 10.0))[items]
        order = np.argsort(users, kind="stable")
        ends = np.searchsorted(users[order], np.arange(n_users + 1))
        self.own = []
        for user in range(n_users):
            mine = order[ends[user] : ends[user + 1]][-MOST:]
            rows = text[items[mine]]
            inner = (rows @ rows.T).toarray() + strength * np.eye(len(mine))
            self.own.append((rows, np.linalg.solve(inner, left[mine]) if len(mine) else np.zeros(0)))

    def __call__(self, users: Array, items: Array) -> Array:
        found = self.overall + self.mean[users] + self.level[items]
        for user in np.unique(users):
            here, (rows, weights) = users == user, self.own[user]
            found[here] += self.text[items[here]] @ (rows.T @ weights)
        return found

    @classmethod
    def tuned(cls, train: Rows, texts: list[str], seed: int) -> Ridge:
        """With the setting of least error on items hidden inside."""
        text = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
        known, hidden = _inner(train, seed)
        hidden = tuple(part[hidden[0] <= known[0].max()] for part in hidden)  # type: ignore[assignment]

        def error(setting: tuple[float, float | None]) -> float:
            return float(((cls(known, text, *setting)(*hidden[:2]) - hidden[2]) ** 2).mean())

        best = min(((strength, None) for strength in STRENGTHS), key=error)
        best = min([best, *((best[0], level) for level in STRENGTHS)], key=error)
        best = min([best, *((strength, best[1]) for strength in STRENGTHS)], key=error)
        return cls(train, text, *best)


class Profile:
    """Dot product of an item with the weighted sum of what a person met: all alike, what is liked, or by rating."""

    WEIGHTS = ("met", "liked", "rating")

    def __init__(self, train: Rows, text: sparse.csr_matrix, like: float, weights: str) -> None:
        users, items, values = train
        n_users = int(users.max()) + 1
        mean = np.bincount(users, values, n_users) / np.maximum(np.bincount(users, minlength=n_users), 1)
        by = {"met": np.ones(len(values)), "liked": 1.0 * (values >= like), "rating": values - mean[users]}[weights]
        self.text, self.profiles = text, sparse.csr_matrix((by, (users, items)), shape=(n_users, text.shape[0])) @ text

    def __call__(self, users: Array, items: Array) -> Array:
        return np.asarray(self.profiles[users].multiply(self.text[items]).sum(1)).ravel()

    @classmethod
    def tuned(cls, train: Rows, texts: list[str], like: float, seed: int, *, whole: bool = False) -> Profile:
        """With the weights and the form of TF-IDF of the best order of items hidden inside.

        Args:
            whole: Whether all hidden items are in order, by what is liked, and not those alone that a person rated.
        """
        known, hidden = _inner(train, seed)
        hidden = tuple(part[hidden[0] <= known[0].max()] for part in hidden)  # type: ignore[assignment]
        forms = [TfidfVectorizer(sublinear_tf=by_log, min_df=2).fit_transform(texts) for by_log in (True, False)]

        def of_lists(found: Profile) -> float:
            items, liked = np.unique(hidden[1]), hidden[2] >= like
            people = np.unique(hidden[0][liked])[:LISTED]
            scores = (found.profiles[people] @ found.text[items].T).toarray()
            gains = np.zeros_like(scores)
            own = liked & np.isin(hidden[0], people)
            gains[np.searchsorted(people, hidden[0][own]), np.searchsorted(items, hidden[1][own])] = 1.0
            rows = np.repeat(np.arange(len(people)), len(items))
            return float(np.nanmean(graded_ndcg(scores.ravel(), gains.ravel(), rows, n_rows=len(people), k=10)))

        def quality(setting: tuple[int, str]) -> float:
            found = cls(known, forms[setting[0]], like, setting[1])
            if whole:
                return of_lists(found)
            scores = found(*hidden[:2])
            gains = hidden[2] - hidden[2].min()
            return float(np.nanmean(graded_ndcg(scores, gains, hidden[0], n_rows=int(hidden[0].max()) + 1, k=10)))

        best = max(((form, weights) for form in (0, 1) for weights in cls.WEIGHTS), key=quality)
        return cls(train, forms[best[0]], like, best[1])


if __name__ == "__main__":
    main("cold_items", run, seeds=2, sets=SETS)
