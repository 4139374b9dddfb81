"""Estimates of what another policy would have earned."""

from __future__ import annotations

import numpy as np
import pytest

from palate.errors import DataError
from palate.evaluation.off_policy import Estimates, Logged, estimate
from palate.loop.explore import drawn, place_chances

SCORES, OTHER = np.array([0.0, 0.5, 1.0, -0.5]), np.array([1.0, 0.2, -0.3, 0.0])
CLICKS = np.array([0.6, 0.3, 0.1, 0.5])  # of each item, at the first place; half as often at the second


def world(n: int, *, guess: float, seed: int = 0) -> tuple[Logged, float]:
    """n lists of two, drawn by one policy, and what another would earn a list; q is the truth times ``guess``."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(n):
        places = drawn(SCORES, 2, temperature=1.0, rng=rng)
        chances = place_chances(SCORES, places, temperature=1.0), place_chances(OTHER, places, temperature=1.0)
        rates = CLICKS[places] * [1.0, 0.5]
        expected = [float(of_other() @ CLICKS), 0.5 * float(of_other(int(places[0])) @ CLICKS)]
        rows.append((rng.random(2) < rates, *chances, guess * rates, guess * np.array(expected)))
    rewards, propensities, targets, expected, expected_target = (np.array(column) for column in zip(*rows, strict=True))
    own = of_other()
    truth = own @ CLICKS + 0.5 * sum(own[first] * float(of_other(first) @ CLICKS) for first in range(4))
    return Logged(rewards, propensities, targets, expected, expected_target), float(truth)


def of_other(*above: int) -> np.ndarray:
    """What the other policy shows next, below these."""
    chances = np.exp(OTHER)
    chances[list(above)] = 0.0
    return np.asarray(chances / chances.sum())


def width(found: Estimates, name: str) -> float:
    return float(found.values[name].high - found.values[name].low)


def test_by_hand_of_lists_of_two() -> None:
    logged = Logged(
        rewards=[[1.0, 0.0], [0.0, 1.0]],
        propensities=[[0.5, 0.5], [0.25, 1.0]],
        targets=[[0.25, 1.0], [0.5, 0.5]],
        expected=[[0.5, 0.1], [0.2, 0.4]],
        expected_target=[[0.3, 0.2], [0.3, 0.1]],
    )
    found = estimate(logged, rng=np.random.default_rng(0))
    # weights: (0.5, 1), (2, 1)
    assert found.shown.mean == pytest.approx(1.0)
    assert found.values["ips"].mean == pytest.approx((0.5 * 1.0 + 1.0 * 1.0) / 2)
    assert found.values["snips"].mean == pytest.approx(0.5 / 2.5 + 1.0 / 2.0)
    robust = 0.5 * 0.5 + 0.3 + (1.0 * -0.1 + 0.5 * 0.2) + 2.0 * -0.2 + 0.3 + (1.0 * 0.6 + 2.0 * 0.1)
    assert found.values["dr"].mean == pytest.approx(robust / 2)
    assert found.effective == pytest.approx(2.0)


@pytest.mark.parametrize("guess", [1.0, 0.0, 1.7])
def test_the_truth_lies_where_the_estimates_say_whatever_was_guessed(guess: float) -> None:
    logged, truth = world(1_000, guess=guess)
    found = estimate(logged, rng=np.random.default_rng(1))
    for name, value in found.values.items():
        assert value.low - 0.01 < truth < value.high + 0.01, name
    assert abs(float(found.shown.mean) - truth) > 0.1  # the lists shown earned something else
    if guess == 1.0:
        assert width(found, "dr") < 0.9 * width(found, "ips")


def test_lists_of_one_user_are_drawn_together() -> None:
    rewards = np.repeat([0.0, 1.0], 100)
    same = Logged(rewards, np.full(200, 0.5), np.full(200, 0.5))
    apart = estimate(same, rng=np.random.default_rng(0))
    users = np.repeat(np.arange(20), 10)
    together = estimate(
        Logged(rewards, np.full(200, 0.5), np.full(200, 0.5), users=users), rng=np.random.default_rng(0)
    )
    assert width(together, "ips") > 2.0 * width(apart, "ips")


def test_places_that_a_list_has_not_earn_nothing() -> None:
    short = Logged([[1.0, np.nan]], [[0.5, np.nan]], [[1.0, np.nan]], [[0.0, np.nan]], [[0.4, np.nan]])
    found = estimate(short, rng=np.random.default_rng(0))
    assert [float(found.values[name].mean) for name in ("ips", "snips", "dr")] == pytest.approx([2.0, 1.0, 2.4])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"propensities": [0.0, 0.5]}, "the propensity of list 0 is 0"),
        ({"targets": [0.5, 1.5]}, r"the target of list 1 is 1\.5"),
        ({"rewards": [1.0]}, "shapes"),
        ({"rewards": []}, "shape"),
        ({"users": ["a"]}, "1 users of 2 lists"),
    ],
)
def test_what_is_no_log_is_refused(changed: dict[str, object], said: str) -> None:
    given = {"rewards": [1.0, 0.0], "propensities": [0.5, 0.5], "targets": [0.5, 0.5]} | changed
    with pytest.raises(DataError, match=said):
        estimate(Logged(**given), rng=np.random.default_rng(0))  # type: ignore[arg-type]
