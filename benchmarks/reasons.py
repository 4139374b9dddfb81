"""Whether reasons differ, whether they are true, and how many titles the lists of all show together."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._data import load, main
from palate import Learner
from palate.entities import Answer, AnswerKind, Form
from palate.evaluation.intervals import bootstrap_mean
from palate.loop.list_scores import list_scores
from palate.loop.lists import expectations
from palate.loop.memory import Memory
from palate.loop.reasons.of_list import reasons_for
from palate.loop.reasons.reason import Kind, Reason
from palate.ranking.experts.content import NEW_ITEMS
from palate.ranking.list_model import LEVELS

SETS = ("goodbooks", "movielens-100k", "movielens-latest-small")
PEOPLE, K, FEW = 200, 10, 5
STRANGERS, KNOWN = 50, 60


def run(seeds: int, sets: Sequence[str] = SETS) -> dict[str, Any]:
    """A row a set and seed: lists of ten for people of the data."""
    return {"people": PEOPLE, "rows": [_row(name, seed) for name in sets for seed in range(seeds)]}


def _row(name: str, seed: int) -> dict[str, Any]:
    learner = Learner.fit(load(name), seed=seed)
    users = np.random.default_rng(seed).choice(learner.model.user_ids, PEOPLE, replace=False).tolist()
    titles, before, kinds, different, named = set[int](), set[int](), Counter[str](), list[int](), list[float]()
    for user in users:
        shown, reasons = _list(learner, user)
        titles |= set(shown)
        before |= set(_by_rating(learner, user))
        kinds.update(reason.kind.value for reason in reasons)
        different.append(len({reason.text() for reason in reasons}))
        named += _shares(learner.memory, user, shown, reasons)
    print(name, seed, len(titles), file=sys.stderr)
    is_few = (np.array(different) < FEW).astype(float)
    few = bootstrap_mean(is_few, rng=np.random.default_rng(seed), within=(0.0, 1.0))
    return {
        "set": name,
        "seed": seed,
        "items": len(learner.model.catalogue),
        "titles": len(titles),
        "titles_by_rating": len(before),
        "different": float(np.mean(different)),
        "few": {name: float(value) for name, value in few._asdict().items()},
        "kinds": {kind.value: kinds[kind.value] / sum(kinds.values()) for kind in Kind if kinds[kind.value]},
        "own_after_answers": _after_answers(learner, np.random.default_rng(seed)),
        "named": len(named),
        "named_is_most": float(np.mean(np.array(named) >= 1.0)) if named else None,
        "least_share": float(min(named)) if named else None,
    }


def _list(learner: Learner, user: str) -> tuple[list[int], list[Reason]]:
    position = learner.model.catalogue.position
    shown = [position(one.item_id) for one in learner.recommend(user, K)]
    scores = list_scores(learner.memory, user)
    return shown, reasons_for(learner.memory, user, scores, np.array(shown, dtype=np.intp))


def _after_answers(learner: Learner, rng: np.random.Generator) -> float:
    """Share of reasons that speak of what somebody answered who answered no more than a pair and a group, drawn among
    the items best known, and a concept where there are any.
    """
    model, found = learner.model, list[bool]()
    best = [model.catalogue.ids[item] for item in np.argsort(-model.catalogue.counts, kind="stable")[:KNOWN]]
    for _ in range(STRANGERS):
        first, second, *four = rng.permutation(best)[:6].tolist()
        answers = [
            Answer("stranger", first, AnswerKind.RATING, 1.0, form=Form.PAIR, others=(second,)),
            Answer("stranger", four[0], AnswerKind.RATING, form=Form.GROUP, others=tuple(four[1:]), tapped=(four[0],)),
        ]
        if model.concepts.names:
            said = str(rng.choice(model.concepts.names))
            answers.append(Answer("stranger", said, AnswerKind.RATING, 1.0, form=Form.CONCEPT))
        reasons = _list(learner.tell(answers), "stranger")[1]
        found += [reason.kind in (Kind.ANSWERS, Kind.KNOWN) for reason in reasons]
    return float(np.mean(found))


def _by_rating(learner: Learner, user: str) -> list[int]:
    """The list by the expected answer, which was the list before there was one list."""
    state = learner.state(user)
    score = expectations(learner.model, state)[0].copy()
    score[list(state.asked)] = -np.inf
    return np.argsort(-score, kind="stable")[:K].tolist()


def _shares(memory: Memory, user: str, shown: list[int], reasons: list[Reason]) -> list[float]:
    """Of each reason that names what was met: how far the score falls without that, over the most it falls without any
    single item of the history.
    """
    scores, found = list_scores(memory, user), []
    model = scores.model
    for item, reason in zip(shown, reasons, strict=True):
        terms = {term.name for term in scores.terms} - set(LEVELS)
        if not reason.items or reason.part not in terms or model.list_model is None:
            continue
        if reason.part == NEW_ITEMS and model.new_items is not None:
            parts = np.maximum(model.new_items.shares(scores.history, item), 0.0)
        else:
            parts = np.maximum(model.list_model.shares(reason.part, scores.history, np.array([item]))[:, 0], 0.0)
        told = np.isin(scores.history, model.catalogue.positions(reason.items))
        falls = [parts.sum() - parts[scores.history != one].sum() for one in scores.history]
        found.append(float((parts.sum() - parts[~told].sum()) / max(falls)))
    return found


if __name__ == "__main__":
    main("reasons", run, seeds=1, sets=SETS)
