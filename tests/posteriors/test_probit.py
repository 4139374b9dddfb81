from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import entr
from scipy.stats import norm

from palate.posteriors.probit import (
    assumed_density,
    both_yes,
    expected_curvature,
    information,
    inverse_mills,
    yes_chance,
)


def moments(chance, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of s ~ N(mean, variance) once an answer of probability chance(s) was given, by quadrature."""
    total = expectation(chance, mean, variance)
    first = expectation(lambda s: s * chance(s), mean, variance) / total
    return first, expectation(lambda s: s**2 * chance(s), mean, variance) / total - first**2


def expectation(of, mean: float, variance: float) -> float:
    """E[of(s)] for s ~ N(mean, variance), by quadrature."""
    deviation = np.sqrt(variance)
    points = [mean - 6 * deviation, mean, mean + 6 * deviation]
    reach = mean - 14 * deviation, mean + 14 * deviation
    return quad(lambda s: of(s) * norm.pdf(s, mean, deviation), *reach, points=points, limit=200)[0]


@pytest.mark.parametrize("mean", [-3.0, -0.4, 0.0, 1.7])
@pytest.mark.parametrize("variance", [0.05, 1.0, 9.0])
@pytest.mark.parametrize("liked", [0.0, 1.0])
def test_the_moved_belief_has_the_moments_of_the_exact_one(mean: float, variance: float, liked: float) -> None:
    def chance(s: float) -> float:
        return float(norm.cdf(s if liked else -s))

    first, second = assumed_density(np.array(mean), np.array(variance), np.array(liked))
    exact_mean, exact_variance = moments(chance, mean, variance)
    assert mean + variance * first == pytest.approx(exact_mean, abs=1e-7)
    assert variance + variance**2 * second == pytest.approx(exact_variance, rel=1e-6)


@pytest.mark.parametrize("z", [-1e150, -1e8, -1e6, -1e4, -40.0, 40.0, 1e4, 1e150])
@pytest.mark.parametrize("variance", [0.0, 1.0, 1e6])
def test_an_answer_nobody_expected_leaves_a_proper_belief(z: float, variance: float) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for liked in (0.0, 1.0):
            first, second = assumed_density(np.array(z), np.array(variance), np.array(liked))
            assert np.isfinite(first)
            assert variance + variance**2 * second >= 0.0
            assert first >= 0.0 if liked else first <= 0.0


@pytest.mark.parametrize("x", [-1e8, -1e6, -1e5, -1e4, -1e3])
def test_inverse_mills_far_out_follows_its_expansion(x: float) -> None:
    assert inverse_mills(np.array(x)) == pytest.approx(-x - 1 / x + 2 / x**3, rel=1e-14)


@pytest.mark.parametrize("x", [-8.0, -2.0, 0.0, 0.7, 5.0, 30.0])
def test_inverse_mills_is_density_over_distribution(x: float) -> None:
    assert inverse_mills(np.array(x)) == pytest.approx(norm.pdf(x) / norm.cdf(x), rel=1e-12)


def test_inverse_mills_of_a_sure_like_is_nothing() -> None:
    assert inverse_mills(np.array(1e6)) == 0.0


def answers(known: float, reliability: float, noise: float):
    """P(yes | s) and P(no | s) as functions."""

    def yes(s: float) -> float:
        return (1 - reliability) / 2 + reliability * known * float(norm.cdf(s / np.sqrt(noise)))

    return yes, lambda s: 1.0 - yes(s)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.4, 0.3), (-2.0, 4.0)])
@pytest.mark.parametrize(("known", "reliability"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.6), (0.5, 0.9)])
@pytest.mark.parametrize("noise", [1.0, 2.5])
def test_expected_curvature_is_the_fall_of_the_variance_by_both_answers(mean, variance, known, reliability, noise):
    yes, no = answers(known, reliability, noise)
    said_yes = expectation(yes, mean, variance)
    fall = variance - said_yes * moments(yes, mean, variance)[1] - (1 - said_yes) * moments(no, mean, variance)[1]
    found = expected_curvature(np.array(mean), np.array(variance), noise, known, reliability)
    assert variance**2 * found == pytest.approx(fall, rel=1e-6)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.4, 0.3), (-2.0, 4.0)])
@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_noise_is_the_unit_of_mean_and_variance(mean: float, variance: float, noise: float) -> None:
    def chance(s: float) -> float:
        return float(norm.cdf(s / np.sqrt(noise)))

    first, second = assumed_density(np.array(mean), np.array(variance), np.array(1.0), noise)
    exact_mean, exact_variance = moments(chance, mean, variance)
    assert (mean + variance * first, variance + variance**2 * second) == pytest.approx((exact_mean, exact_variance))
    assert yes_chance(np.array(mean), np.array(variance + noise)) == pytest.approx(expectation(chance, mean, variance))


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.4, 0.3), (-2.0, 4.0), (1.0, 50.0), (-30.0, 800.0)])
def test_information_is_the_entropy_that_knowing_s_takes_away(mean: float, variance: float) -> None:
    def entropy(yes: float) -> float:
        return float(entr(yes) + entr(1 - yes))

    left = expectation(lambda s: entropy(norm.cdf(s / np.sqrt(2.0))), mean, variance)
    found = information(np.array(mean), np.array(variance), np.array(2.0))
    assert found == pytest.approx(entropy(norm.cdf(mean / np.sqrt(variance + 2.0))) - left, rel=1e-7)


@pytest.mark.parametrize("mean", [-1e8, -300.0, 45.0, 1e8])
@pytest.mark.parametrize("variance", [0.0, 1e-3, 1e6])
def test_information_far_out_is_a_number_of_no_warning(mean: float, variance: float) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = information(np.array([mean]), np.array([variance]), np.array([1.0]))
    assert 0.0 <= found[0] <= np.log(2.0)


@pytest.mark.parametrize("correlation", [-0.96, -0.3, 0.0, 0.5, 0.96])
@pytest.mark.parametrize(("first", "second"), [(0.0, 0.0), (1.2, -0.4), (-2.0, -2.5), (6.0, 0.3)])
def test_both_yes_is_the_chance_of_a_quadrant(first: float, second: float, correlation: float) -> None:
    def given(x: float) -> float:
        return float(norm.cdf((second - correlation * x) / np.sqrt(1 - correlation**2)))

    exact = quad(lambda x: norm.pdf(x) * given(x), -12.0, first, points=[-3.0, -1.0], limit=400, epsabs=1e-13)[0]
    found = both_yes(np.array(first), np.array(second), np.array(correlation))
    assert found == pytest.approx(exact, abs=1e-8)
