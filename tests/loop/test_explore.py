"""Lists that are drawn: the order follows Plackett and Luce, and each place says how likely it was filled so."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from palate import Learner
from palate.datasets import planted_world
from palate.errors import OptionError
from palate.loop.explore import drawn, place_chances
from palate.loop.list_scores import list_scores

SCORES = np.array([0.3, -1.0, 1.2, 0.0])


@pytest.fixture(scope="module")
def learner() -> Learner:
    world = planted_world(users=60, items=40, rng=np.random.default_rng(0))
    return Learner.fit(world.dataset, encoder="none")


def of_list(places: tuple[int, ...], temperature: float) -> float:
    return float(place_chances(SCORES, np.array(places), temperature=temperature).prod())


def test_the_chances_of_all_lists_sum_to_one_and_the_first_place_is_a_softmax() -> None:
    assert sum(of_list(one, 0.5) for one in permutations(range(4), 3)) == pytest.approx(1.0)
    first = [of_list((item,), 0.5) for item in range(4)]
    assert first == pytest.approx(np.exp(SCORES / 0.5) / np.exp(SCORES / 0.5).sum())


def test_lists_come_as_often_as_their_chances_say() -> None:
    rng = np.random.default_rng(1)
    lists = [tuple(drawn(SCORES, 2, temperature=0.7, rng=rng).tolist()) for _ in range(5_000)]
    for one in permutations(range(4), 2):
        expected = of_list(one, 0.7)
        assert lists.count(one) / 5_000 == pytest.approx(expected, abs=4 * np.sqrt(expected / 5_000))


def test_without_temperature_only_the_best_list_has_a_chance() -> None:
    assert of_list((2, 0, 3), 0.0) == 1.0
    assert of_list((2, 3, 0), 0.0) == 0.0


def test_a_list_says_with_which_chance_each_place_was_filled(learner: Learner) -> None:
    plain = learner.recommend("ann", 5)
    assert [one.propensity for one in plain] == [1.0] * 5
    shown = learner.recommend("ann", 5, explore=0.4, rng=np.random.default_rng(3))
    assert [one.item_id for one in shown] != [one.item_id for one in plain]
    places = [learner.model.catalogue.position(one.item_id) for one in shown]
    logits = np.exp(list_scores(learner.memory, "ann").total() / 0.4)
    left = logits.sum() - np.cumsum([0.0, *logits[places[:-1]]])
    assert [one.propensity for one in shown] == pytest.approx(logits[places] / left)
    chances = {one.item_id: one.chance for one in learner.recommend("ann", 40)}
    assert [one.chance for one in shown] == pytest.approx([chances[one.item_id] for one in shown])


def test_what_may_not_be_shown_has_no_share(learner: Learner) -> None:
    allowed = [one.item_id for one in learner.recommend("ann", 3)]
    shown = learner.recommend("ann", 3, explore=2.0, allow=allowed)
    assert {one.item_id for one in shown} == set(allowed)
    assert shown[-1].propensity == pytest.approx(1.0)  # one was left


def test_the_same_learner_draws_the_same_list_until_something_is_told(learner: Learner) -> None:
    def ids(of: Learner) -> list[str]:
        return [one.item_id for one in of.recommend("ann", 10, explore=1.0)]

    assert ids(learner) == ids(learner)
    (question,) = learner.ask("ann")
    assert ids(learner.tell(question.answer(4.0))) != ids(learner)


def test_a_diverse_list_is_not_drawn(learner: Learner) -> None:
    with pytest.raises(OptionError, match=r"explore is 0\.5 and diversity 0\.3"):
        learner.recommend("ann", 5, explore=0.5, diversity=0.3)
