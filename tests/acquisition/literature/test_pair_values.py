"""Values of comparisons against sampling and integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from palate.acquisition.literature.pair_values import eubo_pairs, pairwise_bald
from palate.posteriors.belief import Belief
from palate.testing.strategies import make_world
from tests.acquisition.three_items import belief_of, make, rng_of

PAIRS = np.array([[0, 1], [1, 2], [2, 0], [1, 1]])


def test_eubo_is_the_expected_maximum() -> None:
    candidates, belief, rng = make(), belief_of(), rng_of()
    tastes = rng.multivariate_normal(belief.mean, belief.covariance, size=200_000)
    utility = candidates.items.level + tastes @ candidates.items.factors.T
    sampled = [utility[:, pair].max(1).mean() for pair in PAIRS]
    np.testing.assert_allclose(eubo_pairs(belief, candidates, PAIRS), sampled, atol=0.01)


def test_eubo_of_a_known_taste_is_the_better_one() -> None:
    known = Belief(np.array([1.0, 0.0]), np.zeros((2, 2)))
    assert eubo_pairs(known, make(), PAIRS).tolist() == pytest.approx([4.0, 2.8, 4.0, 2.2])


@pytest.mark.parametrize("mean", [-3.0, 0.4])
def test_pairwise_bald_is_the_mutual_information(mean: float) -> None:
    candidates, belief = make(), belief_of(mean)
    found = pairwise_bald(belief, candidates, PAIRS)
    for value, (a, b) in zip(found, PAIRS, strict=True):
        apart = candidates.items.factors[a] - candidates.items.factors[b]
        unit = np.sqrt(candidates.noise[a] + candidates.noise[b])
        centre = (candidates.items.level[a] - candidates.items.level[b] + apart @ belief.mean) / unit
        spread = np.sqrt(max(apart @ belief.covariance @ apart, 1e-12)) / unit

        def coin(x: float) -> float:
            yes = norm.cdf(x)
            return float(-sum(p * np.log(p) for p in (yes, 1 - yes) if p > 0))

        def weighed(x: float, centre: float = centre, spread: float = spread) -> float:
            return float(norm.pdf(x, centre, spread)) * coin(x)

        given_ = quad(weighed, centre - 10 * spread, centre + 10 * spread, points=[centre])[0]
        assert value == pytest.approx(coin(centre / np.sqrt(1 + spread**2)) - given_, abs=1e-5)


def test_pairs_of_several_users_are_those_of_each() -> None:
    world = make_world()
    for worth in (eubo_pairs, pairwise_bald):
        together = worth(world.several, world.candidates, PAIRS)
        np.testing.assert_allclose(together[0], worth(world.one, world.offered, PAIRS))
        assert together.shape == (3, 4)


def test_the_order_of_a_pair_does_not_matter_and_an_item_against_itself_tells_nothing() -> None:
    for worth in (eubo_pairs, pairwise_bald):
        turned = worth(belief_of(), make(), PAIRS[:, ::-1])
        np.testing.assert_allclose(worth(belief_of(), make(), PAIRS), turned, atol=1e-12)
    assert pairwise_bald(belief_of(), make(), PAIRS)[3] == pytest.approx(0.0, abs=1e-12)
