"""The value of information against brute force, integrals and numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from palate.acquisition import Candidates, Given, Population
from palate.acquisition.literature.value_of_information import (
    answer_chances,
    best_dcg,
    contenders,
    evoi,
    evoi_lookahead,
    evoi_ndcg,
    expected_loss_dcg,
    expected_rise,
    gains,
    loss_of_user,
    value_of_answers,
)
from palate.posteriors import likelihoods
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Kind
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste
from palate.testing.strategies import make_world
from tests.acquisition.three_items import belief_of, make, rng_of


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(0, 10_000))
def test_the_expected_rise_is_the_integral_over_the_envelope(n_lines: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, slopes = rng.normal(size=n_lines), rng.normal(size=(3, n_lines))
    slopes[0] = np.round(slopes[0])  # ties in slope, and lines alike
    found = expected_rise(means, slopes)
    z = np.linspace(-9, 9, 20_001)
    for row in range(3):
        top = (means[:, None] + slopes[row][:, None] * z).max(0)
        assert found[row] == pytest.approx(np.trapezoid(norm.pdf(z) * top, z) - means.max(), abs=1e-6)


def test_the_knowledge_gradient_of_two_by_hand() -> None:
    """A sure 0 and a coin of N(0, 1): E max(0, Z) = 1/√(2π). Nothing unknown: nothing to gain."""
    assert expected_rise(np.zeros(2), np.array([[0.0, 1.0]]))[0] == pytest.approx(1 / np.sqrt(2 * np.pi))
    assert expected_rise(np.array([1.0, 0.3]), np.zeros((1, 2))).tolist() == [0.0]


@pytest.mark.parametrize("mean", [-2.0, 0.4, 2.0])
def test_evoi_of_ratings_is_brute_force(mean: float) -> None:
    """Every answer, what it makes of the belief, and the best item then."""
    candidates, belief = make(), belief_of(mean)
    taste = candidates.population.taste
    found = evoi(belief, candidates, rng=rng_of())
    before = (candidates.items.level + belief.score(candidates.items.factors)).max()
    for item in range(3):
        centre = candidates.items.level[item] + candidates.items.factors[item] @ belief.mean
        spread = np.sqrt(belief.variance(candidates.items.factors)[item] + candidates.noise[item])

        def best(answer: float, item: int = item, centre: float = centre, spread: float = spread) -> float:
            after = taste.observe(belief, item, answer)
            top = (candidates.items.level + after.score(candidates.items.factors)).max()
            return float(top * norm.pdf(answer, centre, spread))

        ends = centre - 9 * spread, centre + 9 * spread
        assert found[item] == pytest.approx(quad(best, *ends, limit=400)[0] - before, abs=1e-6)


@pytest.mark.parametrize("mean", [-2.0, 0.4, 2.0])
def test_evoi_of_likes_is_the_mean_over_both_answers(mean: float) -> None:
    candidates, belief = make("probit"), belief_of(mean)
    taste, items = candidates.population.taste, candidates.items
    found = evoi(belief, candidates, rng=rng_of())
    before = (items.level + belief.score(items.factors)).max()
    spread = np.sqrt(candidates.noise + belief.variance(items.factors))
    yes = norm.cdf((items.level + belief.score(items.factors)) / spread)
    for item in range(3):
        after = [taste.observe(belief, item, liked_) for liked_ in (1.0, 0.0)]
        best = [(items.level + one.score(items.factors)).max() for one in after]
        assert found[item] == pytest.approx(yes[item] * best[0] + (1 - yes[item]) * best[1] - before, abs=1e-9)


def test_what_is_rated_is_in_no_slate() -> None:
    world = make_world()
    rated = world.offered.given.rated()[0]
    assert not set(rated) & set(contenders(world.one, world.offered))
    all_rated = replace(world.offered, given=Given(np.arange(12), np.ones(12)))
    assert len(contenders(world.one, all_rated)) == 12


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_two_questions_are_worth_at_least_one(kind: Kind) -> None:
    world = make_world(kind)
    one = evoi(world.one, world.offered, rng=rng_of())
    two = evoi_lookahead(world.one, world.offered, rng=rng_of())
    assert (two >= one - 0.02).all()  # the first answer is taken at five points only
    assert two.max() > one.max()


def test_the_second_question_follows_the_first_answer() -> None:
    """Of likes, by brute force over the tree: first answer, best second question, second answer, best item."""
    candidates, belief = make("probit"), belief_of()
    taste, items = candidates.population.taste, candidates.items

    def answers(held: Belief, item: int) -> list[tuple[float, Belief]]:
        spread = np.sqrt(items.factors[item] @ held.covariance @ items.factors[item] + candidates.noise[item])
        yes = norm.cdf((items.level[item] + items.factors[item] @ held.mean) / spread)
        return [(yes, taste.observe(held, item, 1.0)), (1 - yes, taste.observe(held, item, 0.0))]

    def top(held: Belief) -> float:
        return float((items.level + held.score(items.factors)).max())

    for first, found in enumerate(evoi_lookahead(belief, candidates, rng=rng_of())):
        total = 0.0
        for chance, held in answers(belief, first):
            others = [item for item in range(3) if item != first]
            total += chance * max(sum(p * top(after) for p, after in answers(held, item)) for item in others)
        assert found == pytest.approx(total - top(belief), abs=1e-9)


def test_a_lone_question_has_nothing_after_it() -> None:
    candidates = make("probit").take(np.array([1]))
    two = evoi_lookahead(belief_of(), candidates, rng=rng_of())
    np.testing.assert_allclose(two, evoi(belief_of(), candidates, rng=rng_of()), atol=1e-12)


def test_value_of_answers_is_never_negative() -> None:
    for kind in ("gaussian", "probit", "implicit"):
        world = make_world(kind)
        assert (value_of_answers(world.one, world.offered, world.offered.shown) >= 0).all()


def test_gains_and_the_best_list_by_hand() -> None:
    candidates = make()
    assert gains(np.array([1.0, 2.0, 5.0]), np.ones(3), candidates).tolist() == pytest.approx([0, 1, 15])
    assert gains(np.array([0.0]), np.ones(1), make("probit")).tolist() == [0.5]
    assert best_dcg(np.array([1.0, 15.0, 3.0])) == pytest.approx(15 + 3 / np.log2(3) + 1 / 2)
    assert best_dcg(np.arange(20.0)) == pytest.approx(sum((19 - r) / np.log2(2 + r) for r in range(10)))


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_chances_of_answers_add_to_one_and_average_to_the_prediction(kind: Kind) -> None:
    candidates, belief, rng = make(kind), belief_of(), rng_of()
    tastes = rng.multivariate_normal(belief.mean, belief.covariance, size=40_000)
    chances = answer_chances(tastes, belief, candidates)
    np.testing.assert_allclose(chances.sum(-1), 1.0)
    spread = np.sqrt(candidates.noise + belief.variance(candidates.items.factors))
    no = norm.cdf(-(candidates.items.level + belief.score(candidates.items.factors)) / spread)
    expected = np.full((3, 6), 1 / 6) if kind == "gaussian" else np.stack([no, 1 - no], -1)
    np.testing.assert_allclose(chances.mean(0), expected, atol=0.01)


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_the_value_for_the_list_is_never_below_zero_and_grows_with_what_is_unknown(kind: Kind) -> None:
    world = make_world(kind)
    found = evoi_ndcg(world.one, world.offered, rng=rng_of())
    assert (found >= 0).all()
    assert (found <= 1).all()
    known = Belief(world.one.mean, 1e-8 * world.one.covariance)
    assert evoi_ndcg(known, world.offered, rng=rng_of()).max() < 1e-4 < found.max()


def test_an_answer_that_says_nothing_of_the_list_is_worth_nothing() -> None:
    """The first item lies in a dimension of its own and is rated already; the others do not hang on it."""
    means = np.array([[0.0, 2.0, 0.0, 0.0], [3.0, 0.0, 1.0, 0.0], [3.0, 0.0, 0.0, 1.0]])
    items = Items.build(means, np.zeros((3, 4, 4)), np.ones(3))
    population = Population(sparse.csr_matrix((1, 3)), np.array([1.0, 5.0]), Taste.build(items, Gaussian()))
    candidates = Candidates.of_all(population, np.zeros((3, 2)), targets=np.full(3, 1 / 3))
    candidates = replace(candidates, given=Given(np.array([0]), np.array([3.0])))
    belief = Belief(np.zeros(3), np.eye(3))
    by_list = np.mean([evoi_ndcg(belief, candidates, rng=rng_of(seed)) for seed in range(20)], 0)
    assert by_list[0] < 0.1 * by_list[1]  # what is left is chance agreement of the draws
    assert evoi(belief, candidates, rng=rng_of())[0] == 0.0
    assert evoi(belief, candidates, rng=rng_of())[1] > 0.1


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_what_is_asked_for_the_list_is_worth_nearly_what_the_best_is(kind: Kind) -> None:
    """By the same value over thirty times as many tastes."""
    rng = rng_of()
    means = rng.normal(0.0, 0.4, (60, 9))
    items = Items.build(means, np.zeros((60, 9, 9)), np.ones(60))
    population = Population(
        sparse.csr_matrix((1, 60)), np.array([0.0, 1.0]), Taste.build(items, likelihoods.named(kind))
    )
    candidates = Candidates.of_all(population, np.zeros((60, 2)), targets=np.full(60, 1 / 60))
    belief = Belief(np.zeros(8), np.diag(np.linspace(0.3, 2.0, 8)))
    with mock.patch("palate.acquisition.literature.value_of_information._SPREAD", 8_192):
        worth = evoi_ndcg(belief, candidates, rng=rng)
    asked = [evoi_ndcg(belief, candidates, rng=rng_of(seed)).argmax() for seed in range(20)]
    assert np.mean(worth[asked]) > 0.975 * worth.max()


def test_expected_loss_of_one_item_is_the_mean_best_list_less_the_best_mean_list() -> None:
    """By brute force over the same draws."""
    world = make_world()
    found = expected_loss_dcg(world.one, world.offered, rng=rng_of())
    shown = contenders(world.one, world.offered)
    root = np.linalg.eigh(world.one.covariance)
    half = root.eigenvectors * np.sqrt(root.eigenvalues)
    tastes = world.one.mean + rng_of().standard_normal((128, 4)) @ half.T
    items = world.offered.items
    gain = gains(items.level + tastes @ items.factors.T, items.answer_noise, world.offered)
    for item in range(len(items)):
        others = gain.mean(0)[shown[shown != item]]
        lists = np.array([best_dcg(np.append(others, one)) for one in gain[:, item]])
        assert found[item] == pytest.approx(lists.mean() - best_dcg(np.append(others, gain[:, item].mean())), abs=1e-9)


def test_the_loss_of_a_user_falls_to_nothing_as_the_taste_is_known() -> None:
    world = make_world()
    unsure = loss_of_user(world.one, world.offered, rng=rng_of())
    surer = loss_of_user(Belief(world.one.mean, 0.01 * world.one.covariance), world.offered, rng=rng_of())
    known = loss_of_user(Belief(world.one.mean, 0.0 * world.one.covariance), world.offered, rng=rng_of())
    assert unsure > surer > known
    assert known == pytest.approx(0.0, abs=1e-12)
