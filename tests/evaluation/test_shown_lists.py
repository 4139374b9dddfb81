"""What a log of lists that were drawn says of another policy is what that policy earns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from palate import Answer, Learner, slate
from palate.datasets import planted_world
from palate.datasets.planted import PlantedWorld
from palate.errors import DataError
from palate.evaluation.off_policy import estimate
from palate.evaluation.shown_lists import shown_lists

PLACES, READERS = 2, 250
SHOWN_AT, OTHER = 2.0, 0.7  # temperatures


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_world(users=80, items=24, rng=np.random.default_rng(2))


@pytest.fixture(scope="module")
def learner(world: PlantedWorld) -> Learner:
    return Learner.fit(world.dataset, encoder="none", likelihood="gaussian")


def chances(world: PlantedWorld) -> dict[str, float]:
    """How often somebody new clicks each item."""
    return dict(zip(world.item_ids, 1.0 / (1.0 + np.exp(-3.0 * world.levels)), strict=True))


def shown(learner: Learner, world: PlantedWorld, *, explore: float, rng: np.random.Generator) -> list[Answer]:
    """One list to each of many new users, and what they click."""
    click, found = chances(world), []
    for reader in range(READERS):
        listed = learner.recommend(f"r{reader}", PLACES, explore=explore, rng=rng)
        ids = [one.item_id for one in listed]
        clicked = [item for item in ids if rng.random() < click[item]]
        chance = math.prod(one.propensity for one in listed)
        found.append(slate(f"r{reader}", ids, clicked, key=f"k{reader}", propensity=chance))
    return found


def test_the_value_of_another_temperature_is_estimated(world: PlantedWorld, learner: Learner) -> None:
    rng = np.random.default_rng(0)
    log = learner.tell(shown(learner, world, explore=SHOWN_AT, rng=rng))
    found = estimate(shown_lists(log, explore=OTHER), rng=rng)
    earned = [len(one.tapped) for one in shown(learner, world, explore=OTHER, rng=rng)]
    truth, error = float(np.mean(earned)), 2.0 * float(np.std(earned)) / math.sqrt(READERS)
    assert truth > float(found.shown.mean) + 0.1
    for name, value in found.values.items():
        assert value.low - error < truth < value.high + error, name
    same = estimate(shown_lists(log, explore=SHOWN_AT), rng=rng)
    assert same.effective == pytest.approx(READERS)  # the policy that showed them: every weight is 1
    assert same.values["ips"].mean == pytest.approx(same.shown.mean)


def test_a_list_is_judged_by_what_was_said_before_it(world: PlantedWorld, learner: Learner) -> None:
    (first,) = shown(learner, world, explore=SHOWN_AT, rng=np.random.default_rng(1))[:1]
    before = shown_lists(learner.tell(first), explore=OTHER)
    (question,) = learner.ask(first.user_id)
    after = shown_lists(learner.tell([first, question.answer(5.0)]), explore=OTHER)
    assert before.targets == pytest.approx(after.targets)
    told_first = shown_lists(learner.tell([question.answer(5.0), first]), explore=OTHER)
    assert told_first.targets != pytest.approx(before.targets)


def test_lists_that_were_not_drawn_tell_nothing_of_others(learner: Learner) -> None:
    items = [one.item_id for one in learner.recommend("ann", 2)]
    log = learner.tell([slate("ann", items, key="a"), slate("ann", items, key="b", propensity=1.0)])
    with pytest.raises(DataError, match="0 lists were told with a probability below 1"):
        shown_lists(log, explore=0.5)
