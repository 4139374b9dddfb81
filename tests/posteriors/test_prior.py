from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.posteriors.prior import _STRENGTHS, LinearPrior

ITEMS, SIZE = 40, 3


def covariance(rng: np.random.Generator) -> np.ndarray:
    root = rng.normal(size=(SIZE, SIZE))
    return root @ root.T + np.eye(SIZE)


def planted(encoding: int, *, signal: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, LinearPrior]:
    """Content (I, E), factors (I, A) of which content explains a part, and the prior they teach."""
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(ITEMS, encoding))
    factors = (
        2.0 + signal * content @ rng.normal(size=(encoding, SIZE)) / np.sqrt(encoding) + rng.normal(size=(ITEMS, SIZE))
    )
    prior = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), content)
    for _ in range(5):
        prior, _ = prior.refit(factors, np.zeros((SIZE, SIZE)), content, 1e-9)
    return content, factors, prior


def test_without_content_all_items_share_the_mean() -> None:
    prior = LinearPrior.start(np.array([3.0, 0.0, 1.0]), np.eye(SIZE), None)
    assert not prior.uses_content
    assert prior.predict(None, 2).tolist() == [[3.0, 0.0, 1.0], [3.0, 0.0, 1.0]]
    assert prior.spread(None, 2).tolist() == [1.0, 1.0]


def test_without_content_refit_takes_mean_and_covariance_of_the_beliefs() -> None:
    factors = np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    prior, divergence = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), None).refit(
        factors, 2.0 * np.eye(SIZE), None, 0.0
    )
    assert prior.mean.tolist() == [2.0, 0.0, 1.0]
    assert prior.covariance.tolist() == [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 2.0]]
    assert divergence == 0.0


@pytest.mark.parametrize("encoding", [1, 5, 60])
def test_coefficients_are_ridge_regression(encoding: int) -> None:
    content, factors, prior = planted(encoding, signal=1.0)
    centred, deviation = content - content.mean(0), factors - factors.mean(0)
    ridge = np.linalg.solve(centred.T @ centred + prior.strength * np.eye(encoding), centred.T @ deviation)
    np.testing.assert_allclose(prior.coefficients, ridge, atol=1e-9)


@pytest.mark.parametrize("encoding", [1, 5, 60])
@pytest.mark.parametrize("signal", [0.0, 0.5, 3.0])
def test_strength_and_covariance_make_the_evidence_largest(encoding: int, signal: float) -> None:
    """The collapsed bound, computed the slow way: factors ~ N(mean, K ⊗ Λ), K = 1 + X Xᵀ / ρ."""
    content, factors, prior = planted(encoding, signal=signal)
    centred, deviation = content - content.mean(0), factors - factors.mean(0)

    def evidence(strength: float, cov: np.ndarray) -> float:
        kernel = np.eye(ITEMS) + centred @ centred.T / strength
        quadratic = np.trace(np.linalg.solve(cov, deviation.T @ np.linalg.solve(kernel, deviation)))
        logs = SIZE * np.linalg.slogdet(kernel)[1] + ITEMS * np.linalg.slogdet(cov)[1]
        return -0.5 * (quadratic + logs)

    found = evidence(prior.strength, prior.covariance)
    for strength in _STRENGTHS[::4] * prior.energy.mean():
        assert evidence(strength, prior.covariance) <= found + 1e-6 * abs(found)
    rng = np.random.default_rng(1)
    for _ in range(20):
        step = 1e-2 * rng.normal(size=(SIZE, SIZE))
        other = (np.eye(SIZE) + step) @ prior.covariance @ (np.eye(SIZE) + step).T
        assert evidence(prior.strength, other) <= found + 1e-6 * abs(found)


def test_the_divergence_is_that_of_the_coefficients() -> None:
    """Evidence = fit at the posterior coefficients − divergence: the same number on two ways."""
    content, factors, prior = planted(5, signal=1.0)
    again, divergence = prior.refit(factors, np.zeros((SIZE, SIZE)), content, 0.0)
    centred, deviation = content - content.mean(0), factors - factors.mean(0)
    kernel = np.eye(ITEMS) + centred @ centred.T / again.strength
    assert divergence == pytest.approx(0.5 * SIZE * np.linalg.slogdet(kernel)[1])
    left = deviation - centred @ again.coefficients
    shrunk = left.T @ left + again.strength * again.coefficients.T @ again.coefficients
    np.testing.assert_allclose(shrunk, deviation.T @ np.linalg.solve(kernel, deviation), atol=1e-8)


def test_content_that_says_nothing_is_switched_off() -> None:
    """By chance it may look as if it said a little, so over many worlds."""
    off = 0
    for seed in range(20):
        content, factors, prior = planted(5, signal=0.0, seed=seed)
        away = prior.predict(content, ITEMS) - factors.mean(0)
        assert (away**2).mean() < 0.1
        if prior.strength > 1e3 * prior.energy.mean():
            off += 1
            assert np.abs(away).max() < 1e-2
            assert prior.spread(content, ITEMS).max() < 1.01
    assert off >= 8


@pytest.mark.parametrize("encoding", [5, 60])
def test_content_that_says_much_predicts_new_items(encoding: int) -> None:
    rng = np.random.default_rng(2)
    content, true = rng.normal(size=(2 * ITEMS, encoding)), rng.normal(size=(encoding, SIZE)) / np.sqrt(encoding)
    factors = 3.0 * content @ true + 0.3 * rng.normal(size=(2 * ITEMS, SIZE))
    prior = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), content[:ITEMS])
    for _ in range(5):
        prior, _ = prior.refit(factors[:ITEMS], np.zeros((SIZE, SIZE)), content[:ITEMS], 1e-9)
    wrong = np.mean((factors[ITEMS:] - prior.predict(content[ITEMS:], ITEMS)) ** 2)
    assert wrong < (0.02 if encoding < ITEMS else 0.8) * np.mean((factors[ITEMS:] - factors[:ITEMS].mean(0)) ** 2)


@pytest.mark.parametrize("content", [np.ones((ITEMS, 4)), np.zeros((ITEMS, 4)), np.full((ITEMS, 4), 0.1)])
def test_constant_content_is_no_content(content: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(ITEMS, SIZE))
    prior, divergence = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), content).refit(
        factors, np.zeros((SIZE, SIZE)), content, 1e-9
    )
    other = content[:1] + rng.normal(size=(5, 4))
    np.testing.assert_allclose(prior.predict(other, 5), np.tile(factors.mean(0), (5, 1)), atol=1e-6)
    assert prior.spread(other, 5).max() < 1.001
    assert divergence == pytest.approx(0.0, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.1, 100.0))
def test_spread_is_at_least_one_and_grows_away_from_the_data(seed: int, encoding: int, far: float) -> None:
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(ITEMS, encoding))
    prior = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), content)
    direction = rng.normal(size=encoding)
    near, away = prior.spread(content.mean(0) + np.outer([0.0, 1.0], far * direction), 2)
    assert near == pytest.approx(1.0)
    assert away > near
    assert prior.spread(content.mean(0) + 2.0 * far * direction[None], 1)[0] > away


def test_spread_is_that_of_the_unknown_coefficients() -> None:
    content, _, prior = planted(5, signal=1.0)
    centred = content - content.mean(0)
    inverse = np.linalg.inv(centred.T @ centred + prior.strength * np.eye(5))
    np.testing.assert_allclose(prior.spread(content, ITEMS), 1.0 + np.einsum("ie,ef,if->i", centred, inverse, centred))


def test_other_coordinates_give_the_same_prior() -> None:
    content, _, prior = planted(5, signal=1.0)
    matrix = np.random.default_rng(4).normal(size=(2, SIZE))
    moved = prior.transform(matrix)
    np.testing.assert_allclose(moved.predict(content, ITEMS), prior.predict(content, ITEMS) @ matrix.T)
    np.testing.assert_allclose(moved.covariance, matrix @ prior.covariance @ matrix.T)
    assert np.array_equal(moved.covariance, moved.covariance.T)
