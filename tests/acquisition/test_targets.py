"""What a targeted strategy aims at."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from scipy.stats import norm

from palate.acquisition import Given, Population
from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.targets import draw_tastes, popularity_targets, slate_targets, spread_tastes, uniform_targets
from palate.errors import OptionError
from palate.posteriors.belief import Belief
from palate.testing.strategies import make_world


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_uniform_and_popularity() -> None:
    candidates = make_world().candidates
    assert uniform_targets(candidates).tolist() == [1 / 12] * 12
    counts = candidates.population.counts
    np.testing.assert_allclose(popularity_targets(candidates), counts / counts.sum())
    assert popularity_targets(candidates)[0] == 0.0


def test_popularity_where_nothing_is_rated_is_uniform() -> None:
    candidates = make_world(rated=False).candidates
    assert popularity_targets(candidates).tolist() == [1 / 12] * 12


def test_a_slate_of_one_is_the_chance_of_being_best() -> None:
    """Two items that are left: P(best) is that of a difference of Gaussians being positive."""
    world = make_world(rated=False)
    given = Given(np.arange(2, 12), np.ones(10))
    candidates = replace(world.offered, given=given)
    found = slate_targets(world.one, candidates, k=1, draws=20_000, rng=rng_of())
    apart = candidates.shown.factors[0] - candidates.shown.factors[1]
    centre = candidates.shown.level[0] - candidates.shown.level[1] + apart @ world.one.mean
    assert found[0] == pytest.approx(norm.cdf(centre / np.sqrt(apart @ world.one.covariance @ apart)), abs=0.01)
    assert found[:2].sum() == pytest.approx(1.0)
    assert not found[2:].any()


def test_the_slate_of_a_known_taste_is_its_best_items() -> None:
    world = make_world(rated=False)
    known = Belief(world.one.mean, np.zeros((4, 4)))
    found = slate_targets(known, world.offered, k=3, rng=rng_of())
    best = np.argsort(-(world.offered.shown.level + known.score(world.offered.shown.factors)))[:3]
    assert np.flatnonzero(found).tolist() == sorted(best)
    assert found[best].tolist() == pytest.approx([1 / 3] * 3)


def test_a_slate_as_large_as_the_catalogue_is_uniform_over_what_is_left() -> None:
    world = make_world()
    left = np.setdiff1d(np.arange(12), world.offered.given.rated()[0])
    found = slate_targets(world.one, world.offered, k=50, rng=rng_of())
    np.testing.assert_allclose(found[left], 1 / len(left))
    assert found.sum() == pytest.approx(1.0)


def test_several_users_have_a_row_each_and_the_first_is_as_alone() -> None:
    world = make_world()
    together = slate_targets(world.several, world.candidates, k=3, rng=rng_of())
    assert together.shape == (3, 12)
    np.testing.assert_allclose(together.sum(1), 1.0)
    np.testing.assert_allclose(together[0], slate_targets(world.one, world.offered, k=3, rng=rng_of()))


def test_the_slate_does_not_hang_on_what_is_on_offer() -> None:
    world = make_world()
    some = world.offered.take(np.array([4, 2]))
    np.testing.assert_array_equal(
        slate_targets(world.one, some, rng=rng_of()), slate_targets(world.one, world.offered, rng=rng_of())
    )


@pytest.mark.parametrize(("k", "draws"), [(0, 64), (10, 0)])
def test_a_slate_of_nothing_is_refused(k: int, draws: int) -> None:
    world = make_world()
    with pytest.raises(OptionError, match=f"a slate of {k} items from {draws} draws: both must be at least 1."):
        slate_targets(world.one, world.offered, k=k, draws=draws, rng=rng_of())


def test_drawn_tastes_have_the_moments_of_the_belief() -> None:
    belief = make_world().one
    draws = draw_tastes(belief, 50_000, rng=rng_of())
    np.testing.assert_allclose(draws.mean(0), belief.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), belief.covariance, atol=0.05)


def test_a_strategy_aimed_at_the_slate_lowers_the_variance_of_the_slate() -> None:
    world = make_world(rated=False)
    q = slate_targets(world.one, world.offered, k=2, rng=rng_of())
    found = a_optimal(world.one, replace(world.offered, targets=q), rng=rng_of())
    factors = world.offered.items.factors
    for item in range(12):
        after = world.one.update(factors[item], 0.0, world.offered.noise[item])
        assert found[item] == pytest.approx(q @ (world.one.variance(factors) - after.variance(factors)))


def test_the_population_of_the_targets_is_everybody() -> None:
    """Counts come from the population, not from what is on offer."""
    candidates = make_world().candidates
    assert isinstance(candidates.population, Population)
    some = replace(candidates, counts=np.zeros(12))
    np.testing.assert_array_equal(popularity_targets(some), popularity_targets(candidates))


def test_spread_tastes_are_draws_whose_mean_is_nearer() -> None:
    """Mean and covariance are the belief's, and over many beliefs each taste is drawn from it; some are known."""
    rng = rng_of()
    root = rng.normal(size=(4, 4)) @ np.diag([2.0, 1.0, 0.3, 0.0])
    belief = Belief(np.arange(4.0), root @ root.T)
    drawn, spread = ([make(belief, 256, rng=rng) for _ in range(60)] for make in (draw_tastes, spread_tastes))
    far = [np.abs(np.mean(tastes, 1) - belief.mean).mean() for tastes in (drawn, spread)]
    assert far[1] < 0.2 * far[0]
    np.testing.assert_allclose(np.cov(np.concatenate(spread).T), belief.covariance, atol=0.05)
    first = np.array([tastes[0] for tastes in spread])  # one of each, on which nothing is evened out
    assert np.abs(first.mean(0) - belief.mean).max() < 4 * np.sqrt(belief.covariance.max() / 60)


def test_spread_tastes_of_a_point_at_the_edge_are_finite() -> None:
    with mock.patch("scipy.stats.qmc.Sobol") as sobol:
        sobol.return_value.random.return_value = np.array([[0.0, 1.0], [0.5, 0.5]])
        found = spread_tastes(Belief(np.zeros(2), np.eye(2)), 2, rng=rng_of())
    assert np.abs(found[0]).min() > 5.0 and np.isfinite(found).all() and not found[1].any()
