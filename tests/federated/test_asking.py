"""The device chooses, and what it was asked stays with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.question_privacy import bits
from palate.acquisition import get_strategy
from palate.federated import asking, device
from palate.federated.device import DeviceAnswers
from palate.federated.public import PublicModel
from tests.federated.worlds import public_model

GIVEN = DeviceAnswers(np.array([3, 7]), np.array([5.0, 1.0]))


@pytest.fixture(scope="module")
def public() -> PublicModel:
    return public_model(40, 4, seed=1)


def log_bits(public: PublicModel, answers: tuple[float, float], strategy: str) -> float:
    """Of four answers, what a log of the questions tells, in bits."""

    def ask(state: DeviceAnswers) -> int:
        allowed = np.ones(len(public), dtype=bool)
        allowed[state.items] = False
        rng = np.random.default_rng(len(state.items))
        return asking.ask(public, state, allowed=allowed, strategy=strategy, rng=rng)[0].item

    def tell(state: DeviceAnswers, item: int) -> list[DeviceAnswers]:
        return [DeviceAnswers(np.append(state.items, item), np.append(state.values, one)) for one in answers]

    nothing = DeviceAnswers(np.zeros(0, dtype=np.intp), np.zeros(0))
    return bits(nothing, ask, tell, answers=4)


@pytest.mark.parametrize("strategy", ["a-optimal", "lookahead", "popularity"])
def test_a_log_of_questions_says_nothing_of_ratings(public: PublicModel, strategy: str) -> None:
    assert log_bits(public, (5.0, 1.0), strategy) == 0.0


def test_a_log_of_questions_says_what_is_known_and_what_a_strategy_of_means_hears(public: PublicModel) -> None:
    assert log_bits(public, (5.0, np.nan), "a-optimal") > 2.0
    assert log_bits(public, (5.0, 1.0), "list-value") > 0.0


def test_what_is_sent_does_not_hang_on_what_was_asked(public: PublicModel) -> None:
    """Questions that were passed over, and the order of the others, leave no trace in the vector."""
    asked = DeviceAnswers(np.array([7, 12, 3, 30]), np.array([1.0, np.nan, 5.0, np.nan]))
    assert np.array_equal(device.upload(public, asked), device.upload(public, GIVEN))
    other = DeviceAnswers(np.array([7, 12, 3]), np.array([1.0, 4.0, 5.0]))
    assert not np.array_equal(device.upload(public, other), device.upload(public, GIVEN))


def test_each_question_is_new_and_what_nobody_knows_is_not_asked_first(public: PublicModel) -> None:
    choices = asking.ask(public, GIVEN, k=10, rng=np.random.default_rng(0))
    items = [one.item for one in choices]
    assert len(set(items)) == 10 and not set(items) & set(GIVEN.items.tolist())
    score = get_strategy("a-optimal").score(
        asking.believed(public, GIVEN), asking.candidates_of(public), rng=np.random.default_rng(0)
    )
    worth = score * public.answer_rate
    worth[GIVEN.items] = -np.inf
    assert items[0] == int(np.argmax(worth))


def test_what_privacy_cost_an_item_makes_it_less_worth_asking(public: PublicModel) -> None:
    item = asking.ask(public, GIVEN, rng=np.random.default_rng(0))[0].item
    variances = public.variances.copy()
    variances[item] += 50.0
    drowned = replace(public, variances=variances)
    assert asking.ask(drowned, GIVEN, rng=np.random.default_rng(0))[0].item != item
