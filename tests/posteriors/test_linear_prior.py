from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.posteriors.linear_prior import _STRENGTHS, LinearPrior

ITEMS, SIZE = 40, 3
NOTHING = np.zeros((2, 0))  # the content of two items without any


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
    prior = LinearPrior.start(np.array([3.0, 0.0, 1.0]), np.eye(SIZE), NOTHING)
    assert not prior.uses_content
    assert prior.predict(NOTHING).tolist() == [[3.0, 0.0, 1.0], [3.0, 0.0, 1.0]]
    assert prior.covariances(NOTHING).tolist() == [np.eye(SIZE).tolist()] * 2


def test_without_content_refit_takes_mean_and_covariance_of_the_beliefs() -> None:
    factors = np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    prior, divergence = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), NOTHING).refit(
        factors, 2.0 * np.eye(SIZE), NOTHING, 0.0
    )
    assert prior.mean.tolist() == [2.0, 0.0, 1.0]
    assert prior.covariance.tolist() == [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 2.0]]
    assert divergence == 0.0


def refitted(
    content: np.ndarray, factors: np.ndarray, prior: LinearPrior
) -> tuple[LinearPrior, float, np.ndarray, np.ndarray]:
    """One more refit, its divergence, and the coordinates it worked in: to there (A, A), the strengths (A,)."""
    again, divergence = prior.refit(factors, np.zeros((SIZE, SIZE)), content, 0.0)
    for to, _ in prior._bases():
        signal = to @ again.signal @ to.T
        if np.allclose(signal, np.diag(np.diag(signal)), rtol=1e-9, atol=1e-12):
            return again, divergence, to, 1.0 / np.diag(signal)
    raise AssertionError("the signal is diagonal in neither set of directions")


@pytest.mark.parametrize("encoding", [1, 5, 60])
def test_coefficients_are_ridge_regression_in_each_direction(encoding: int) -> None:
    content, factors, prior = planted(encoding, signal=1.0)
    again, _, to, strengths = refitted(content, factors, prior)
    centred, turned = content - content.mean(0), (factors - factors.mean(0)) @ to.T
    for direction, strength in enumerate(strengths):
        ridge = np.linalg.solve(centred.T @ centred + strength * np.eye(encoding), centred.T @ turned[:, direction])
        np.testing.assert_allclose((again.coefficients @ to.T)[:, direction], ridge, atol=1e-8)


@pytest.mark.parametrize("encoding", [1, 5, 60])
@pytest.mark.parametrize("signal", [0.0, 0.5, 3.0])
def test_the_strengths_make_the_evidence_largest(encoding: int, signal: float) -> None:
    """The collapsed bound of a direction, computed the slow way: N(0, 1 + X Xᵀ / ρ)."""
    content, factors, prior = planted(encoding, signal=signal)
    _, _, to, strengths = refitted(content, factors, prior)
    centred, turned = content - content.mean(0), (factors - factors.mean(0)) @ to.T

    def evidence(strength: float, of: np.ndarray) -> float:
        kernel = np.eye(ITEMS) + centred @ centred.T / strength
        return float(-0.5 * (of @ np.linalg.solve(kernel, of) + np.linalg.slogdet(kernel)[1]))

    for direction, strength in enumerate(strengths):
        found = evidence(strength, turned[:, direction])
        for other in _STRENGTHS[::4] * prior.energy.mean():
            assert evidence(other, turned[:, direction]) <= found + 1e-6 * abs(found)


def test_the_divergence_is_that_of_the_coefficients() -> None:
    """KL(N(m, V) ‖ N(0, I / ρ)), summed over the directions, the slow way."""
    content, factors, prior = planted(5, signal=1.0)
    again, divergence, to, strengths = refitted(content, factors, prior)
    centred, coefficients = content - content.mean(0), again.coefficients @ to.T
    expected = 0.0
    for direction, strength in enumerate(strengths):
        precision = centred.T @ centred + strength * np.eye(5)
        trace = strength * (np.trace(np.linalg.inv(precision)) + (coefficients[:, direction] ** 2).sum())
        expected += 0.5 * (trace - 5 + np.linalg.slogdet(precision)[1] - 5 * np.log(strength))
    assert divergence == pytest.approx(expected)


def test_content_may_explain_one_direction_and_not_the_others() -> None:
    """One strength for all would be outvoted here: one direction in eight is explained."""
    rng = np.random.default_rng(3)
    content, factors = rng.normal(size=(ITEMS, 5)), rng.normal(size=(ITEMS, 8))
    factors[:, 2] = 2.0 * content[:, 0] + 0.5 * rng.normal(size=ITEMS)
    prior = LinearPrior.start(np.zeros(8), np.eye(8), content)
    for _ in range(5):
        prior, _ = prior.refit(factors, np.zeros((8, 8)), content, 1e-9)
    away = prior.predict(content) - factors.mean(0)
    assert np.mean((away - (factors - factors.mean(0)))[:, 2] ** 2) < 0.4
    assert np.mean(np.delete(away, 2, axis=1) ** 2) < 0.25


def test_content_that_says_nothing_is_switched_off() -> None:
    """By chance it may look as if it said a little of a direction, so over many worlds."""
    away = []
    for seed in range(20):
        content, factors, prior = planted(5, signal=0.0, seed=seed)
        away.append(np.mean((prior.predict(content) - factors.mean(0)) ** 2))
    least_squares = 5 / ITEMS  # of a unit variance, what five columns of noise explain
    assert np.mean(away) < 0.4 * least_squares
    assert np.median(away) < 0.3 * least_squares


@pytest.mark.parametrize("encoding", [5, 60])
def test_content_that_says_much_predicts_new_items(encoding: int) -> None:
    rng = np.random.default_rng(2)
    content, true = rng.normal(size=(2 * ITEMS, encoding)), rng.normal(size=(encoding, SIZE)) / np.sqrt(encoding)
    factors = 3.0 * content @ true + 0.3 * rng.normal(size=(2 * ITEMS, SIZE))
    prior = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), content[:ITEMS])
    for _ in range(5):
        prior, _ = prior.refit(factors[:ITEMS], np.zeros((SIZE, SIZE)), content[:ITEMS], 1e-9)
    wrong = np.mean((factors[ITEMS:] - prior.predict(content[ITEMS:])) ** 2)
    assert wrong < (0.02 if encoding < ITEMS else 0.8) * np.mean((factors[ITEMS:] - factors[:ITEMS].mean(0)) ** 2)


@pytest.mark.parametrize("content", [np.ones((ITEMS, 4)), np.zeros((ITEMS, 4)), np.full((ITEMS, 4), 0.1)])
def test_constant_content_is_no_content(content: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(ITEMS, SIZE))
    prior, divergence = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), content).refit(
        factors, np.zeros((SIZE, SIZE)), content, 1e-9
    )
    other = content[:1] + rng.normal(size=(5, 4))
    np.testing.assert_allclose(prior.predict(other), np.tile(factors.mean(0), (5, 1)), atol=1e-6)
    np.testing.assert_allclose(prior.covariances(other), np.tile(prior.covariance, (5, 1, 1)), rtol=1e-3)
    assert divergence == pytest.approx(0.0, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.1, 100.0))
def test_the_variance_of_an_item_grows_away_from_the_data(seed: int, encoding: int, far: float) -> None:
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(ITEMS, encoding))
    prior = LinearPrior.start(np.zeros(SIZE), covariance(rng), content)
    direction = rng.normal(size=encoding)
    near, away, further = prior.covariances(content.mean(0) + np.outer([0.0, far, 2.0 * far], direction))
    np.testing.assert_allclose(near, prior.covariance, rtol=1e-9, atol=1e-9)
    assert np.linalg.eigvalsh(away - near).min() > 0
    assert np.linalg.eigvalsh(further - away).min() > 0


def test_the_covariance_holds_what_is_not_known_of_the_coefficients() -> None:
    content, _, prior = planted(5, signal=1.0)
    to, _, strengths = prior._directions()
    centred = content - content.mean(0)
    turned = to @ (prior.covariances(content) - prior.covariance) @ to.T
    for direction, strength in enumerate(strengths):
        inverse = np.linalg.inv(centred.T @ centred + strength * np.eye(5))
        expected = np.einsum("ie,ef,if->i", centred, inverse, centred)
        np.testing.assert_allclose(turned[:, direction, direction], expected, rtol=1e-6)


def test_other_coordinates_give_the_same_prior() -> None:
    content, _, prior = planted(5, signal=1.0)
    matrix = np.random.default_rng(4).normal(size=(2, SIZE))
    moved = prior.transform(matrix)
    np.testing.assert_allclose(moved.predict(content), prior.predict(content) @ matrix.T)
    np.testing.assert_allclose(moved.covariance, matrix @ prior.covariance @ matrix.T)
    assert np.array_equal(moved.covariance, moved.covariance.T)
