"""PR-07: lists that are served do not tell who took part in a private line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.list_membership import LINES, LIST, Fit, World, attack, first_items
from palate import Learner, rate
from palate.datasets import planted_world

PRIVATE = LINES["devices, epsilon 1"]


@pytest.fixture(scope="module")
def world() -> World:
    """Of half of the ratings, so that everybody has enough left to be listed."""
    data = planted_world(users=600, items=200, rng=np.random.default_rng(0)).dataset
    return World.of(replace(data, interactions=data.interactions.sample(fraction=0.5, seed=0)))


def test_PR_07_lists_that_tell_who_was_in_are_seen_through_and_private_ones_are_not(world: World) -> None:
    popular = np.argsort(-np.bincount(np.concatenate([items for items, _ in world.told.values()])), kind="stable")

    def telling(world: World, members: set[str]) -> Fit:
        """Of the same line; strangers get what is popular."""
        fit = PRIVATE(world, members)

        def list_of(user: str) -> np.ndarray:
            return fit.list_of(user) if user in members else popular[~np.isin(popular, world.told[user][0])][:LIST]

        return replace(fit, list_of=list_of)

    assert attack(world, telling, targets=2)["told all"]["all features"]["mean"] >= 0.9
    assert attack(world, PRIVATE, targets=2)["told all"]["all features"]["mean"] <= 0.57  # .55 and its spread


def test_the_list_attacked_is_the_one_served() -> None:
    world = World.of(planted_world(users=60, items=40, rng=np.random.default_rng(0)).dataset)
    learner = Learner.fit(world.data, encoder="none", likelihood="gaussian", seed=0)
    after = learner.tell([rate("new", world.ids[3], 5), rate("new", world.ids[7], 1)])
    for served, user in ((learner, next(iter(world.told))), (after, "new")):
        assert [world.ids[item] for item in first_items(served, user)] == [
            one.item_id for one in served.recommend(user, LIST)
        ]
