"""Aspect models against their definitions and numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import xlogy

from palate.acquisition import Given, Population
from palate.acquisition.literature import aspects as aspect_module
from palate.acquisition.literature.aspects import (
    Aspects,
    aspect_model,
    bayesian_aspect,
    fit_mixture,
    flexible_mixture,
    personalised,
)
from tests.acquisition.crowds import RNG, asked, crowd, offered


def two_aspects() -> Aspects:
    """Three items, two levels, two aspects: the first item tells them apart, the second a little, the last not."""
    like = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    return Aspects(np.stack([1 - like, like], 1), np.array([0.5, 0.5]), 2.0)


def entropy(*shares: float) -> float:
    return -float(sum(xlogy(share, share) for share in shares))


def test_the_fall_of_the_entropy_by_hand() -> None:
    """θ = (½, ½) from 1 answer: an answer to the first item makes γ = (.9, .1) or (.1, .9) and θ' = (θ + γ) / 2."""
    aspects = two_aspects()
    found = aspect_module.entropy_fall(aspects.table, aspects.prior, 1.0)
    expected = [entropy(0.5, 0.5) - entropy(*moved) for moved in ((0.7, 0.3), (0.55, 0.45), (0.5, 0.5))]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_fall_of_the_entropy_of_an_uneven_mixture() -> None:
    own, weight = np.array([0.8, 0.2]), 3.0
    likes = 0.8 * 0.9 + 0.2 * 0.1
    yes, no = np.array([0.72, 0.02]) / likes, np.array([0.08, 0.18]) / (1 - likes)
    after = likes * entropy(*(3 * own + yes) / 4) + (1 - likes) * entropy(*(3 * own + no) / 4)
    found = aspect_module.entropy_fall(two_aspects().table, own, weight)
    assert found[0] == pytest.approx(entropy(*own) - after)


def test_a_users_mixture_is_where_the_answers_and_the_prior_agree() -> None:
    aspects, levels = two_aspects(), np.array([0.0, 1.0])
    own, weight = aspect_module.point(aspects, Given(np.array([0, 1]), np.array([1.0, np.nan])), levels)
    assert weight == 2.0  # one answer, and the prior's one
    responsible = own * np.array([0.9, 0.1])
    assert own == pytest.approx((responsible / responsible.sum() + aspects.prior) / 2, abs=1e-3)  # a fixed point
    nobody, weight = aspect_module.point(aspects, Given.nothing(), levels)
    assert (nobody.tolist(), weight) == ([0.5, 0.5], 1.0)


def test_the_posterior_of_a_mixture_counts_the_answers() -> None:
    aspects, levels = two_aspects(), np.array([0.0, 1.0])
    counts = aspect_module.posterior(aspects, Given(np.array([0, 0, 0]), np.array([1.0, 1.0, 0.0])), levels)
    assert counts.sum() == pytest.approx(2.0 + 3.0)
    assert counts[0] > counts[1]
    assert aspect_module.posterior(aspects, Given.nothing(), levels).tolist() == [1.0, 1.0]


def test_the_bayesian_average_has_the_closed_form_it_claims(rng: np.random.Generator) -> None:
    """The source draws models from the posterior; its average over many draws is the closed form."""
    alpha, aspects = np.array([2.0, 1.0]), two_aspects()
    total, mean = alpha.sum(), alpha / alpha.sum()
    draws = rng.dirichlet(alpha, 400_000)
    for item in range(3):
        found = 0.0
        for level in range(2):
            chance = aspects.table[item, level]
            moved = (total * mean + mean * chance / (mean @ chance)) / (total + 1)
            found += float(((draws @ chance)[:, None] * draws * np.log(moved / mean)).sum(1).mean())
        closed = aspect_module.entropy_fall(aspects.table[[item]], mean, total)[0]
        assert closed == pytest.approx(found, abs=1e-3)


def test_the_moments_of_mixtures_give_their_dirichlet(rng: np.random.Generator) -> None:
    mean, strength = aspect_module.concentration(rng.dirichlet([2.0, 4.0, 2.0], 50_000))
    assert mean == pytest.approx([0.25, 0.5, 0.25], abs=0.01)
    assert strength == pytest.approx(8.0, abs=0.2)
    assert aspect_module.concentration(np.full((3, 2), 0.5))[1] == 100.0


def two_crowds() -> Population:
    """Half the users love items 0 to 3 and hate 4 to 7, half the other way round; item 8 is rated at random, 9 never.

    Item 10 has one rating.
    """
    rng = np.random.default_rng(0)
    side = np.repeat([[5, 5, 5, 5, 1, 1, 1, 1], [1, 1, 1, 1, 5, 5, 5, 5]], 20, 0).astype(float)
    side[rng.random(side.shape) < 0.2] = -1
    noise = rng.integers(1, 6, (40, 1))
    once = np.where(np.arange(40) == 0, 5, -1)[:, None]
    factors = np.column_stack([np.array([1.0] * 4 + [-1.0] * 4 + [0.0] * 3), np.full(11, 0.01)])
    return crowd(np.hstack([side, noise, np.full((40, 1), -1), once]), factors=factors)


@pytest.mark.parametrize("strategy", [aspect_model, bayesian_aspect, flexible_mixture])
def test_aspects_ask_for_what_tells_two_crowds_apart(strategy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aspect_module, "ASPECTS", 2)  # more would tell apart whatever is left, such as item 8
    found = asked(strategy, two_crowds())
    assert found[:8].min() > max(found[8], found[9])
    assert (found >= 0).all()


@pytest.mark.parametrize("strategy", [aspect_model, bayesian_aspect])
def test_an_item_that_nobody_rated_tells_nothing_of_aspects(strategy) -> None:
    found = asked(strategy, two_crowds())
    assert found[9] == pytest.approx(0.0, abs=1e-12)
    assert 0 < found[10] < found[:8].min()


@pytest.mark.parametrize("fit", [aspect_module.fit_aspects, fit_mixture])
def test_fitted_aspects_are_probabilities_and_find_the_crowds(fit) -> None:
    population = two_crowds()
    aspects = fit(population)
    np.testing.assert_allclose(aspects.table.sum(1), 1.0)
    assert aspects.table.min() > 0
    assert aspects.prior.sum() == pytest.approx(1.0)
    told = (Given(np.array([0]), np.array([value])) for value in (5.0, 1.0))
    fan, foe = (aspect_module.point(aspects, given, population.level_values)[0] for given in told)
    likes_next, likes_other = aspects.table[1, 4], aspects.table[4, 4]
    assert likes_next @ fan > likes_next @ foe + 0.1
    assert likes_other @ foe > likes_other @ fan + 0.1


def test_personalised_is_the_aspects_value_times_the_chance_of_an_answer() -> None:
    belief, candidates = offered(two_crowds())
    candidates = replace(candidates, known=np.linspace(0.1, 1.0, 11))
    plain = bayesian_aspect(belief, candidates, rng=RNG)
    np.testing.assert_allclose(personalised(belief, candidates, rng=RNG), candidates.known * plain)
