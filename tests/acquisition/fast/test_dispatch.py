"""What a large catalogue is scored with in one pass, and what is left to the plain strategies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palate.acquisition import Candidates, get_strategy, values
from palate.acquisition.fast.dispatch import fast_values
from palate.acquisition.fast.moments import FROM_ITEMS, fast_moment, scorer_of
from palate.posteriors.belief import Belief
from palate.testing.strategies import make_world
from tests.acquisition.large import belief_after, catalogue

NAMES = ("variance", "bald", "a-optimal", "a-optimal-relative")


@pytest.fixture(scope="module")
def large() -> Candidates:
    return catalogue(FROM_ITEMS, 16)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_strategy(name: str, large: Candidates) -> None:
    belief = belief_after(5, large)
    plain = get_strategy(name).score(belief, large, rng=np.random.default_rng(0)) * large.reach
    fast = fast_values(name, belief, large)
    assert fast is not None
    assert fast.dtype == np.float64
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-4 * plain.max())


def test_epig_of_a_large_catalogue_is_computed_for_a_shortlist_that_has_the_best(large: Candidates) -> None:
    belief = belief_after(5, large)
    rng = np.random.default_rng(0)
    draws = [get_strategy("epig").score(belief, large, rng=rng) for _ in range(30)]  # 64 targets each
    whole = np.mean(draws, axis=0) * large.reach
    found = np.isfinite(values(get_strategy("epig"), belief, large, rng=rng))
    assert found.sum() == 256
    assert whole[found].max() == whole.max()


def test_what_a_pass_does_not_serve_is_left_to_the_strategy(large: Candidates) -> None:
    belief = belief_after(1, large)
    both = Belief(np.zeros((2, 16)), np.stack([belief.covariance, np.eye(16)]))
    likes = replace(large, likelihood=make_world("probit").candidates.likelihood)
    part = large.take(np.arange(FROM_ITEMS))
    small = catalogue(FROM_ITEMS - 1, 16)
    for name, about, candidates in (
        ("epig", belief, large),
        ("bald", both, large),
        ("bald", belief, likes),
        ("bald", belief, part),
        ("bald", belief, small),
    ):
        assert fast_values(name, about, candidates) is None


def test_the_targets_moment(large: Candidates) -> None:
    fast = fast_moment(large.population, large.likelihood, large.shown, large.targets)
    assert fast is not None
    factors = large.shown.factors
    np.testing.assert_allclose(fast, (factors * large.targets[:, None]).T @ factors, rtol=1e-5, atol=1e-8)
    both = replace(large, targets=np.tile(large.targets, (2, 1)))
    assert fast_moment(both.population, both.likelihood, both.shown, both.targets) is None
    small = catalogue(FROM_ITEMS - 1, 16)
    assert fast_moment(small.population, small.likelihood, small.shown, small.targets) is None


def test_a_relative_moment_is_kept_for_one_belief_and_for_a_part(large: Candidates) -> None:
    one, other = belief_after(1, large), belief_after(4, large)
    few = large.take(np.arange(3))
    factors, noise = large.shown.factors, large.likelihood.answer_noise(large.shown.answer_noise)
    for belief in (one, other, one):
        targets = large.targets / (belief.variance(factors) + noise)
        plain = (factors * targets[:, None]).T @ factors
        np.testing.assert_allclose(large.relative_moment(belief), plain, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(few.relative_moment(belief), plain, rtol=1e-4, atol=1e-7)
    assert large.take(np.arange(3)).relative_moment(one) is large.relative_moment(one)


def test_a_catalogue_is_laid_out_once(large: Candidates) -> None:
    assert scorer_of(large.population, large.likelihood) is scorer_of(large.population, large.likelihood)
