"""The belief about tastes from events alone, as a ranker: beside iALS, EASE and popularity.

A fifth of the events, drawn, is to be found among all items that have five events or more, those met left out; people
with such an event count. The belief chooses its weights in its fit, as ``palate fit`` does, and scores people by what
their events say of them. The peers' settings are chosen on a fifth of the training part, drawn; ``at best on test`` is
iALS in the setting that turned out best on the test part, which favours it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._data import main
from benchmarks._sequences import load_events
from palate.evaluation.baselines import Ease, Factors, Ials, Interactions, Model, Popularity, matrix_of
from palate.evaluation.intervals import paired_bootstrap
from palate.evaluation.ranking import judge
from palate.model.choose_events import choose_weights, dimensions
from palate.model.fit import fit_taste
from palate.posteriors.answers import Answers
from palate.random import derive_rng

SETS = ("movielens-100k", "movielens-latest-small", "lastfm-hetrec", "steam-play", "goodbooks")
LEAST, K, HELD_OUT = 5, 10, 0.2
IALS = [Ials(dim, per, alpha) for dim in (32, 128) for per in (3.0, 8.0, 20.0) for alpha in (1.0, 4.0, 10.0)]
PEERS: Mapping[str, Sequence[Model]] = {
    "popularity": [Popularity()],
    "ease": [Ease(l2) for l2 in (50.0, 200.0, 500.0, 1000.0)],
    "ials": IALS,
}


@dataclass(frozen=True)
class Belief:
    """What a fit of events alone believes."""

    seed: int

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> Factors:
        shape = (train.n_users, train.n_items)
        answers = Answers.build(train.users.astype(np.int32), train.items.astype(np.int32), train.values, shape)
        likelihood = choose_weights(answers, seed=self.seed)
        dim = dimensions(answers.values.nnz, answers.values.shape, likelihood)
        taste = fit_taste(answers, likelihood, None, dim=dim, seed=self.seed)[0]
        people = taste.believe(answers.values).mean
        print(f"  {likelihood}, {taste.items.dim} of {dim} dimensions", file=sys.stderr)
        items = np.concatenate([taste.items.level[:, None], taste.items.factors], 1)
        return Factors(np.concatenate([np.ones((len(people), 1)), people], 1), items)


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed."""
    return {"rows": [_row(name, seed) for name in names for seed in range(seeds)]}


def _row(name: str, seed: int) -> dict[str, Any]:
    rng = derive_rng(seed, name)
    world = _world(name)
    out = rng.random(len(world.users)) < HELD_OUT
    train, test = world.where(~out), world.where(out)
    inner = rng.random(len(train.users)) < HELD_OUT
    fold = (train.where(~inner), train.where(inner))
    reached, seconds, settings = {}, {}, {}
    for peer, grid in {"belief": [Belief(seed)], **PEERS}.items():
        started = time.perf_counter()
        model = grid[int(np.argmax([np.nanmean(_ndcg(one, *fold, seed)) for one in grid]))] if grid[1:] else grid[0]
        reached[peer] = _ndcg(model, train, test, seed)
        seconds[peer], settings[peer] = round(time.perf_counter() - started, 1), repr(model)
        print(name, seed, peer, settings[peer], round(float(np.nanmean(reached[peer])), 4), file=sys.stderr)
    others = [_ndcg(one, train, test, seed) for one in IALS]
    reached["ials at best on test"] = max(others, key=lambda found: float(np.nanmean(found)))
    able = np.isfinite(reached["belief"])
    return {
        "set": name,
        "seed": seed,
        "people": int(able.sum()),
        "items": world.n_items,
        "ndcg@10": {peer: round(float(found[able].mean()), 4) for peer, found in reached.items()},
        "belief minus": {
            peer: [round(float(end), 4) for end in _interval(reached["belief"][able], found[able], seed)]
            for peer, found in reached.items()
            if peer != "belief"
        },
        "settings": settings,
        "seconds": seconds,
    }


def _ndcg(model: Model, train: Interactions, test: Interactions, seed: int) -> np.ndarray:
    """Of each user, (U,); NaN of those with nothing to be found."""
    scorer = model.fit(train, rng=derive_rng(seed, "fit"))
    return np.asarray(judge(scorer, matrix_of(train), matrix_of(test), K)[0][f"ndcg@{K}"])


def _interval(mine: np.ndarray, other: np.ndarray, seed: int) -> tuple[Any, ...]:
    return tuple(paired_bootstrap(mine, other, rng=derive_rng(seed, "bootstrap")))


def _world(name: str) -> Interactions:
    """Everybody and everything, each pair once; items with fewer than five events are left out."""
    coded = load_events(name).coded("event")
    _, first = np.unique(coded.users.astype(np.int64) * len(coded.item_ids) + coded.items, return_index=True)
    items = coded.items[first]
    often = np.bincount(items)[items] >= LEAST
    users, people = np.unique(coded.users[first][often], return_inverse=True)
    kept, columns = np.unique(items[often], return_inverse=True)
    ones = np.ones(len(people))
    return Interactions(people, columns, ones, np.full(len(people), np.nan), len(users), len(kept))


if __name__ == "__main__":
    main("implicit_belief", run, seeds=1, sets=SETS)
