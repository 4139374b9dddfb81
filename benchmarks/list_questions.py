"""What a question is worth for the list: every strategy is judged by the ten items that are shown after it.

New users, open pool, as :func:`palate.evaluation.play.play` has it: the catalogue is halved for each of them anew with
every seed, questions are asked about one half and the list is made of the other, by P(know) P(like). NDCG@10 and
recall@20 of what they like there, over the users who like anything there; all differences are paired by person.

``chosen`` plays the same among users held back inside the part that the models are fitted on, a quarter of whom is new
in turn, and names the way to ask whose NDCG@10 less that of questions about popular items is largest, in the mean over
the sets and over 2, 5, 10 and 20 questions. The weight of the second part of ``list-value`` was not found so: 0.5 is
between values tried on inner splits of MovieLens-100K, Coat and one Polis conversation (docs/lab-notes.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks._data import load
from palate import Dataset
from palate.acquisition import DEFAULT, get_strategy
from palate.datasets.splits import new_users
from palate.evaluation.intervals import by_person, ratio_interval
from palate.evaluation.play import Played, play
from palate.evaluation.shown_list import FOUND, LIST
from palate.evaluation.world import World, users_world
from palate.random import derive_rng

SETS = {  # how many users of each, drawn anew for each seed, and how many seeds at most
    "movielens-100k": (2000, 20),
    "movielens-latest-small": (2000, 5),
    "goodbooks": (1000, 3),
    "jester": (1000, 10),
    "coat": (2000, 10),
    "polis/american-assembly.bowling-green": (1000, 5),
    "polis/canadian-electoral-reform": (2000, 10),
    "polis/brexit-consensus": (2000, 10),
}
WAYS = {  # strategy and targets
    "random": ("random", "known"),
    "popularity": ("popularity", "known"),
    "entropy0": ("entropy0", "known"),
    "bald": ("bald", "known"),
    "lookahead": ("lookahead", "known"),
    "lookahead, targets slate": ("lookahead", "slate"),
    "list-value": ("list-value", "known"),
}
RIVALS = ("random", "popularity", "lookahead")
STAGES = (0, 1, 2, 3, 5, 10, 15, 20)
DECIDING = (2, 5, 10, 20)
BUDGET = STAGES[-1]
Array = np.ndarray


def run(sets: Sequence[str], seeds: int, ways: Sequence[str], chosen: int) -> dict[str, Any]:
    with threadpool_limits(limits=1):
        rows = [_row(name, seeds, ways) for name in sets]
        inside = [_row(name, chosen, ways, inside=True) for name in sets] if chosen else []
    found = {"default": DEFAULT, "stages": STAGES, "rows": rows}
    return found | ({"chosen": {"seeds": chosen, "rows": inside, "gains": _gains(inside)}} if chosen else {})


def _row(name: str, seeds: int, ways: Sequence[str], *, inside: bool = False) -> dict[str, Any]:
    """One set: curves of every way at the stages, and differences."""
    data, played, people = load(name), {way: [] for way in ways}, []
    most_users, most_seeds = SETS[name]
    seeds = min(seeds, most_seeds)
    for seed in range(seeds):
        world = _world(data, seed, most_users, inside)
        people.append(world.subjects)
        for way in ways:
            strategy, targets = WAYS[way]
            rng = derive_rng(seed, "play", way)
            played[way].append(
                play(world, get_strategy(strategy), pool="open", budget=BUDGET, targets=targets, rng=rng)
            )
            _say(f"{name} seed {seed}{' inside' if inside else ''}: {way}")
    tables = {way: _Table.of(runs, people) for way, runs in played.items()}
    stages = [stage for stage in STAGES if stage < tables[ways[0]].sums[LIST].shape[1]]
    found = {
        way: table.figures(stages, {rival: tables[rival] for rival in RIVALS if rival != way})
        for way, table in tables.items()
    }
    judged = int((tables[ways[0]].weights[LIST] > 0).sum())
    return {
        "set": name,
        "seeds": seeds,
        "users": judged,
        "stages": stages,
        "ways": found,
        "two_against_twenty_random": _early(tables),
    }


def _world(data: Dataset, seed: int, max_users: int, inside: bool) -> World:
    if inside:
        data = new_users(data, share=0.25, rng=derive_rng(seed, "inside")).train
    return users_world(data, encoder="none", seed=seed, max_users=max_users)


class _Table:
    """Sums over the seeds of what each person took part in."""

    def __init__(self, sums: dict[str, Array], weights: dict[str, Array], answered: Array, plays: Array) -> None:
        self.sums, self.weights, self.answered, self.plays = sums, weights, answered, plays

    @classmethod
    def of(cls, runs: Sequence[Played], people: Sequence[Sequence[str]]) -> _Table:
        shortest = min(run.answered.shape[1] for run in runs)

        def gather(tables: Sequence[Array]) -> Array:
            return by_person([table[:, :shortest] if table.ndim == 2 else table for table in tables], people)

        names = [name for name in (LIST, FOUND, "rmse") if name in runs[0].sums]
        sums = {
            name: gather([run.sums[name] * (1.0 if name == "rmse" else run.weights[name][:, None]) for run in runs])
            for name in names
        }
        weights = {name: gather([run.weights[name] for run in runs]) for name in names}
        return cls(sums, weights, gather([run.answered for run in runs]), gather([run.plays for run in runs]))

    def figures(self, stages: Sequence[int], rivals: dict[str, _Table]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "answered": [round(float(self.answered[:, k].sum() / self.plays.sum()), 2) for k in stages]
        }
        for name, sums in self.sums.items():
            root = np.sqrt if name == "rmse" else np.asarray
            found[name] = _interval([sums[:, stages], self.weights[name]], lambda s, w, root=root: root(s / w[:, None]))
        for rival, other in rivals.items():
            tables = [self.sums[LIST][:, stages], other.sums[LIST][:, stages], self.weights[LIST]]
            found[f"minus {rival}"] = _interval(tables, lambda a, b, w: (a - b) / w[:, None])
        return found


def _early(tables: dict[str, _Table]) -> dict[str, Any] | None:
    """NDCG@10 after two questions of the default, less that after all of random."""
    ours, random = tables.get(DEFAULT), tables.get("random")
    if ours is None or random is None:
        return None
    early, late = ours.sums[LIST][:, [2]], random.sums[LIST][:, [-1]]
    return _interval([early, late, ours.weights[LIST]], lambda a, b, w: (a - b) / w[:, None])


def _interval(tables: Sequence[Array], statistic: Any) -> dict[str, list[float]]:
    found = ratio_interval(tables, statistic, rng=derive_rng(0, "bootstrap")).as_dict()
    return {end: [round(value, 5) for value in values] for end, values in found.items()}


def _gains(rows: list[dict[str, Any]]) -> dict[str, float]:
    """By way, the mean over sets and deciding stages of NDCG@10 less that of questions about popular items."""

    def gain(row: dict[str, Any], way: str) -> float:
        curve, base = (row["ways"][one][LIST]["mean"] for one in (way, "popularity"))
        return float(np.mean([curve[place] - base[place] for place, k in enumerate(row["stages"]) if k in DECIDING]))

    return {way: round(float(np.mean([gain(row, way) for row in rows])), 5) for way in rows[0]["ways"]}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.list_questions")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--sets", default=",".join(SETS), metavar="A,B", help="which data sets; all if not given")
    parser.add_argument("--ways", default=";".join(WAYS), metavar="A;B", help="which ways to ask; all if not given")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--chosen", type=int, default=0, help="seeds on users held back inside the training part; 0: none"
    )
    options = parser.parse_args()
    sets, ways = options.sets.split(","), options.ways.split(";")
    command = f"python -m benchmarks.list_questions --json --sets {options.sets} --seeds {options.seeds}"
    command += f" --chosen {options.chosen}" if options.chosen else ""
    document = {
        "command": command,
        "seeds": list(range(options.seeds)),
        **run(sets, options.seeds, ways, options.chosen),
    }
    json.dump(document, sys.stdout, indent=None if options.json else 1, allow_nan=False)
    print()


if __name__ == "__main__":
    main()
