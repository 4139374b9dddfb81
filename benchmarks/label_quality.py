"""Annotators who go bad: after how many of their labels they are flagged, and how often good ones are.

A generated campaign about an attribute: 20 annotators, 4 options, 5 votes an item, one in four questions of a known
answer, a tenth of the items hard. From label 40 on two of them give another option than the one they see; two others
have agreed beforehand on what to say of each item; one answers at random in 200 ms. ``false`` are flags of the others,
looked at after every ten labels of each.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

from palate.oracles.reliability import Vote, judged

ANNOTATORS, OPTIONS, ITEMS, OVERLAP, GOLD, LABELS, TURN = 20, 4, 400, 5, 0.25, 120, 40
HARD, CORRECT = 0.1, (0.75, 0.95)
WITHIN = 50


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    after: dict[str, list[int]] = defaultdict(list)
    false, honest = 0, 0
    for seed in range(given.seeds):
        for name, pushes in (("colluding", False), ("pushing", True)):
            of = made(np.random.default_rng((seed, pushes)), pushes=pushes)
            found = flagged(of)
            for source, kind in of.bad.items():
                if kind != "colluding" and pushes:
                    continue
                start = TURN if kind == "turned" else 0
                first = found.get(source, (10**6, ()))[0] - start
                after[name if kind == "colluding" else kind].append(first)
            false += sum(source not in of.bad for source in found)
            honest += ANNOTATORS - len(of.bad)
    none = [flagged(made(np.random.default_rng((seed, 2)), bad=False)) for seed in range(given.seeds)]
    document = {
        "benchmark": "label_quality",
        "seeds": list(range(given.seeds)),
        "labels": LABELS,
        "within": WITHIN,
        "flagged": {
            kind: _rate(sum(one <= WITHIN for one in found), len(found))
            | {"median": float(np.median(found)), "ninth_tenth": float(np.quantile(found, 0.9))}
            for kind, found in sorted(after.items())
        },
        "false": _rate(false, honest),
        "false_where_none_is_bad": _rate(sum(map(len, none)), ANNOTATORS * given.seeds),
    }
    print(json.dumps(document, indent=None if given.json else 1))


if __name__ == "__main__":
    main()
