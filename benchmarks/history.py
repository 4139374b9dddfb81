"""New people, by how much is known of them: lists after 0, 1, 3, 10 and 30 of the things they did.

Cut in time: everything is fitted on what was before; tested is who has nothing before, by what they did after the first
n, over all items with at least five people before the cut (the 3,000 most met, if more). Without times a fifth of the
people are drawn and what they did is put in an order drawn. What is in the history is left out of the list.

Rivals are popularity, recent popularity, item-kNN, EASE and iALS; of each the setting with the best NDCG@10 at that n,
by the same protocol inside the training part. The best of them *on the people tested* is the rival, which favours the
rivals. Palate's list chooses everything in its own fit, and gets no text. Intervals are over people, paired.
``chance`` is the sum of the chances stated for the first ten places, beside the share of people whose next item was
among them: equal if the chances are calibrated.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._data import main
from benchmarks._newcomers import GRIDS, STAGES, newcomers
from benchmarks._sequences import load_events
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.newcomers import Figures, K, Newcomers, figures, scores_of, tuned
from palate.evaluation.palate_ranker import Lists, Palate
from palate.random import derive_rng
from palate.ranking.histories import Histories

SETS = (
    "movielens-100k",
    "movielens-latest-small",
    "movietweetings",
    "online-retail",
    "kuairand-pure-cut",
    "lastfm-hetrec",
    "steam-play",
    "goodbooks",
    "deezer-ro",
)
METRICS = ("ndcg@10", "recall@20")
INSIDE, OUTSIDE = 600, 3000  # people at most


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed; a seed draws people, and whatever is drawn in a fit."""
    return {"rows": [row(name, seed) for name in names for seed in range(seeds)]}


def row(name: str, seed: int) -> dict[str, Any]:
    """One set."""
    data = load_events(name)
    outer = newcomers(data, rng=derive_rng(seed, "outer"), most=OUTSIDE)
    inner = newcomers(outer.before, rng=derive_rng(seed, "inner"), most=INSIDE)
    print(name, seed, f"{len(outer.items)} people, {outer.train.n_items} items", file=sys.stderr)
    began = time.perf_counter()
    fitted = Palate().fit(outer.train, rng=derive_rng(seed, "palate"))
    ours = scores_of(fitted)
    seconds = time.perf_counter() - began
    rivals = tuned(inner, outer, GRIDS, stages=STAGES, progress=_say)
    return {
        "set": name,
        "seed": seed,
        "dated": outer.dated,
        "trained_on": len(np.unique(outer.train.users)),
        "items": int(outer.train.n_items),
        "fit_seconds": round(seconds, 1),
        "stages": {
            str(n): stage(figures(ours, outer, n), {name: each for name, (_, each) in found.items()})
            | {
                "chance": chances(fitted, outer, n),
                "settings": {
                    name: [str(value) if value == float("inf") else value for value in setting]
                    for name, (setting, _) in found.items()
                },
            }
            for n, found in rivals.items()
        },
    }


def chances(fitted: Lists, people: Newcomers, n: int) -> dict[str, Any]:
    """What was stated of the first ten places, and whether the next item was there, over people."""
    said, found = [], []
    for items in people.at(n):
        scores = fitted.of_new(Histories.of([items[:n]], people.train.n_items))[0]
        scores[items[:n]] = -np.inf
        first = np.argsort(-scores, kind="stable")[:K]
        said.append(float(fitted.model.chance(scores, n)[first].sum()))
        found.append(float(items[n] in first))
    hits = bootstrap_mean(np.array(found), rng=derive_rng(0, "bootstrap"), within=(0.0, 1.0))
    return {"said": round(float(np.mean(said)), 5), "found": hits.as_dict()}


def _say(name: str) -> None:
    print("  inside:", name, file=sys.stderr)


def stage(ours: Figures, rivals: dict[str, Figures]) -> dict[str, Any]:
    """Means with intervals, the best rival by each metric on these people, and palate less it."""
    shown: dict[str, Any] = {"people": len(ours[METRICS[0]])}
    for metric in METRICS:
        means = {name: float(np.mean(found[metric])) for name, found in rivals.items()}
        best = max(means, key=lambda name: means[name])
        rng = derive_rng(0, "bootstrap")
        shown[metric] = {
            "palate": bootstrap_mean(ours[metric], rng=rng, within=(0.0, 1.0)).as_dict(),
            **{name: round(mean, 5) for name, mean in means.items()},
            "best_rival": best,
            "palate_minus_best": paired_bootstrap(
                ours[metric], rivals[best][metric], rng=derive_rng(0, "bootstrap")
            ).as_dict(),
        }
    return shown


if __name__ == "__main__":
    main("history", run, seeds=1, sets=SETS)
