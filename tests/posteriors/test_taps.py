"""Taps in a group against quadrature over taste and over how much somebody knows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taps import observe_taps
from palate.posteriors.taste import Taste

CUT, NOISE = 3.5, 0.8
KNOWN = Answerability(np.array([0.4, 0.2, 0.3]), np.array([[0.15], [0.1], [0.1]]), np.full(3, 0.1))


def taste() -> Taste:
    factors, level = np.array([[1.0], [0.6], [-0.5]]), np.array([3.4, 3.2, 3.8])
    items = Items.build(np.column_stack([level, factors]), np.zeros((3, 2, 2)), np.full(3, NOISE))
    return Taste.build(items, Gaussian())


def exact(tapped: list[bool], items: list[int]) -> tuple[float, float]:
    """Mean and variance of the taste of somebody of whom nothing was known, by sums over both unknowns."""
    z, t = np.linspace(-8, 8, 1601)[:, None], np.linspace(-8, 8, 801)[None, :]
    model = taste()
    along = KNOWN.loadings[items].sum(0)
    deviation = np.sqrt(np.log1p(4.0 * (along @ along) / KNOWN.rate[items].sum() ** 2))
    weight = np.exp(-0.5 * (z**2 + t**2))
    for item, tap in zip(items, tapped, strict=True):
        liked = ndtr((model.items.level[item] + model.items.factors[item, 0] * z - CUT) / np.sqrt(NOISE))
        chance = np.clip(KNOWN.rate[item] * np.exp(deviation * t), 1e-3, 1 - 1e-3) * liked
        weight = weight * (chance if tap else 1.0 - chance)
    share = weight.sum(1) / weight.sum()
    mean = float(share @ z[:, 0])
    return mean, float(share @ z[:, 0] ** 2) - mean**2


def heard(tapped: list[bool], items: list[int]) -> Belief:
    start, knows = Belief(np.zeros(1), np.eye(1)), KNOWN.start()
    return observe_taps(taste(), KNOWN, start, knows, np.array(items), np.array(tapped), cut=CUT)


@pytest.mark.parametrize("tapped", [[True], [False]])
def test_one_item_is_heard_exactly(tapped: list[bool]) -> None:
    mean, variance = exact(tapped, [0])
    belief = heard(tapped, [0])
    assert belief.mean[0] == pytest.approx(mean, abs=2e-3)
    assert belief.covariance[0, 0] == pytest.approx(variance, abs=2e-3)


@pytest.mark.parametrize("tapped", [[True, True, False], [False, False, False], [True, True, True]])
def test_several_are_heard_nearly_so(tapped: list[bool]) -> None:
    mean, variance = exact(tapped, [0, 1, 2])
    belief = heard(tapped, [0, 1, 2])
    assert belief.mean[0] == pytest.approx(mean, abs=0.02)
    assert belief.covariance[0, 0] == pytest.approx(variance, abs=0.05)  # a pass over yes and no is no more exact


def test_a_shorter_group_of_many_users_is_heard_as_alone() -> None:
    items, tapped = np.array([[2, 0, -1], [1, 0, 2]]), np.array([[True, False, False], [False, True, False]])
    start = Belief(np.zeros((2, 1)), np.ones((2, 1, 1)))
    both = observe_taps(taste(), KNOWN, start, KNOWN.start(2), items, tapped, cut=CUT)
    short, long = heard([True, False], [2, 0]), heard([False, True, False], [1, 0, 2])
    np.testing.assert_allclose(both.mean, [short.mean, long.mean], rtol=1e-12)
    np.testing.assert_allclose(both.covariance, [short.covariance, long.covariance], rtol=1e-12)
