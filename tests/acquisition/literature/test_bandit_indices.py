"""Indices of bandits against numbers worked out by hand and sampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palate.acquisition import Population
from palate.acquisition.literature.bandit_indices import (
    EPSILON,
    as_rewards,
    epsilon_greedy,
    icf_thompson,
    icf_ucb,
    liked,
    lin_ucb,
    max_item_trait,
    mean_rewards,
    min_item_trait,
    thompson,
    ucb1,
)
from tests.acquisition.three_items import belief_of, make, rng_of


def test_rewards_are_places_on_the_scale() -> None:
    candidates = make()
    assert as_rewards(np.array([1.0, 2.0, 5.0, 9.0, -3.0]), candidates.population).tolist() == [0, 0.25, 1, 1, 0]
    # means 3 and 11/3; the third has the mean of all, 23/7
    expected = [0.5, (11 / 3 - 1) / 4, (23 / 7 - 1) / 4]
    assert mean_rewards(candidates).tolist() == pytest.approx(expected)


def test_a_scale_of_one_level_has_rewards() -> None:
    population = replace_levels(make().population, np.array([2.0]))
    assert as_rewards(np.array([1.0, 2.0, 3.0]), population).tolist() == [0.0, 0.0, 1.0]


def replace_levels(population: Population, levels: np.ndarray) -> Population:
    return Population(population.answers, levels, population.taste)


def test_ucb1_by_hand_and_unrated_first() -> None:
    found = ucb1(belief_of(), make(), rng=rng_of())
    assert found[0] == pytest.approx(0.5 + np.sqrt(2 * np.log(7) / 4))
    assert found[1] == pytest.approx(2 / 3 + np.sqrt(2 * np.log(7) / 3))
    assert found.argmax() == 2
    # even an item whose one rating is the highest there is comes after one without
    one = replace(make(), counts=np.array([1.0, 1.0, 0.0]))
    assert (ucb1(belief_of(), one, rng=rng_of())[:2] < ucb1(belief_of(), one, rng=rng_of())[2]).all()


def test_epsilon_greedy_is_the_mean_but_for_one_in_ten() -> None:
    candidates, rng = make(), rng_of()
    expected = mean_rewards(candidates)
    greedy = [np.array_equal(epsilon_greedy(belief_of(), candidates, rng=rng), expected) for _ in range(4_000)]
    assert np.mean(greedy) == pytest.approx(1 - EPSILON, abs=0.02)


def test_lin_ucb_by_hand() -> None:
    # item 0: mean 3 + 0.4 - 0.15, variance (1, .5) S (1, .5)ᵀ = .9 + .3 + .125
    assert lin_ucb(belief_of(), make(), rng=rng_of())[0] == pytest.approx(3.25 + np.sqrt(1.325))


def test_icf_ucb_adds_what_is_not_known_of_the_item() -> None:
    # E[t tᵀ] has trace 1 + .4² + .3² + .9 + .5; the item's covariance is .04 I
    expected = 3.25 + np.sqrt(1.325 + 0.04 * (1 + 0.16 + 0.09 + 1.4))
    assert icf_ucb(belief_of(), make(), rng=rng_of())[0] == pytest.approx(expected)


def test_thompson_draws_have_the_moments_of_the_belief() -> None:
    candidates, belief, rng = make(), belief_of(), rng_of()
    draws = np.array([thompson(belief, candidates, rng=rng) for _ in range(20_000)])
    factors = candidates.items.factors
    np.testing.assert_allclose(draws.mean(0), candidates.items.level + belief.score(factors), atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), factors @ belief.covariance @ factors.T, atol=0.05)


def test_icf_thompson_draws_items_too() -> None:
    candidates, belief, rng = make(), belief_of(), rng_of()
    draws = np.array([icf_thompson(belief, candidates, rng=rng) for _ in range(8_000)])
    ucb = icf_ucb(belief, candidates, rng=rng)
    mean = candidates.items.level + belief.score(candidates.items.factors)
    np.testing.assert_allclose(draws.std(0), ucb - mean, rtol=0.04)


def test_item_traits_by_hand() -> None:
    found = max_item_trait(belief_of(), make(), rng=rng_of())
    assert found.tolist() == pytest.approx([np.sqrt(1.25), np.sqrt(1.45), np.sqrt(1.09)])
    assert (min_item_trait(belief_of(), make(), rng=rng_of()) == -found).all()


def test_liked_is_at_or_above_the_mean_of_all() -> None:
    assert liked(make().population).toarray().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]]
