from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from palate.posteriors.belief import Belief
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit
from palate.posteriors.taste import Taste
from palate.testing.strategies import make_world


def test_some_candidates_keep_what_belongs_to_them() -> None:
    candidates = make_world().offered
    some = candidates.take(np.array([3, 1]))
    assert len(some) == 2
    assert some.counts.tolist() == candidates.counts[[3, 1]].tolist()
    assert some.reach.tolist() == candidates.reach[[3, 1]].tolist()
    assert np.array_equal(some.levels, candidates.levels[[3, 1]])
    assert some.columns.tolist() == [3, 1]


def test_what_may_be_shown_stays_when_less_is_on_offer() -> None:
    candidates = make_world().candidates
    some = candidates.take(np.array([3, 1]))
    assert np.array_equal(some.targets, candidates.targets)
    assert np.array_equal(some.target_moment(), candidates.target_moment())


def test_some_candidates_for_several_users() -> None:
    reach = np.random.default_rng(1).random((3, 12))
    some = replace(make_world().candidates, reach=reach, known=reach).take(np.array([3, 1]))
    assert np.array_equal(some.reach, reach[:, [3, 1]])
    assert np.array_equal(some.known, reach[:, [3, 1]])


def test_one_of_several_users_has_their_own() -> None:
    world = make_world()
    q = np.random.default_rng(0).dirichlet(np.ones(12), size=3)
    one = replace(world.candidates, targets=q, reach=q, known=q).of(2)
    assert np.array_equal(one.targets, q[2])
    assert np.array_equal(one.reach, q[2])
    assert np.array_equal(one.known, q[2])
    assert one.given.columns.tolist() == [5, 3]


def test_target_moment_is_the_weighted_sum() -> None:
    candidates = make_world().offered
    slow = sum(q * np.outer(w, w) for q, w in zip(candidates.targets, candidates.items.factors, strict=True))
    np.testing.assert_allclose(candidates.target_moment(), slow)


@pytest.mark.parametrize("likelihood", [Gaussian(), Implicit(20.0, 5.0)], ids=lambda one: one.kind)
def test_conditioning_on_a_question_is_what_any_answer_does_to_the_covariance(likelihood: Likelihood) -> None:
    world = make_world()
    candidates = replace(world.offered, likelihood=likelihood)
    taste = Taste.build(candidates.items, likelihood)
    for item in range(len(candidates)):
        asked = candidates.condition(world.one, item)
        for answer in (-7.0, 1.0):
            told = taste.observe(world.one, item, answer)
            np.testing.assert_allclose(asked.covariance, told.covariance, rtol=1e-9, atol=1e-12)
        assert np.array_equal(asked.mean, world.one.mean)
        assert np.array_equal(asked.covariance, asked.covariance.T)


def test_conditioning_on_a_like_is_what_both_answers_do_on_average() -> None:
    world = make_world("probit")
    candidates = world.offered
    taste = Taste.build(candidates.items, candidates.likelihood)
    mean = candidates.items.level + world.one.score(candidates.items.factors)
    chance = norm.cdf(mean / np.sqrt(candidates.noise + world.one.variance(candidates.items.factors)))
    for item in range(len(candidates)):
        yes, no = (taste.observe(world.one, item, liked).covariance for liked in (1.0, 0.0))
        average = chance[item] * yes + (1 - chance[item]) * no
        np.testing.assert_allclose(candidates.condition(world.one, item).covariance, average, rtol=1e-8, atol=1e-10)


def test_several_users_are_conditioned_as_each_alone() -> None:
    world = make_world()
    together = world.candidates.condition(world.several, 5)
    for user in range(3):
        alone = world.candidates.condition(Belief(world.several.mean[user], world.several.covariance[user]), 5)
        np.testing.assert_allclose(together.covariance[user], alone.covariance, rtol=1e-12)
