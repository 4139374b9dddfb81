"""The content prior with the items' factors integrated out: against dense algebra, and where answers are few."""

from __future__ import annotations

import numpy as np
import pytest

from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.collapsed_prior import settle

Array = np.ndarray
ITEMS = 80


def sparse_answers(truth: Array, noise: float, counts: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Precisions and pulls of answers that see an item's level and factors along random directions."""
    n_items, size = truth.shape
    precisions, pulls = np.zeros((n_items, size, size)), np.zeros((n_items, size))
    for item, count in enumerate(counts):
        seen = np.column_stack([np.ones(count), rng.normal(size=(count, size - 1))])
        answers = seen @ truth[item] + noise * rng.normal(size=count)
        precisions[item], pulls[item] = seen.T @ seen / noise**2, answers @ seen / noise**2
    return precisions, pulls


def swept(prior: FusedPrior, precisions: Array, pulls: Array, content: Array, sweeps: int = 30) -> FusedPrior:
    """As the sweeps of the fit find it, the users being known."""
    for _ in range(sweeps):
        relevance = np.linalg.inv(prior.covariance)
        covariances = np.linalg.inv(relevance + precisions)
        pull = prior.predict(content) @ relevance + pulls
        factors = np.einsum("iab,ib->ia", covariances, pull)
        prior, _ = prior.refit(factors, covariances.sum(0), content, 1e-9)
    return prior


def world(seed: int, size: int = 3) -> tuple[Array, Array, Array, Array, Array]:
    """Content of two blocks, both of which say something, few answers an item: old content, new, its truth."""
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(2 * ITEMS, 8))
    truth = 1.0 + content @ rng.normal(size=(8, size)) / np.sqrt(8) + 0.3 * rng.normal(size=(2 * ITEMS, size))
    precisions, pulls = sparse_answers(truth[:ITEMS], 1.0, rng.integers(1, 5, ITEMS), rng)
    return content[:ITEMS], content[ITEMS:], truth[ITEMS:], precisions, pulls


def start(content: Array, size: int = 3, sizes: tuple[int, ...] = (3, 5)) -> FusedPrior:
    return FusedPrior.start(np.zeros(size), np.eye(size), content, sizes)


def test_one_direction_is_the_regression_that_weighs_items_by_their_answers() -> None:
    """And an item's belief is the joint posterior's of coefficients and items, all at once, the slow way."""
    content, _, _, precisions, pulls = world(0, 1)
    before = swept(start(content, 1), precisions, pulls, content)
    prior, factors, covariances = settle(before, precisions, pulls, content, 0.0)
    centred, own = content - content.mean(0), float(prior.covariance[0, 0])
    reliable = prior.back[0, 0] ** -2  # 1 / back² is the reliability over Λ of the last regression
    weights = 1.0 / (1.0 / precisions[:, 0, 0] + own)
    values = pulls[:, 0] / precisions[:, 0, 0] - prior.mean[0]
    penalty = np.repeat(prior.strengths[:, 0] * reliable, [3, 5])
    ridge = np.linalg.solve((centred.T * weights) @ centred + np.diag(penalty), centred.T @ (weights * values))
    np.testing.assert_allclose(prior.coefficients[:, 0], ridge, rtol=0.1, atol=0.02)
    joint = centred @ (centred / penalty).T + own * np.eye(ITEMS)
    gain = np.linalg.solve(joint + np.diag(1.0 / precisions[:, 0, 0]), joint).T
    np.testing.assert_allclose(factors[:, 0] - prior.mean[0], gain @ values, atol=0.05)
    np.testing.assert_allclose(covariances[:, 0, 0], np.diag(joint - gain @ joint), rtol=0.1)


def test_items_nobody_rated_are_foreseen_better_than_by_the_sweeps() -> None:
    before, after = [], []
    for seed in range(10):
        old, new, truth, precisions, pulls = world(seed)
        prior = swept(start(old), precisions, pulls, old)
        settled, _, _ = settle(prior, precisions, pulls, old, 0.0)
        before.append(np.mean((prior.predict(new) - truth) ** 2))
        after.append(np.mean((settled.predict(new) - truth) ** 2))
    assert np.mean(after) < 0.95 * np.mean(before)


def test_the_prior_is_as_unsure_of_new_items_as_it_is_wrong() -> None:
    ratios = []
    for seed in range(10):
        old, new, truth, precisions, pulls = world(seed)
        prior, _, _ = settle(swept(start(old), precisions, pulls, old), precisions, pulls, old, 0.0)
        wrong = truth - prior.predict(new)
        ratios.append(np.einsum("ia,iab,ib->i", wrong, np.linalg.inv(prior.covariances(new)), wrong).mean() / 3)
    assert 0.7 < np.mean(ratios) < 1.4


def test_a_block_that_says_nothing_stays_off() -> None:
    heard = []
    for seed in range(10):
        old, _, _, precisions, pulls = world(seed)
        noise = np.random.default_rng(100 + seed).normal(size=(ITEMS, 5))
        content = np.concatenate([old, noise], 1)
        before = swept(start(content, sizes=(8, 5)), precisions, pulls, content)
        parts = settle(before, precisions, pulls, content, 0.0)[0].parts(content)
        heard.append(np.mean(parts[:, 1] ** 2) / np.mean(parts[:, 0] ** 2))
    assert np.median(heard) < 0.05


@pytest.mark.parametrize("constant", [False, True])
def test_without_answers_or_without_differences_content_says_nothing(constant: bool) -> None:
    content, _, _, precisions, pulls = world(1)
    if constant:
        content = np.ones_like(content)
    else:
        precisions, pulls = np.zeros_like(precisions), np.zeros_like(pulls)
    prior, factors, covariances = settle(start(content), precisions, pulls, content, 1e-9)
    assert np.abs(prior.parts(content)).max() < 1e-6
    assert np.isfinite(factors).all() and (np.linalg.eigvalsh(covariances) > 0).all()


def test_other_coordinates_of_taste_give_the_same_prediction() -> None:
    content, new, _, precisions, pulls = world(2)
    before = swept(start(content), precisions, pulls, content)
    matrix = np.random.default_rng(0).normal(size=(3, 3))
    back = np.linalg.inv(matrix)
    settled, factors, _ = settle(before, precisions, pulls, content, 0.0)
    turned, moved, _ = settle(before.transform(matrix), back.T @ precisions @ back, pulls @ back, content, 0.0)
    np.testing.assert_allclose(moved, factors @ matrix.T, atol=1e-6)
    np.testing.assert_allclose(turned.predict(new), settled.predict(new) @ matrix.T, atol=1e-6)
