"""Lists for people who are new, by how much is known of them: Palate's beside those of rivals tuned for each stage.

Cut in time: everything is fitted on what was before; tested is who has nothing before, by what they took up after their
first n events. Where fewer than 20 people come later and do more than one thing, or there are no times, a fifth of the
people are drawn; without times what they did is put in an order drawn. Lists are of the whole catalogue of the training
part, less what is known of the person.

Of each rival the setting with the best NDCG@10 at that n is taken, by the same protocol inside the training part. The
best of them *on the people tested* is the one that Palate is compared with, which favours the rivals.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from palate.arrays import Array, Positions
from palate.datasets.splits import Split, global_time, new_users
from palate.datasets.tables import Dataset
from palate.entities import TIMESTAMP, USER
from palate.errors import install_line
from palate.evaluation.baselines import EASE_MAX_ITEMS, Ease, Ials, Interactions, ItemKNN
from palate.evaluation.evaluate import interactions_of
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.palate_ranker import Lists, Palate
from palate.evaluation.ranking import judge
from palate.random import derive_rng
from palate.ranking.experts.walks import nearest
from palate.ranking.histories import Histories

STAGES = (0, 1, 3, 10)  # events known
LEAST = 20  # people of a stage, by whom settings are chosen; with fewer by those of the stage before
FEWEST = 10  # people tested, with fewer of whom nothing is said
LEAST_MET = 5  # people who met an item in the training part; of rarer ones no rival knows anything
SHARE = 0.2  # of the people, who are new where there are no times
K = 10
NDCG = f"ndcg@{K}"
Scores = Callable[[sparse.csr_array], Array]  # of histories (n, I) the scores, (n, I)
Setting = tuple[float, ...]
Grids = Mapping[str, Sequence[Setting]]

POPULARITY, RECENT, KNN, EASE, IALS = "popularity", "recent-popularity", "item-knn", "ease", "ials"
LEVELS = (POPULARITY, RECENT)
SHORT: Grids = {  # what is tried where somebody waits for it
    POPULARITY: [()],
    RECENT: [(1.0,), (7.0,), (30.0,), (365.0,)],  # half-life in days
    KNN: list(itertools.product((10.0, 100.0), (20, 100, float("inf")))),  # shrinkage, neighbours
    EASE: [(15.0,), (150.0,), (1500.0,)],
    IALS: list(itertools.product((32,), (3.0, 20.0), (4.0, 40.0))),  # factors, shrinkage, alpha
}


@dataclass(frozen=True, eq=False)
class Newcomers:
    """A training part, and of people who are not in it what they took up, in order.

    Attributes:
        train: The training part, numbered.
        items: Of each person, each item once, those of the training part only.
        dated: Whether they are those who come later; otherwise they are drawn.
        before: The training part as it came.
    """

    train: Interactions
    items: Sequence[Positions]
    dated: bool
    before: Dataset

    def at(self, n: int) -> list[Positions]:
        """What those did who took up more than n."""
        return [items for items in self.items if len(items) > n]

    def stages(self, stages: Sequence[int] = STAGES) -> Iterator[int]:
        """Those that somebody has."""
        return (n for n in stages if self.at(n))


def newcomers(
    data: Dataset, *, rng: np.random.Generator, most: int = 2000, most_items: int = 2000, dated: bool | None = None
) -> Newcomers:
    """Who has nothing before a moment, or people drawn.

    Args:
        most: People, drawn if there are more.
        most_items: Of a catalogue, those that most people met in the training part.
        dated: Whether those who come later; None: where there are times and enough such people.
    """
    timed = data.interactions[TIMESTAMP].null_count() == 0 and data.interactions[TIMESTAMP].n_unique() > 1
    dated = dated if timed else False
    if dated is not False:
        parts = _arrived(data, global_time(data), most_items)
        each = parts.of_each(parts.test.timestamps)
        dated = dated or sum(len(items) > 1 for items in each) >= LEAST
    if not dated:
        parts = _arrived(data, new_users(data, share=SHARE, rng=rng), most_items)
        each = parts.of_each(parts.test.timestamps if timed else rng.random(len(parts.test.users)))
    chosen = np.sort(rng.permutation(len(each))[:most])
    return Newcomers(parts.train, [each[person] for person in chosen], bool(dated), parts.before)


@dataclass(frozen=True, eq=False)
class _Parts:
    """What people of the training part did, and others; the training part as it came."""

    train: Interactions
    test: Interactions
    before: Dataset

    def of_each(self, when: Array) -> list[Positions]:
        """The items of each of the others, in this order."""
        order = np.lexsort((when, self.test.users))
        users, items = self.test.users[order], self.test.items[order]
        return np.split(items, np.flatnonzero(np.diff(users)) + 1) if len(users) else []


def _arrived(data: Dataset, parts: Split, most_items: int) -> _Parts:
    old = parts.train.interactions[USER].unique()
    arrived = parts.test.filter((~parts.test.interactions[USER].is_in(old.implode())).to_numpy())
    whole = data.coded("event")
    train, test = (interactions_of(part, whole, data.vocabulary).liked for part in (parts.train, arrived))
    place = _numbers(train, most_items)
    return _Parts(_renumbered(train, place), _renumbered(test, place), parts.train)


def _numbers(train: Interactions, most_items: int) -> Positions:
    """The new number of each item, -1 of those left out."""
    counts = np.bincount(train.items, minlength=train.n_items)
    kept = np.argsort(-counts, kind="stable")[:most_items]
    kept = np.sort(kept[counts[kept] >= LEAST_MET])
    place = np.full(train.n_items, -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    return place


def _renumbered(part: Interactions, place: Positions) -> Interactions:
    part = part.where(place[part.items] >= 0)
    return replace(part, items=place[part.items], n_items=int((place >= 0).sum()))


Figures = dict[str, Array]  # by metric, of each person


def figures(score: Scores, people: Newcomers, n: int) -> Figures:
    """NDCG@10 and recall@20 of what each of them took up after the first n, items of the history left out."""
    some, n_items = people.at(n), people.train.n_items
    seen, later = _rows([items[:n] for items in some], n_items), _rows([items[n:] for items in some], n_items)
    found = judge(_Scored(score, seen), seen, later, K)[0]
    return {name: found[name] for name in (NDCG, "recall@20")}


@dataclass(frozen=True, eq=False)
class _Scored:
    score_of: Scores
    histories: sparse.csr_array

    def score(self, users: Any) -> Array:
        return np.asarray(self.score_of(self.histories[users]), dtype=np.float64)


def _rows(items: Sequence[Positions], n_items: int) -> sparse.csr_array:
    """Sets of items as rows of ones, each in its order."""
    ends = np.cumsum([0, *map(len, items)])
    indices = np.concatenate([*items, np.zeros(0, dtype=np.int64)])
    return sparse.csr_array((np.ones(len(indices)), indices, ends), shape=(len(items), n_items))


def scores_of(fitted: Lists) -> Scores:
    """Of the one list, for histories of people who are not in its fit."""

    def score(histories: sparse.csr_array) -> Array:
        indices, ends = histories.indices.astype(np.intp), histories.indptr.astype(np.intp)
        return fitted.of_new(Histories(indices, ends, histories.shape[1]))

    return score


# --- rivals -----------------------------------------------------------------------------------------------------------


class Rivals:
    """Rivals fitted on one training part; what several settings share is made once.

    Attributes:
        grids: What is tried of each that this data and this installation allow.
        left_out: The others, and why.
    """

    def __init__(self, train: Interactions, grids: Grids = SHORT) -> None:
        self._train, self._cosine = train, (float("nan"), sparse.csr_array((0, 0)))
        self.left_out: dict[str, str] = {}
        if np.isnan(train.timestamps).any():
            self.left_out[RECENT] = "the interactions have no timestamps"
        if train.n_items > EASE_MAX_ITEMS:
            self.left_out[EASE] = f"the catalogue has {train.n_items:,} items; its limit is {EASE_MAX_ITEMS:,}"
        if importlib.util.find_spec("implicit") is None:
            self.left_out[IALS] = f"the library 'implicit' is not installed: {install_line('peers')}"
        self.grids = {name: grid for name, grid in grids.items() if name not in self.left_out}

    def fit(self, name: str, setting: Setting) -> Scores:
        """One of them; of histories that are not in its fit it gives scores of all items."""
        train, rng = self._train, np.random.default_rng(0)
        if name == POPULARITY:
            return _same(np.bincount(train.items, minlength=train.n_items).astype(np.float64))
        if name == RECENT:
            age = (train.timestamps.max() - train.timestamps) / 86_400.0
            return _same(np.bincount(train.items, 0.5 ** (age / setting[0]), train.n_items).astype(np.float64))
        if name == KNN:
            if self._cosine[0] != setting[0]:
                cosine = ItemKNN(train.n_items, setting[0]).fit(train, rng=rng).weights
                self._cosine = setting[0], sparse.csr_array(cosine)
            return _linear(nearest(self._cosine[1], int(min(setting[1], train.n_items))))
        if name == EASE:
            return _linear(Ease(*setting).fit(train, rng=rng).weights)
        factors, shrinkage, alpha = setting
        return _folded(Ials(int(factors), shrinkage, alpha), train)


def _same(scores: Array) -> Scores:
    return lambda histories: np.broadcast_to(scores, histories.shape)


def _linear(weights: Any) -> Scores:
    def score(histories: sparse.csr_array) -> Array:
        found = histories @ weights
        return np.asarray(found.toarray() if sparse.issparse(found) else found)

    return score


def _folded(model: Ials, train: Interactions) -> Scores:
    """iALS, of people who are not in its fit: the same regression that gives those of the fit their factors."""
    items = model.fit(train, rng=np.random.default_rng(0)).items.astype(np.float64)
    gram = items.T @ items + model.shrinkage * model.alpha * np.eye(items.shape[1])

    def score(histories: sparse.csr_array) -> Array:
        users = np.zeros((histories.shape[0], items.shape[1]))
        for row in range(len(users)):
            own = items[histories.indices[histories.indptr[row] : histories.indptr[row + 1]]]
            left = gram + (model.alpha - 1.0) * (own.T @ own)
            users[row] = np.linalg.solve(left, model.alpha * own.sum(0))
        return np.asarray(users @ items.T)

    return score


def tuned(
    inner: Newcomers,
    outer: Newcomers,
    grids: Grids = SHORT,
    *,
    stages: Sequence[int] = STAGES,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[int, dict[str, tuple[Setting, Figures]]]:
    """By stage and rival its setting of the best NDCG@10 inside the training part, and its figures outside.

    Of a stage with fewer than 20 people there the settings are those of the stage before.
    """
    quality: dict[int, dict[str, dict[Setting, float]]] = {n: {} for n in stages}
    within = Rivals(inner.train, grids)
    for name, grid in within.grids.items():
        progress(name)
        for setting in grid:
            score = within.fit(name, setting)
            for n in inner.stages(stages):
                if n or name in LEVELS:
                    found = figures(score, inner, n)[NDCG]
                    quality[n].setdefault(name, {})[setting] = float(np.nanmean(found))
    after = Rivals(outer.train, grids)
    result: dict[int, dict[str, tuple[Setting, Figures]]] = {}
    fitted: dict[tuple[str, Setting], Scores] = {}
    for n in outer.stages(stages):
        able = [m for m in stages if m <= n and (m or not n) and len(inner.at(m)) >= LEAST and quality[m]]
        chosen = quality[able[-1] if able else min(n, 1)]
        best = {name: max(tried, key=lambda setting: tried[setting]) for name, tried in chosen.items()}
        for name, setting in best.items():
            if (name, setting) not in fitted:
                fitted[name, setting] = after.fit(name, setting)
        result[n] = {name: (best[name], figures(fitted[name, best[name]], outer, n)) for name in best}
    return result


# --- the table --------------------------------------------------------------------------------------------------------


def lists_by_events(
    data: Dataset,
    *,
    seed: int = 0,
    most: int = 2000,
    most_items: int = 2000,
    grids: Grids = SHORT,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any] | None:
    """Lists for new people after 0, 1, 3 and 10 events, by the protocol above; None where nobody is new.

    Returns:
        ``dated``, ``people`` and ``items`` (how many), ``left_out`` (rivals that cannot run, why) and ``stages``: by n,
        where at least 10 people did more, ``people``, ``ndcg@10`` and ``recall@20`` of Palate and of each rival (mean,
        low, high), ``best_rival``, and ``palate_minus_best`` of NDCG@10, paired by person.
    """
    outer = newcomers(data, rng=derive_rng(seed, "outer"), most=most, most_items=most_items)
    if not outer.items or not outer.train.n_items:
        return None
    progress("palate")
    ours = scores_of(Palate().fit(outer.train, rng=derive_rng(seed, "palate")))
    inner = newcomers(outer.before, rng=derive_rng(seed, "inner"), most=most, most_items=most_items, dated=outer.dated)
    found = tuned(inner, outer, grids, progress=progress) if inner.train.n_items else {}
    stages = {n: figures(ours, outer, n) for n in outer.stages() if len(outer.at(n)) >= FEWEST}
    return {
        "dated": outer.dated,
        "people": len(outer.items),
        "items": int(outer.train.n_items),
        "left_out": Rivals(outer.train, grids).left_out,
        "stages": {
            str(n): stage(own, {name: theirs for name, (_, theirs) in found.get(n, {}).items()})
            for n, own in stages.items()
        },
    }


def stage(ours: Figures, rivals: Mapping[str, Figures]) -> dict[str, Any]:
    """Means with intervals, the best rival on these people, and Palate less it."""
    everybody = {"palate": ours, **rivals}
    shown: dict[str, Any] = {"people": len(ours[NDCG])}
    for metric in ours:
        shown[metric] = {
            name: bootstrap_mean(found[metric], rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0)).as_dict()
            for name, found in everybody.items()
        }
    if rivals:
        best = max(rivals, key=lambda name: float(np.mean(rivals[name][NDCG])))
        less = paired_bootstrap(ours[NDCG], rivals[best][NDCG], rng=derive_rng(0, "bootstrap"))
        shown |= {"best_rival": best, "palate_minus_best": less.as_dict()}
    return shown
