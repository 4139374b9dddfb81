"""When to stop asking: each criterion on tables worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from palate.acquisition import STRATEGIES, values
from palate.acquisition.stopping import (
    by_value,
    classification_change,
    confidence_drop,
    delta_f,
    f_change,
    kappa,
    kappa_average,
    no_improvement,
    overall_uncertainty,
)
from palate.errors import OptionError
from palate.posteriors.belief import Belief
from palate.testing.strategies import make_world

A, B, C = [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("worths", "price", "stop"),
    [
        ([0.1, 0.3], 0.2, False),
        ([0.1, 0.2], 0.2, True),
        ([-np.inf, 0.1], 0.2, True),
        ([-np.inf, -np.inf], 0.2, True),
        ([], 0.2, True),
    ],
)
def test_by_value(worths: list[float], price: float, stop: bool) -> None:
    assert by_value(worths, price) is stop


def test_by_value_of_the_slate_stops_once_the_taste_is_known() -> None:
    world = make_world()
    evoi = STRATEGIES["evoi"]
    known = Belief(world.one.mean, 1e-6 * world.one.covariance)
    for belief, stop in ((world.one, False), (known, True)):
        worths = values(evoi, belief, world.offered, rng=np.random.default_rng(0))
        assert by_value(worths, 0.01) is stop


@pytest.mark.parametrize("price", [0.0, -1.0, math.inf, math.nan])
def test_by_value_needs_a_price(price: float) -> None:
    with pytest.raises(OptionError, match="the price is"):
        by_value([1.0], price)


def test_by_value_needs_numbers() -> None:
    with pytest.raises(OptionError, match=r"the value of a question is nan. Give numbers."):
        by_value([1.0, math.nan], 1.0)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (A, A, 1.0),
        (C, C, 1.0),  # everything the same one label
        (A, [0, 0, 1, 1], -1.0),
        (A, B, 0.5),  # agree 3/4, by chance ½·¼ + ½·¾ = ½
        (A, C, 0.0),
        ([0, 1, 2], [0, 1, 1], 0.5),  # agree 2/3, by chance 1/9 + 2/9
    ],
)
def test_kappa(first: list[int], second: list[int], expected: float) -> None:
    assert kappa(first, second) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rounds", "options", "stop"),
    [
        ([A, A, A, A], {}, True),
        ([A, A, A], {}, False),  # two pairs, a window of three
        ([A, B, A, A, A], {"window": 2}, True),  # the change is behind the window
        ([A, A, A, B], {"window": 3}, False),  # (1 + 1 + ½) / 3
        ([A, A, A, B], {"window": 3, "least": 0.8}, True),
        ([], {}, False),
    ],
)
def test_kappa_average(rounds: list[list[int]], options: dict[str, float], stop: bool) -> None:
    assert kappa_average(rounds, **options) is stop


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(A, A, 0.0), (A, B, 1 - 2 / 3), (A, C, 1.0), (C, C, 0.0), (A, [0, 1, 1, 0], 0.5)],
)
def test_f_change(first: list[int], second: list[int], expected: float) -> None:
    assert f_change(first, second) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rounds", "options", "stop"),
    [
        ([A, A, A, A], {}, True),
        ([A, A, A], {}, False),
        ([A, A, A, B], {}, False),
        ([A, B, B, B, B], {}, True),
        ([A, B], {"window": 1, "threshold": 0.34}, True),
        ([A, B], {"window": 1, "threshold": 0.33}, False),
    ],
)
def test_delta_f(rounds: list[list[int]], options: dict[str, float], stop: bool) -> None:
    assert delta_f(rounds, **options) is stop


def test_delta_f_does_not_count_agreement_on_0() -> None:
    """One more 1 among a thousand 0: nearly all agree, yet the F-measure may change by a third."""
    first, second = np.zeros(1_000, dtype=int), np.zeros(1_000, dtype=int)
    first[:1], second[:2] = 1, 1
    assert f_change(first, second) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("rounds", "stop"), [([A, A], True), ([A, B], False), ([B, A, A], True), ([A], False), ([], False)]
)
def test_classification_change(rounds: list[list[int]], stop: bool) -> None:
    assert classification_change(rounds) is stop


@pytest.mark.parametrize(
    ("probabilities", "threshold", "stop"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], 0.05, True),
        ([[0.5, 0.5]], 0.05, False),
        ([[0.5, 0.5], [1.0, 0.0]], 0.51, True),  # mean share ½
        ([[0.5, 0.5], [1.0, 0.0]], 0.5, False),
        (np.full((2, 4), 0.25), 0.999, False),
        (np.zeros((0, 2)), 0.05, True),  # nothing left to be uncertain about
    ],
)
def test_overall_uncertainty(probabilities: list[list[float]], threshold: float, stop: bool) -> None:
    assert overall_uncertainty(probabilities, threshold=threshold) is stop


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.5], "the probabilities have shape (2,). Give (N, C) of at least 2 classes."),
        ([[1.0]], "the probabilities have shape (1, 1). Give (N, C) of at least 2 classes."),
        ([[0.5, math.nan]], "a probability is not a number from 0 to 1. Give the chance of each class."),
        ([[1.5, -0.5]], "a probability is not a number from 0 to 1. Give the chance of each class."),
    ],
)
def test_overall_uncertainty_needs_probabilities(probabilities: list[object], message: str) -> None:
    with pytest.raises(OptionError) as error:
        overall_uncertainty(probabilities)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("confidences", "stop"),
    [
        ([0.5, 0.9, 0.8, 0.7, 0.6], True),
        ([0.9, 0.8, 0.7], False),  # two drops
        ([0.9, 0.8, 0.8, 0.7, 0.6], False),  # level counts as no drop
        ([0.5, 0.6, 0.7, 0.8], False),
        ([], False),
    ],
)
def test_confidence_drop(confidences: list[float], stop: bool) -> None:
    assert confidence_drop(confidences) is stop


@pytest.mark.parametrize(
    ("uncertainties", "options", "stop"),
    [
        ([5, 4, 3, 3, 3, 3, 3, 3], {}, True),
        ([5, 4, 3, 2, 1], {}, False),
        ([5, 3, 4, 4, 2.9], {"window": 3}, False),
        ([5, 3, 4, 4, 2.9], {"window": 3, "by": 0.2}, True),
        ([3, 3], {"window": 1}, True),
        ([3], {"window": 1}, False),
    ],
)
def test_no_improvement(uncertainties: list[float], options: dict[str, float], stop: bool) -> None:
    assert no_improvement(uncertainties, **options) is stop


def test_a_window_of_nothing_is_refused() -> None:
    for criterion in (kappa_average, delta_f, confidence_drop, no_improvement):
        with pytest.raises(OptionError, match=r"the window is 0 rounds. Give at least 1."):
            criterion([], window=0)


def test_rounds_that_predict_different_sets_are_refused() -> None:
    with pytest.raises(OptionError, match=r"the rounds predict 4, 4, 3 things. Predict the same ones each time"):
        kappa_average([A, A, [1, 0, 0]])
    with pytest.raises(OptionError, match="the rounds predict 0, 0 things"):
        classification_change([[], []])
