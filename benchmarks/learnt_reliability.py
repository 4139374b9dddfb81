"""Somebody cheap stands in for users, and nobody knows how reliably: what is learnt beside what was typed.

A planted world. Newcomers may be asked (3.65 a rating), or an annotator who guesses what they would say (1), whose
noise is σ² / ρ; a budget for each newcomer. ``decide`` spends it. The reliability is typed as it is, half of it, or one
and a half of it; or it is learnt from gold, which the budgets of the same newcomers pay for. The error is of what is
expected of all items, against the taste that made the ratings; lower is better.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import polars as pl

from benchmarks._data import main
from palate import Learner, rate
from palate.acquisition.oracle_choice import Action
from palate.costs import Budget, Price
from palate.datasets import planted_world
from palate.datasets.planted import NOISE
from palate.entities import USER, Answer, AnswerKind
from palate.evaluation.intervals import paired_bootstrap
from palate.oracles.source_reliability import GOLD, Gold, Reliabilities
from palate.random import derive_rng
from palate.records import Calibration

USERS, ITEMS, NEW, BUDGET = 200, 50, 12, 30.0
ASKED, GUESSED = 3.65, 1.0
RELIABILITIES = (0.5, 0.1)
TYPED = {"typed as it is": 1.0, "typed half": 0.5, "typed one and a half": 1.5}
LEARNT = "learnt"


class World:
    """Newcomers, and what they and the annotator say."""

    def __init__(self, seed: int, rho: float) -> None:
        world = planted_world(users=USERS, items=ITEMS, rng=derive_rng(seed, "world"))
        names, expected = sorted(world.dataset.interactions[USER].unique()), world.expected()
        self.users, self.items = names[-NEW:], world.item_ids
        self.expected = dict(zip(self.users, expected[-NEW:], strict=True))
        data = world.dataset.interactions.filter(~pl.col(USER).is_in(self.users))
        self.learner = Learner.fit(
            replace(world.dataset, interactions=data), encoder="none", likelihood="gaussian", seed=seed
        )
        rng = derive_rng(seed, "answers", str(rho))
        self.own, self.guessed = (
            {user: np.clip(np.rint(self.expected[user] + sd * rng.normal(size=ITEMS)), 1.0, 5.0) for user in self.users}
            for sd in (NOISE, NOISE / np.sqrt(rho))
        )

    def said(self, table: dict[str, Any], user: str, item: str) -> float:
        return float(table[user][list(self.items).index(item)])

    def error(self, learner: Learner, user: str) -> float:
        """Mean squared error of what is expected of all items."""
        model = learner.model
        places = model.catalogue.positions(self.items)
        belief = learner.state(user).belief
        found = model.taste.items.level[places] + model.taste.items.factors[places] @ belief.mean
        return float(((found - self.expected[user]) ** 2).mean())


def typed(world: World, rho: float, seed: int) -> list[float]:
    """By newcomer, the error after the budget is spent at a reliability that somebody typed."""
    prices = {Action.USER: Price(ASKED), Action.ANNOTATOR: Price(GUESSED, min(rho, 1.0))}
    learner, rng = world.learner, derive_rng(seed, "play")
    for user in world.users:
        left = BUDGET
        while (step := learner.decide(user, prices, budget=Budget(left), rng=rng)).question is not None:
            table = world.own if step.action is Action.USER else world.guessed
            value = world.said(table, user, step.question.item_id)
            learner, left = learner.tell(step.question.answer(value, source=step.source)), left - step.cost
    return [world.error(learner, user) for user in world.users]


def learnt(world: World, seed: int) -> tuple[list[float], float]:
    """The same with a reliability that gold says; and what that came to."""
    learner, rng = world.learner, derive_rng(seed, "play")
    found = Reliabilities({"taste": float(np.median(learner.model.taste.items.noise))})
    prices = {Action.USER: Price(ASKED), Action.ANNOTATOR: Price(GUESSED)}
    calibrations = [Calibration("bob", 0.0)]
    numbers = count()
    for user in world.users:
        left = BUDGET
        learner = replace(learner, memory=learner.memory.calibrated(calibrations))
        while True:
            believed = found.of("bob")
            step = learner.decide(user, prices, learnt={Action.ANNOTATOR: believed}, budget=Budget(left), rng=rng)
            if step.question is None:
                break
            item, left = step.question.item_id, left - step.cost
            if step.action is not Action.USER:
                value = world.said(world.guessed, user, item)
                learner = learner.tell(rate(user, item, value, source="bob", key=f"b{next(numbers)}"))
                continue
            own = world.said(world.own, user, item)
            learner = learner.tell(step.question.answer(own))
            chance = found.gold_chance("bob")
            if left >= GUESSED and rng.random() < chance:
                left -= GUESSED
                value = world.said(world.guessed, user, item)
                gold = Answer(user, item, AnswerKind.RATING, value, "bob", chance, f"g{next(numbers)}", GOLD)
                learner, found = learner.tell(gold), found.told(Gold("bob", value, own, chance))
        calibrations.append(found.of("bob").calibration())
    final = replace(learner, memory=learner.memory.calibrated(calibrations))
    return [world.error(final, user) for user in world.users], found.of("bob").middle


def run(seeds: int) -> dict[str, Any]:
    rows = []
    for rho in RELIABILITIES:
        errors: dict[str, list[float]] = {name: [] for name in (LEARNT, *TYPED)}
        believed = []
        for seed in range(seeds):
            world = World(seed, rho)
            found, middle = learnt(world, seed)
            errors[LEARNT].append(float(np.mean(found)))
            believed.append(middle)
            for name, factor in TYPED.items():
                errors[name].append(float(np.mean(typed(world, factor * rho, seed))))
        table = {name: np.sqrt(found) for name, found in errors.items()}
        rows.append(
            {
                "reliability": rho,
                "believed_in_the_end": float(np.median(believed)),
                "rmse": {name: float(found.mean()) for name, found in table.items()},
                "learnt_minus": {
                    name: paired_bootstrap(table[LEARNT], table[name], rng=derive_rng(0, "bootstrap")).as_dict()
                    for name in TYPED
                },
            }
        )
    return {"newcomers": NEW, "budget": BUDGET, "prices": {"user": ASKED, "annotator": GUESSED}, "rows": rows}


if __name__ == "__main__":
    main("learnt_reliability", run, seeds=10)
