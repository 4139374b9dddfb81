"""Bandits and values of information against brute force, sampling and numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, norm

from palate.acquisition import Candidates, Given, Population
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
from palate.acquisition.literature.cofiba import cofiba
from palate.acquisition.literature.crowd import k_means
from palate.acquisition.literature.knn_bandit import knn_bandit
from palate.acquisition.literature.pair_values import eubo_pairs, pairwise_bald
from palate.acquisition.literature.pebol import item_beliefs, pebol_thompson, pebol_ucb
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
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian, Kind, Likelihood
from palate.posteriors.taste import Taste
from palate.testing.strategies import make_world

# Their scores hang on draws that fall otherwise for candidates in another order.


# Four users, three items, ratings 1 to 5; nobody rated the third item.
RATINGS = np.array([[5.0, 1.0, 0.0], [5.0, 5.0, 0.0], [1.0, 5.0, 0.0], [1.0, 0.0, 0.0]])
MEANS = np.array([[3.0, 1.0, 0.5], [3.0, -0.8, 0.9], [2.5, 0.3, -1.0]])


def make(kind: Kind = "gaussian", *, asked: list[int] | None = None, answers: list[float] | None = None) -> Candidates:
    """Three items to one user who gave these answers."""
    items = Items.build(MEANS, np.tile(0.04 * np.eye(3), (3, 1, 1)), np.full(3, 1.0 if kind == "probit" else 0.5))
    cells = np.nonzero(RATINGS)
    values = RATINGS[cells] if kind != "probit" else (RATINGS[cells] > 3).astype(float)
    levels = np.array([1.0, 5.0]) if kind != "probit" else np.array([0.0, 1.0])
    matrix = sparse.csr_matrix((values, cells), shape=RATINGS.shape)
    content = np.array([[1.0, 0.0], [3.0, 4.0], [-1.0, 0.0]], dtype=np.float32)
    population = Population(matrix, levels, Taste.build(items, Likelihood.named(kind)), content)
    offered = Candidates.of_all(population, np.zeros((3, 2)), targets=np.full(3, 1 / 3))
    return replace(offered, given=Given(np.array(asked or [], dtype=np.intp), np.array(answers or [])))


def belief_of(mean: float = 0.4) -> Belief:
    return Belief(np.array([mean, -0.3]), np.array([[0.9, 0.3], [0.3, 0.5]]))


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# ---- rewards, means and bounds ---------------------------------------------------------------------------------------


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


# ---- neighbours and clusters -----------------------------------------------------------------------------------------


def test_liked_is_at_or_above_the_mean_of_all() -> None:
    assert liked(make().population).toarray().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_knn_bandit_counts_hits_and_misses_of_what_a_neighbour_likes() -> None:
    """The user likes item 0: users 0 and 1 have a hit, so Beta(2, 1) with mean 2/3; the others Beta(1, 1)."""
    candidates, rng = make(asked=[0, 2], answers=[5.0, np.nan]), rng_of()
    mean = np.mean([knn_bandit(belief_of(), candidates, rng=rng) for _ in range(1_500)], 0)
    np.testing.assert_allclose(mean, [2 / 3 + 2 / 3, 2 / 3 + 1 / 2, 0.0], atol=0.04)


def test_knn_bandit_after_a_dislike() -> None:
    candidates, rng = make(asked=[0], answers=[1.0]), rng_of()
    mean = np.mean([knn_bandit(belief_of(), candidates, rng=rng) for _ in range(1_500)], 0)
    np.testing.assert_allclose(mean, [1 / 3 + 1 / 3, 1 / 3 + 1 / 2, 0.0], atol=0.04)


@pytest.mark.parametrize("start", [[0.0, 0.0], [-0.8, 2.04]], ids=["a point", "the mean"])
def test_k_means_of_plain_groups(start: list[float]) -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.0, 5.2], [-9.0, 0.0]])
    centres, of_point = k_means(points, np.array(start), 3, rounds=10)
    assert len({of_point[0], of_point[2], of_point[4]}) == 3
    assert of_point[0] == of_point[1]
    assert of_point[2] == of_point[3]
    np.testing.assert_allclose(centres[of_point[2]], [5.0, 5.1])


def test_fewer_different_points_than_clusters() -> None:
    centres, of_point = k_means(np.ones((4, 2)), np.ones(2), 3, rounds=10)
    assert of_point.tolist() == [0, 0, 0, 0]
    assert centres.tolist() == [[1.0, 1.0]]
    centres, of_point = k_means(np.zeros((0, 2)), np.zeros(2), 3, rounds=10)
    assert (centres.tolist(), of_point.tolist()) == ([[0.0, 0.0]], [])


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


# ---- beliefs over descriptions ---------------------------------------------------------------------------------------


def test_pebol_beliefs_by_hand() -> None:
    """Content (1, 0), (3, 4) and (−1, 0): cosines .6 and, cut at 0, none; 4 of 1 to 5 is a reward of ¾."""
    alpha, gamma = item_beliefs(make(asked=[0], answers=[4.0]))
    assert alpha.tolist() == pytest.approx([1.75, 1.45, 1.0])
    assert gamma.tolist() == pytest.approx([1.25, 1.15, 1.0])


def test_pebol_without_content_hears_of_the_item_alone() -> None:
    candidates = make(asked=[0, 1], answers=[5.0, np.nan])
    bare = Population(candidates.population.answers, np.array([1.0, 5.0]), candidates.population.taste)
    alpha, gamma = item_beliefs(replace(candidates, population=bare))
    assert alpha.tolist() == [2.0, 1.0, 1.0]
    assert gamma.tolist() == [1.0, 1.0, 1.0]


def test_pebol_scores_come_from_those_beliefs() -> None:
    candidates = make(asked=[0], answers=[4.0])
    alpha, gamma = item_beliefs(candidates)
    np.testing.assert_allclose(pebol_ucb(belief_of(), candidates, rng=rng_of()), beta.ppf(0.9, alpha, gamma))
    rng = rng_of()
    draws = np.array([pebol_thompson(belief_of(), candidates, rng=rng) for _ in range(5_000)])
    np.testing.assert_allclose(draws.mean(0), beta.mean(alpha, gamma), atol=0.02)


# ---- value of information --------------------------------------------------------------------------------------------


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


# ---- lists -----------------------------------------------------------------------------------------------------------


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


# ---- pairs -----------------------------------------------------------------------------------------------------------

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
