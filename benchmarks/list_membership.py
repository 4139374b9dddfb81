"""What a served list tells of whether somebody's answers were in the fit: an attack on memberships from lists alone.

Zhang et al., *Membership inference attacks against recommender systems*, CCS 2021. The attacker knows what each person
rated and the list that is served to them, and no model. MovieLens-100K in thirds of its people. The first third is in
every fit and is the attacker's own data: fits of it alone give vectors of items, popularity, and the list that a person
who was not in a fit would get. Half of the second third trains with it a shadow, whose other half are the strangers; a
logistic regression learns from shadows who was in. Targets are fitted with halves of the last third, which no shadow
saw. AUC of those in the fit against those who were not; .5 is chance.

A stranger tells all answers after the fit, each on their own: the list is as personal as a member's. In the paper
strangers get the list of popular items, which is a row of its own here, the control: there the attack has to work.

The central rows are of the fit that :class:`palate.Learner` serves. It lists people of its data by the history they
have there, and strangers by their answers (docs/model.md): two ways, which tell them apart. On devices the list is
worked out from the public model of a line, and factors are published whatever round 0 says; no server sees it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._data import load, main
from benchmarks._membership import auc
from palate import Dataset, Learner, rate
from palate.arrays import Array, Positions
from palate.evaluation.intervals import bootstrap_mean
from palate.federated.device import DeviceAnswers, belief
from palate.federated.fixed_point import MAX_BOUND
from palate.federated.options import FederatedOptions
from palate.federated.rounds import private_fit
from palate.loop.list_order import best_items, top
from palate.loop.list_scores import list_scores
from palate.loop.lists import Wish, on_offer
from palate.random import derive_rng

LIST, SHADOWS, DELTA = 20, 2, 1e-5
FEATURES = ("distance", "popularity of the list", "popular items in it", "items as a stranger's", "ratings")


@dataclass(frozen=True)
class World:
    """Who rated what.

    Attributes:
        ids: Of the items, sorted.
        told: Of each user positions of items, (n,), in the order of time, and ratings, (n,).
    """

    data: Dataset
    ids: list[str]
    told: dict[str, tuple[Positions, Array]]

    @classmethod
    def of(cls, data: Dataset) -> World:
        ids = sorted(data.items["item_id"])
        place = {item: number for number, item in enumerate(ids)}
        groups = data.interactions.sort("timestamp").group_by("user_id", maintain_order=True).agg("item_id", "rating")
        told = {
            user: (np.array([place[item] for item in rows]), np.array(stars)) for user, rows, stars in groups.rows()
        }
        return cls(data, ids, dict(sorted(told.items())))


@dataclass(frozen=True)
class Fit:
    """A fit of some of the people, the members.

    Attributes:
        vectors: Of the items, (I, D).
        list_of: The list of a user who is a member or has told all answers since, positions of items, (``LIST``,).
        list_untold: The same of one who has told nothing; None where that is not looked at.
    """

    vectors: Array
    list_of: Callable[[str], Positions]
    list_untold: Callable[[str], Positions] | None = None


Fitting = Callable[[World, set[str]], Fit]


def central(world: World, members: set[str]) -> Fit:
    """The fit that is served, without content of the items."""
    rows = world.data.interactions.filter(pl.col("user_id").is_in(sorted(members)))
    learner = Learner.fit(replace(world.data, interactions=rows), encoder="none", likelihood="gaussian", seed=0)

    def list_of(user: str) -> Positions:
        if user in members:
            return first_items(learner, user)
        answers = [rate(user, world.ids[item], stars) for item, stars in zip(*world.told[user], strict=True)]
        return first_items(learner.tell(answers), user)

    def list_untold(user: str) -> Positions:
        return first_items(learner, user, without=[world.ids[item] for item in world.told[user][0]])

    return Fit(learner.model.taste.items.factors, list_of, list_untold)


def first_items(learner: Learner, user: str, *, without: list[str] | None = None) -> Positions:
    """Items of ``learner.recommend(user, LIST)``: without its reasons, which take most of its time."""
    scores = list_scores(learner.memory, user)
    is_open, is_new = on_offer(learner.memory.source(user), scores, Wish(exclude=without or ()))
    return best_items(scores, LIST, familiarity=1.0, is_open=is_open, is_new=is_new)[0]


def on_devices(**settings: float) -> Fitting:
    """A line with these options, which publishes factors whatever round 0 says.

    Each device orders the items by the rating it expects.
    """
    options = FederatedOptions(delta=DELTA, form="factors", **settings)  # type: ignore[arg-type]

    def fit(world: World, members: set[str]) -> Fit:
        taken = [told for user, told in world.told.items() if user in members]
        items, stars = (np.concatenate(part) for part in zip(*taken, strict=True))
        ends = np.cumsum([0, *(len(rows) for rows, _ in taken)])
        answers = sparse.csr_matrix((stars, items.astype(np.int32), ends), (len(taken), len(world.ids)))
        draws = derive_rng(0, "list membership", f"{options.epsilon} {' '.join(sorted(members))}")
        public = private_fit(answers, None, options, rng=draws)

        def list_of(user: str) -> Positions:
            told = DeviceAnswers(*world.told[user])
            expected = public.factors @ np.append(1.0, belief(public, told)[0])
            expected[told.items] = -np.inf
            return top(expected, LIST)

        return Fit(public.factors[:, 1:], list_of)

    return fit


LINES: dict[str, Fitting] = {
    "central": central,
    "devices, no privacy": on_devices(epsilon=math.inf, clip=MAX_BOUND),
    "devices, epsilon 3": on_devices(epsilon=3.0),
    "devices, epsilon 1": on_devices(epsilon=1.0),
}


def run(seeds: int) -> dict[str, Any]:
    """AUC of the attack on each line, over the targets."""
    world = World.of(load("movielens-100k"))
    lines = {name: attack(world, fitting, targets=seeds) for name, fitting in LINES.items()}
    return {"list": LIST, "shadows": SHADOWS, "delta": DELTA, "features": FEATURES, "lines": lines}


def attack(world: World, fitting: Fitting, *, targets: int) -> dict[str, Any]:
    """AUC of the attack by all features and by distance alone, on strangers who told all and who told nothing."""
    everybody = derive_rng(0, "list membership", "thirds").permutation(list(world.told)).tolist()
    own, pool, tested = (part.tolist() for part in np.array_split(everybody, 3))
    attacker = Attacker.of(world, fitting(world, set(own)), own, [*pool, *tested])
    shadows = [_observed(world, fitting, attacker, own, pool, f"shadow {number}") for number in range(SHADOWS)]
    attacked = [_observed(world, fitting, attacker, own, tested, f"target {number}") for number in range(targets)]
    rows: dict[str, dict[str, Any]] = {}
    for strangers in attacked[0]:
        learnt_from = [shadow[strangers] for shadow in shadows]
        for name, columns in (("all features", slice(None)), ("distance", slice(1))):
            aucs = [_auc(columns, learnt_from, target[strangers]) for target in attacked]
            interval = bootstrap_mean(aucs, rng=np.random.default_rng(0)).as_dict()
            rows.setdefault(strangers, {})[name] = {**interval, "by seed": aucs}
    return rows


@dataclass(frozen=True)
class Attacker:
    """What the attacker has of a fit of their own people.

    Attributes:
        vectors: Of the items, (I, D).
        popularity: How many rated each item, (I,).
        lists: Of everybody else, who told all answers after that fit.
    """

    world: World
    vectors: Array
    popularity: Array
    lists: dict[str, Positions]

    @classmethod
    def of(cls, world: World, fit: Fit, own: list[str], others: list[str]) -> Attacker:
        rated = np.concatenate([world.told[user][0] for user in own])
        popularity = np.bincount(rated, minlength=len(world.ids)).astype(float)
        return cls(world, fit.vectors, popularity, {user: fit.list_of(user) for user in others})

    def features(self, user: str, shown: Positions) -> list[float]:
        """``FEATURES`` of a user and the list served to them."""
        items, _ = self.world.told[user]
        new = self.popularity.copy()
        new[items] = -1.0
        return [
            float(np.linalg.norm(self.vectors[items].mean(0) - self.vectors[shown].mean(0))),
            float(np.log1p(self.popularity[shown]).mean()),
            float(np.isin(shown, top(new, LIST)).mean()),
            float(np.isin(shown, self.lists[user]).mean()),
            math.log(len(items)),
        ]


Seen = tuple[Array, Array]  # features of a pool, (U, F), and who is in the fit, (U,)


def _observed(
    world: World, fitting: Fitting, attacker: Attacker, own: list[str], pool: list[str], name: str
) -> dict[str, Seen]:
    """What is seen of a fit of the attacker's people and half of a pool, by what the strangers told."""
    members = set(derive_rng(0, "list membership", name).permutation(pool)[: len(pool) // 2].tolist())
    fit, is_in = fitting(world, {*own, *members}), np.array([user in members for user in pool])
    told = np.array([attacker.features(user, fit.list_of(user)) for user in pool])
    found = {"told all": (told, is_in)}
    if fit.list_untold is not None:
        strangers = [attacker.features(user, fit.list_untold(user)) for user in pool if user not in members]
        untold = told.copy()
        untold[~is_in] = strangers
        found["told nothing"] = (untold, is_in)
    return found


def _auc(columns: slice, shadows: list[Seen], target: Seen) -> float:
    features, is_in = (np.concatenate(part) for part in zip(*shadows, strict=True))
    found = make_pipeline(StandardScaler(), LogisticRegression()).fit(features[:, columns], is_in)
    score = found.decision_function(target[0][:, columns])
    return auc(score[target[1]], score[~target[1]])


if __name__ == "__main__":
    main("list_membership", run, seeds=4)
