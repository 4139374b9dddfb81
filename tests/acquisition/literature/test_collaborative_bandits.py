"""Bandits that learn from other users, against numbers worked out by hand and plain computations."""

from __future__ import annotations

import numpy as np

from palate.acquisition.literature.bandit_indices import (
    lin_ucb,
)
from palate.acquisition.literature.cofiba import cofiba
from palate.acquisition.literature.knn_bandit import knn_bandit
from palate.posteriors.belief import Belief
from palate.testing.strategies import make_world
from tests.acquisition.three_items import belief_of, make, rng_of


def test_knn_bandit_counts_hits_and_misses_of_what_a_neighbour_likes() -> None:
    """The user likes item 0: users 0 and 1 have a hit, so Beta(2, 1) with mean 2/3; the others Beta(1, 1)."""
    candidates, rng = make(asked=[0, 2], answers=[5.0, np.nan]), rng_of()
    mean = np.mean([knn_bandit(belief_of(), candidates, rng=rng) for _ in range(1_500)], 0)
    np.testing.assert_allclose(mean, [2 / 3 + 2 / 3, 2 / 3 + 1 / 2, 0.0], atol=0.04)


def test_knn_bandit_after_a_dislike() -> None:
    candidates, rng = make(asked=[0], answers=[1.0]), rng_of()
    mean = np.mean([knn_bandit(belief_of(), candidates, rng=rng) for _ in range(1_500)], 0)
    np.testing.assert_allclose(mean, [1 / 3 + 1 / 3, 1 / 3 + 1 / 2, 0.0], atol=0.04)


def test_cofiba_without_like_minded_users_is_lin_ucb_and_with_them_it_pools() -> None:
    world = make_world()
    far = Belief(np.full(4, 50.0), 1e-4 * np.eye(4))
    alone = lin_ucb(far, world.offered, rng=rng_of())
    np.testing.assert_allclose(cofiba(far, world.offered, rng=rng_of()), alone, rtol=1e-4)
    near = Belief(np.zeros(4), np.eye(4))  # agrees with everybody within its wide bounds
    users = world.candidates.population.taste.believe(world.candidates.population.answers)
    precision = np.eye(4) + (np.linalg.inv(users.covariance) - np.eye(4)).sum(0)
    pull = np.einsum("ude,ue->d", np.linalg.inv(users.covariance), users.mean)
    pooled = Belief(np.linalg.solve(precision, pull), np.linalg.inv(precision))
    scores = np.abs(users.score(world.offered.items.factors)).max(0)
    widest = np.sqrt((world.offered.items.factors**2).sum(1))
    found, expected = cofiba(near, world.offered, rng=rng_of()), lin_ucb(pooled, world.offered, rng=rng_of())
    agreed = scores <= widest
    assert agreed.any()
    np.testing.assert_allclose(found[agreed], expected[agreed], rtol=1e-6)
