"""A belief about a user as a pool: probabilities of answers, and scores as strategies of a recommender."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from palate.acquisition.pool.design import variance_reduction
from palate.acquisition.pool.of_belief import on_pool, pool_of
from palate.acquisition.pool.uncertainty import epig, margin
from palate.posteriors.belief import Belief
from palate.testing import StrategyContract
from palate.testing.strategies import make_world


class TestMargin(StrategyContract):
    def make(self):
        return on_pool(margin)


class TestVarianceReduction(StrategyContract):
    def make(self):
        return on_pool(variance_reduction)


class TestEpig(StrategyContract):
    def make(self):
        return on_pool(epig)


def test_ratings_have_the_predicted_probabilities_in_the_mean() -> None:
    world = make_world()
    pool = pool_of(world.one, world.offered, rng=np.random.default_rng(0), n_samples=20_000)
    items = world.offered.items
    mean, deviation = (
        items.level + world.one.score(items.factors),
        np.sqrt(world.one.variance(items.factors) + world.offered.noise),
    )
    edges = np.array([-np.inf, 0.5, 1.5, 2.5, 3.5, np.inf])
    expected = np.diff(norm.cdf((edges - mean[:, None]) / deviation[:, None]), axis=1)
    np.testing.assert_allclose(pool.mean, expected, atol=0.01)
    np.testing.assert_allclose(pool.samples.sum(2), 1.0)


def test_likes_are_dislike_and_like() -> None:
    world = make_world("probit")
    known = Belief(world.one.mean, np.zeros_like(world.one.covariance))
    pool = pool_of(known, world.offered, rng=np.random.default_rng(0), n_samples=1)
    items = world.offered.items
    latent = (items.level + known.score(items.factors)) / np.sqrt(world.offered.noise)
    np.testing.assert_allclose(pool.mean, np.stack([norm.cdf(-latent), norm.cdf(latent)], 1))


def test_what_the_user_rated_is_labelled() -> None:
    """Of three questions the first user answered two, both with 1."""
    world = make_world()
    pool = pool_of(world.one, world.offered, rng=np.random.default_rng(0))
    assert pool.labels.tolist() == [1, 1]
    noise = np.sqrt(world.offered.noise)[:, None]
    np.testing.assert_allclose(pool.features, world.offered.items.factors / noise)
    np.testing.assert_allclose(pool.labelled, pool.features[[3, 7]])
    np.testing.assert_allclose(pool.labelled_samples, pool.samples[:, [3, 7]])


@pytest.mark.parametrize("kind", ["gaussian", "probit", "implicit"])
def test_targets_are_drawn_from_what_may_be_shown(kind: str) -> None:
    world = make_world(kind)
    pool = pool_of(world.one, world.offered, rng=np.random.default_rng(0), n_samples=3)
    assert pool.wanted.shape == (3, 64, pool.n_classes)
    offered = {tuple(column.ravel()) for column in pool.samples.transpose(1, 0, 2)}
    assert {tuple(column.ravel()) for column in pool.wanted.transpose(1, 0, 2)} <= offered
