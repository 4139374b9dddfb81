"""Annotators who go bad: after how many of their labels they are flagged, and how often good ones are.

A generated campaign about an attribute: 20 annotators, 4 options, 5 votes an item, one in four questions of a known
answer, a tenth of the items hard. From label 40 on two of them give another option than the one they see; two others
have agreed beforehand on what to say of each item; one answers at random in 200 ms. ``false`` are flags of the others,
looked at after every ten labels of each.

Then a planted world: new users of whom annotators say in their place what they like, a tenth of the annotators upside
down; the error of what is expected of these users, with those answers counting in whole and counting nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import beta

from benchmarks._data import main
from palate import Learner, rate
from palate.datasets import planted_world
from palate.entities import USER
from palate.evaluation.intervals import bootstrap_mean
from palate.oracles.reliability import Vote, judged
from palate.records import Calibration

ANNOTATORS, OPTIONS, ITEMS, OVERLAP, GOLD, LABELS, TURN = 20, 4, 400, 5, 0.25, 120, 40
HARD, CORRECT = 0.1, (0.75, 0.95)
WITHIN = 50
USERS, NEW, PLANTED_ITEMS, EACH, TURNED = 240, 40, 60, 12, ("a00", "a01")


class Made(NamedTuple):
    """A campaign, and who in it is bad.

    Attributes:
        votes: In order.
        turned, colluding, quick: Names.
        pushes: Whether those who collude agreed on false answers; otherwise on any.
    """

    votes: list[Vote]
    turned: list[str]
    colluding: list[str]
    quick: list[str]

    @property
    def bad(self) -> dict[str, str]:
        kinds = {"turned": self.turned, "colluding": self.colluding, "quick": self.quick}
        return {name: kind for kind, names in kinds.items() for name in names}


def made(rng: np.random.Generator, *, bad: bool = True, pushes: bool = False, options: int = OPTIONS) -> Made:
    """Labels in rounds, one an annotator; items that others have voted on come first.

    Args:
        bad: Whether there are bad ones.
        pushes: Whether those who collude agreed on false answers, and not on any.
    """
    names = [f"a{number:02d}" for number in range(ANNOTATORS)]
    drawn = [names[place] for place in rng.permutation(ANNOTATORS)]
    turned, colluding, quick = (drawn[:2], drawn[2:4], drawn[4:5]) if bad else ([], [], [])
    skill = {name: rng.uniform(*CORRECT) for name in names}
    truth = rng.choice(options, ITEMS, p=rng.dirichlet([2.0] * options))
    agreed = (truth + rng.integers(1, options, ITEMS)) % options if pushes else rng.integers(0, options, ITEMS)
    hard, gold = rng.random(ITEMS) < HARD, rng.random(ITEMS) < GOLD
    counts, free = np.zeros(ITEMS, int), {name: np.ones(ITEMS, bool) for name in names}
    votes: list[Vote] = []
    for number in range(LABELS):
        for name in rng.permutation(names).tolist():
            item = _next(rng, free[name], gold, counts)
            if item is None:
                continue
            free[name][item] = False
            counts[item] += 1
            right = rng.random() < (1.0 / options if hard[item] else skill[name])
            value = truth[item] if right else (truth[item] + rng.integers(1, options)) % options
            seconds = float(np.exp(rng.normal(1.2, 0.5)))
            if name in turned and number >= TURN:
                value = (value + 1) % options
            elif name in colluding:
                value = agreed[item]
            elif name in quick:
                value, seconds = rng.integers(options), 0.2
            known = float(truth[item]) if gold[item] else None
            votes.append(Vote(name, f"i{item}", float(value), seconds, known))
    return Made(votes, turned, colluding, quick)


def _next(rng: np.random.Generator, free: Any, gold: Any, counts: Any) -> int | None:
    known, open_ = np.flatnonzero(free & gold), np.flatnonzero(free & ~gold & (counts < OVERLAP))
    begun = open_[counts[open_] > 0]
    for some in (known if rng.random() < GOLD else known[:0], begun if rng.random() < 0.7 else open_, open_, known):
        if len(some):
            return int(rng.choice(some))
    return None


def flagged(of: Made, step: int = 10) -> dict[str, tuple[int, tuple[str, ...]]]:
    """After how many labels of each a source was flagged first, and by what; looked at after every ``step`` of each."""
    count: dict[str, int] = defaultdict(int)
    places = []
    for vote in of.votes:
        count[vote.source] += 1
        places.append(count[vote.source])
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    for at in range(step, LABELS + 1, step):
        seen = [vote for vote, place in zip(of.votes, places, strict=True) if place <= at]
        for one in judged(seen):
            if one.flags and one.source not in found:
                found[one.source] = (at, one.flags)
    return found


def _rate(n: int, of: int) -> dict[str, float]:
    """A share with its 95 % interval (Clopper and Pearson)."""
    low, high = (beta.ppf(0.025, n, of - n + 1) if n else 0.0), (beta.ppf(0.975, n + 1, of - n) if n < of else 1.0)
    return {"share": n / of, "low": float(low), "high": float(high), "of": of}


def of_flags(seeds: int) -> dict[str, Any]:
    """After how many of their labels bad ones are flagged, and how many good ones are."""
    after: dict[str, list[int]] = defaultdict(list)
    false, honest = 0, 0
    for seed in range(seeds):
        for pushes in (False, True):
            of = made(np.random.default_rng((seed, pushes)), pushes=pushes)
            found = flagged(of)
            for source, kind in of.bad.items():
                if kind == "colluding" or not pushes:
                    name = "agreed on false answers" if pushes else "agreed on any answers"
                    first = found.get(source, (10**6, ()))[0] - (TURN if kind == "turned" else 0)
                    after[name if kind == "colluding" else kind].append(first)
            false += len(set(found) - set(of.bad))
            honest += ANNOTATORS - len(of.bad)
    none = sum(len(flagged(made(np.random.default_rng((seed, 2)), bad=False))) for seed in range(seeds))
    return {
        "flagged": {
            kind: {"within": _rate(sum(one <= WITHIN for one in found), len(found)), "median": float(np.median(found))}
            for kind, found in sorted(after.items())
        },
        "false": _rate(false, honest),
        "false where nobody is bad": _rate(none, ANNOTATORS * seeds),
    }


def of_lists(seeds: int) -> dict[str, Any]:
    """Error of what is expected of new users who were labelled by annotators, a tenth of whom turn answers around."""
    rows = []
    for seed in range(seeds):
        world = planted_world(users=USERS, items=PLANTED_ITEMS, rng=np.random.default_rng(seed))
        names, expected = sorted(world.dataset.interactions[USER].unique()), world.expected()
        new, rng = names[-NEW:], np.random.default_rng((seed, 3))
        data = replace(world.dataset, interactions=world.dataset.interactions.filter(~pl.col(USER).is_in(new)))
        learner = Learner.fit(data, encoder="none", likelihood="gaussian", seed=seed)
        told = {"nobody turns": [], "a tenth turns": []}
        for user in new:
            for item in rng.permutation(PLANTED_ITEMS)[:EACH]:
                source, said = f"a{rng.integers(ANNOTATORS):02d}", expected[names.index(user), item] + rng.normal() / 2
                for arm, answers in told.items():
                    turned = arm != "nobody turns" and source in TURNED
                    value = float(np.clip(np.rint(6.0 - said if turned else said), 1.0, 5.0))
                    answers.append(rate(user, world.item_ids[item], value, source=source))
        after = {arm: learner.tell(answers).memory for arm, answers in told.items()}
        after["a tenth turns and counts nothing"] = after["a tenth turns"].calibrated(
            Calibration(source, 0.0) for source in TURNED
        )
        rows.append([_error(memory, new, expected[-NEW:], world.item_ids) for memory in after.values()])
    errors, first = np.array(rows), list(after)
    rng = np.random.default_rng(0)
    found = {name: _interval(errors[:, place], rng) for place, name in enumerate(first)}
    return found | {"with weights minus without": _interval(errors[:, 2] - errors[:, 1], rng)}


def _error(memory: Any, users: list[str], expected: Any, item_ids: Any) -> float:
    places = memory.fitted.catalogue.positions(item_ids)
    found = []
    for user in users:
        belief, items = memory.state(user).belief, memory.model.taste.items
        found.append(items.level[places] + items.factors[places] @ belief.mean)
    return float(np.sqrt(np.mean((np.array(found) - expected) ** 2)))


def _interval(values: Any, rng: np.random.Generator) -> dict[str, float]:
    mean, low, high = bootstrap_mean(values, rng=rng)
    return {"mean": float(mean), "low": float(low), "high": float(high)}


def run(seeds: int) -> dict[str, Any]:
    return {"labels": LABELS, "within": WITHIN, **of_flags(seeds), "rmse of new users": of_lists(seeds)}


if __name__ == "__main__":
    main("label_quality", run, seeds=40)
