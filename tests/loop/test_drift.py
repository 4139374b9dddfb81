"""Losses of answers before they are told, and where they rise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palate import Answer, Learner, Recommender, rate
from palate.datasets import planted_world
from palate.datasets.planted import PlantedWorld
from palate.loop.drift import drift, foretold, losses

TURN = 60  # answers before a taste turns, and after


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_world(users=150, items=160, rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def learner(world: PlantedWorld) -> Learner:
    return Learner.fit(world.dataset, encoder="none", likelihood="gaussian")


def answers_of(world: PlantedWorld, row: int, *, turns: bool) -> list[Answer]:
    """What somebody new says of items in turn: the taste is that of a user of the world, then upside down."""
    rng, expected = np.random.default_rng(row), world.expected()[row]
    found = []
    for place, item in enumerate(rng.permutation(len(expected))[: 2 * TURN]):
        value = 2.0 * expected.mean() - expected[item] if turns and place >= TURN else expected[item]
        said = float(np.clip(np.rint(value + 0.4 * rng.normal()), 1.0, 5.0))
        answer = rate(f"new{row}", world.item_ids[item], said, key=f"{row}-{place}")
        found.append(replace(answer, answered_at=float(place)))
    return found


def expected_of(learner: Learner, answer: Answer) -> float:
    """Of an answer, the mean over the levels by their chances."""
    state, model = learner.state(answer.user_id), learner.model
    item = model.catalogue.position(answer.item_id)
    factors, levels = model.taste.items.factors[item], np.array(model.scale.levels)
    mean = model.taste.items.level[item] + factors @ state.belief.mean
    variance = factors @ state.belief.covariance @ factors + model.taste.items.answer_noise[item]
    chances = model.taste.likelihood.level_chances(levels, np.array([mean]), np.array([variance]))[0]
    return float(chances @ levels)


def test_the_loss_of_an_answer_is_of_what_was_known_before_it(world: PlantedWorld, learner: Learner) -> None:
    answers = answers_of(world, 4, turns=False)[:8]
    found = losses(learner.tell(answers).memory, "new4")
    assert [answer for answer, _ in found] == answers
    for told, (answer, loss) in enumerate(found):
        state, model = learner.tell(answers[:told]).state("new4"), learner.model
        item = model.catalogue.position(answer.item_id)
        factors, levels = model.taste.items.factors[item], np.array(model.scale.levels)
        mean = model.taste.items.level[item] + factors @ state.belief.mean
        variance = factors @ state.belief.covariance @ factors + model.taste.items.answer_noise[item]
        chances = model.taste.likelihood.level_chances(levels, np.array([mean]), np.array([variance]))[0]
        assert loss == pytest.approx(-np.log(chances[levels == answer.value].item()))


def test_the_error_of_an_answer_is_of_what_was_known_before_it_and_beside_it_of_nothing(
    world: PlantedWorld, learner: Learner
) -> None:
    answers = answers_of(world, 5, turns=False)[:6]
    found = foretold(learner.tell(answers).memory, "new5")
    for told, one in enumerate(found):
        expected, at_start = (expected_of(learner.tell(known), one.answer) for known in (answers[:told], []))
        assert (one.error, one.error_at_start) == (
            pytest.approx(abs(expected - one.answer.value)),  # type: ignore[operator]
            pytest.approx(abs(at_start - one.answer.value)),  # type: ignore[operator]
        )
    assert found[0].error == found[0].error_at_start


def test_who_turns_is_told_and_who_does_not_is_not(world: PlantedWorld, learner: Learner) -> None:
    turned, same = answers_of(world, 7, turns=True), answers_of(world, 8, turns=False)
    both = [one for pair in zip(turned, same, strict=True) for one in pair]
    found = drift(learner.tell(both).memory, both)
    assert set(found.users) == {"new7"}
    change = found.users["new7"]
    assert change.after > change.before + 0.3
    assert TURN <= change.at < TURN + 40  # type: ignore[operator]  # every answer has a time
    assert found.answers == 4 * TURN


def test_a_turn_of_all_is_told_of_all_and_learning_is_not(world: PlantedWorld, learner: Learner) -> None:
    def of_all(n_turned: int) -> list[Answer]:
        each = [answers_of(world, row, turns=row < 10 + n_turned) for row in range(10, 34)]
        return [one for place in zip(*each, strict=True) for one in place]

    half = of_all(12)
    change = drift(learner.tell(half).memory, half).overall
    assert change is not None
    assert change.after > change.before + 0.2
    assert change.at is not None
    assert change.at >= TURN
    none = of_all(0)
    assert drift(learner.tell(none).memory, none).overall is None  # the losses fall, since the model learns


def test_the_recommender_reads_its_log_without_what_was_taken_back(world: PlantedWorld, tmp_path: Path) -> None:
    answers = answers_of(world, 7, turns=True)
    with Recommender.create(tmp_path / "model", world.dataset, encoder="none", likelihood="gaussian") as recommender:
        assert recommender.drift().answers == 0
        recommender.tell(answers)
        assert set(recommender.drift().users) == {"new7"}
        assert recommender.drift(last=TURN).answers == TURN
        for answer in answers[TURN:]:
            recommender.undo("new7", answer.key)
        after = recommender.drift()
        assert (after.answers, after.users, after.overall) == (TURN, {}, None)
