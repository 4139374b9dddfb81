from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from palate.errors import OptionError
from palate.posteriors.likelihoods import Likelihood, assumed_density, expected_curvature, inverse_mills


def moments(chance, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of s ~ N(mean, variance) once an answer of probability chance(s) was given, by quadrature."""
    deviation = np.sqrt(variance)

    def integral(power: int) -> float:
        def integrand(s: float) -> float:
            return s**power * chance(s) * norm.pdf(s, mean, deviation)

        points = [mean - 6 * deviation, mean, mean + 6 * deviation]
        return quad(integrand, mean - 14 * deviation, mean + 14 * deviation, points=points, limit=200)[0]

    total = integral(0)
    first = integral(1) / total
    return first, integral(2) / total - first**2


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


@pytest.mark.parametrize("s", [-4.0, -1.3, 0.0, 2.1])
@pytest.mark.parametrize("liked", [0.0, 1.0])
def test_a_like_is_seen_as_the_mean_of_its_latent_value(s: float, liked: float) -> None:
    latent, bound = Likelihood("probit").targets(np.array([liked]), np.array([s]))
    sign = 1.0 if liked else -1.0
    on_its_side = (
        quad(lambda y: y * norm.pdf(y, s), 0.0, sign * 30.0, points=[sign * 5.0])[0] * sign / norm.cdf(sign * s)
    )
    assert latent[0] == pytest.approx(on_its_side, rel=1e-7)
    assert bound[0] - 0.5 * (latent[0] - s) ** 2 == pytest.approx(norm.logcdf(sign * s), rel=1e-12)


def test_a_rating_is_seen_as_it_is() -> None:
    values = np.array([1.0, 4.5])
    seen, bound = Likelihood().targets(values, np.zeros(2))
    assert seen.tolist() == [1.0, 4.5]
    assert bound.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.4, 0.3), (-2.0, 4.0)])
def test_expected_curvature_is_the_fall_of_the_variance_by_both_answers(mean: float, variance: float) -> None:
    yes = norm.cdf(mean / np.sqrt(1 + variance))
    _, if_yes = moments(norm.cdf, mean, variance)
    _, if_no = moments(lambda s: norm.cdf(-s), mean, variance)
    fall = variance - (yes * if_yes + (1 - yes) * if_no)
    found = variance**2 * expected_curvature(np.array(mean), np.array(variance))
    assert found == pytest.approx(fall, rel=1e-6)


def test_probability_of_a_like() -> None:
    found = Likelihood("probit").probability(np.array([0.0, 1.0]), np.array([5.0, 3.0]))
    assert found.tolist() == pytest.approx([0.5, norm.cdf(0.5)])


def test_an_event_adds_its_precision_to_the_background() -> None:
    noise = np.array([1.0, 7.0])
    assert Likelihood("implicit", 20.0, 5.0).answer_noise(noise).tolist() == [1 / 15, 1 / 15]
    assert Likelihood("gaussian").answer_noise(noise) is noise


def test_only_ratings_have_a_noise_to_learn() -> None:
    assert [Likelihood(kind).learns_noise for kind in ("gaussian", "probit", "implicit")] == [True, False, False]


def test_an_unknown_likelihood_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^likelihood 'poisson' is unknown\. Use gaussian, probit or implicit\.$"):
        Likelihood("poisson")
