"""Warm next item, leave-last-out, full ranking: the behaviour Transformer and the one list beside SASRec, iALS, EASE.

Every event but an ill one is a positive. The last item of each user is the test; all else trains, and what a user has
in it is left out of their list. Items with fewer than five positives in training are left out of both parts. The
baselines' settings are chosen on training rows only (``evaluate_ranking``); ours and SASRec have one setting each, and
the Transformers stop by a tenth of the users, or by their last training items.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._sequences import (
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
from palate.datasets.splits import leave_last_out
from palate.encoders.histories.behaviour import Behaviour
from palate.encoders.histories.behaviour_fit import fit_behaviour
from palate.evaluation.baselines import (
    Ease,
    Ials,
    Interactions,
    ItemKNN,
    Model,
    Popularity,
    RecentPopularity,
)
from palate.evaluation.palate_ranker import Palate
from palate.evaluation.ranking import evaluate_ranking
from palate.random import derive_rng

K = 10
GRIDS: Mapping[str, Sequence[Model]] = {
    "popularity": [Popularity()],
    "recent-popularity": [RecentPopularity(days) for days in (3.0, 30.0, 90.0)],
    "item-knn": [ItemKNN(neighbours, shrinkage) for neighbours in (50, 200) for shrinkage in (0.0, 10.0)],
    "ease": [Ease(l2) for l2 in (50.0, 200.0, 500.0, 1000.0)],
    "ials": [Ials(factors, 8.0, alpha) for factors in (32, 64) for alpha in (1.0, 4.0)],
}


@dataclass(frozen=True, eq=False)
class _Ranked:
    """The Transformer as one of the rankers; it reads the log itself, since the others know no kinds of event."""

    part: World
    vectors: np.ndarray

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> _Scores:
        model = fit_behaviour(self.part.log, self.vectors, train.n_users, rng=rng)
        return _Scores(model, model.encode(self.part.log, self.vectors, train.n_users), self.vectors)

    def __repr__(self) -> str:
        return "BehaviourOptions()"


@dataclass(frozen=True, eq=False)
class _Scores:
    model: Behaviour
    states: np.ndarray
    vectors: np.ndarray

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.model.score(self.states[users], self.vectors)


@dataclass(frozen=True, eq=False)
class _SasRec:
    """The lists of the peer as scores."""

    python: str
    seed: int
    told: dict[str, Any]  # how it was trained

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> _Lists:
        ask = np.unique(train.users)
        answer = ask_sasrec(self.python, train, train, ask, k=K, seed=self.seed)
        self.told.update(training_of(answer))
        lists = np.full((train.n_users, K), -1)
        lists[ask] = answer["lists"]
        return _Lists(lists, train.n_items)

    def __repr__(self) -> str:
        return "RecTools SASRecModel"


@dataclass(frozen=True, eq=False)
class _Lists:
    lists: np.ndarray
    n_items: int

    def score(self, users: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(users), self.n_items + 1))
        np.put_along_axis(scores, self.lists[users], np.arange(K, 0, -1.0)[None], 1)  # -1 falls on the spare column
        return scores[:, :-1]


def run(seeds: int, python: str | None, names: Sequence[str], networks: bool) -> dict[str, Any]:
    """One row a set and seed; without the environment of RecTools SASRec is left out."""
    rows = []
    for name in names:
        parts = leave_last_out(load_events(name))
        part = world(parts.train, parts.test)
        content = content_of(part)
        vectors = vectors_of(taste_of(part, content, dim=16), content)
        for seed in range(seeds):
            grids: dict[str, Sequence[Any]] = {**GRIDS, "palate": [Palate()]}
            if networks:
                grids["behaviour"] = [_Ranked(part, vectors)]
            told: dict[str, Any] = {}
            if python is not None and networks:
                grids["sasrec"] = [_SasRec(python, seed, told)]
            rng = derive_rng(seed, "next item")
            document = evaluate_ranking(
                grids, part.train, None, part.test, k=K, rng=rng, progress=lambda model: print(model, file=sys.stderr)
            )
            rows.append({"set": name, "seed": seed, "sasrec": told or None, **_short(document)})
    return {"rows": rows}


def _short(document: dict[str, Any]) -> dict[str, Any]:
    known = document["with_history"]
    models = {
        name: {
            "settings": document["models"][name]["settings"],
            "ndcg@10": model["metrics"]["ndcg@10"],
            "behind_best": model["behind_best"]["ndcg@10"],
            "fit_seconds": document["models"][name]["fit_seconds"],
        }
        for name, model in known["models"].items()
    }
    return {"users": known["users"], "best": known["best"], "models": models}


if __name__ == "__main__":
    main_with_sasrec("next_item", run)
