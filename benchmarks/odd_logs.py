"""What odd rows do to lists: bots, and a wrong clock.

The one list is fitted on a log and on the same log with odd rows in its training part, and judged on the same people,
who are new, after n events (:mod:`palate.evaluation.newcomers`). ``bots``: ten users with 100,000 events each, on items
drawn at random, which is every item. ``clock``: one of the events is dated 2100. ``clock_as_claimed``: the same where a
fit takes that time as it is. Intervals are over people, paired.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

from benchmarks._data import main
from benchmarks._sequences import load_events
from palate.datasets.samples import news_sample
from palate.evaluation.baselines import Interactions
from palate.evaluation.intervals import bootstrap_mean, paired_bootstrap
from palate.evaluation.newcomers import NDCG, STAGES, figures, newcomers, scores_of
from palate.evaluation.palate_ranker import Palate
from palate.random import derive_rng
from palate.ranking import held_back

SETS = ("news-sample",)
BOTS, EVENTS = 10, 100_000
WRONG = 4_102_444_800.0  # 2100


def run(seeds: int, names: Sequence[str]) -> dict[str, Any]:
    """One row a set and seed; a seed draws people, bots, and whatever is drawn in a fit."""
    return {"rows": [row(name, seed) for name in names for seed in range(seeds)]}


def row(name: str, seed: int) -> dict[str, Any]:
    data = news_sample(rng=derive_rng(seed, "sample")) if name == "news-sample" else load_events(name)
    people = newcomers(data, rng=derive_rng(seed, "outer"))
    print(name, seed, len(people.items), file=sys.stderr)
    logs = {"as it is": people.train, "bots": with_bots(people.train, seed), "clock": with_clock(people.train, seed)}
    lists = {kind: Palate().fit(log, rng=derive_rng(seed, "palate")) for kind, log in logs.items()}
    with mock.patch.object(held_back, "not_ahead", lambda times: times):
        lists["clock_as_claimed"] = Palate().fit(logs["clock"], rng=derive_rng(seed, "palate"))
    stages = {}
    for n in people.stages(STAGES):
        found = {kind: figures(scores_of(each), people, n)[NDCG] for kind, each in lists.items()}
        rng, plain = derive_rng(0, "bootstrap"), found.pop("as it is")
        stages[str(n)] = {
            "people": len(plain),
            NDCG: bootstrap_mean(plain, rng=rng, within=(0.0, 1.0)).as_dict(),
            **{f"{kind}_minus": paired_bootstrap(each, plain, rng=rng).as_dict() for kind, each in found.items()},
        }
    return {"set": name, "seed": seed, "stages": stages}


def with_bots(train: Interactions, seed: int) -> Interactions:
    """With users more, who act all through the log."""
    rng = derive_rng(seed, "bots")
    users = train.n_users + np.repeat(np.arange(BOTS), EVENTS)
    ends = np.nanquantile(train.timestamps, (0.0, 1.0))
    return replace(
        train,
        users=np.append(train.users, users),
        items=np.append(train.items, rng.integers(0, train.n_items, len(users))),
        values=np.append(train.values, np.ones(len(users))),
        timestamps=np.append(train.timestamps, rng.uniform(*ends, len(users))),
        n_users=train.n_users + BOTS,
    )


def with_clock(train: Interactions, seed: int) -> Interactions:
    """With one time that is wrong."""
    times = train.timestamps.copy()
    times[derive_rng(seed, "clock").integers(len(times))] = WRONG
    return replace(train, timestamps=times)


if __name__ == "__main__":
    main("odd_logs", run, seeds=1, sets=SETS)
