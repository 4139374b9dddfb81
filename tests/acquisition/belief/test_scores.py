"""Each strategy against numbers worked out by hand, by brute force or by what an answer really does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.integrate import quad
from scipy.stats import norm

from palate.acquisition import Candidates, Given, Population
from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.a_optimal_relative import a_optimal_relative
from palate.acquisition.belief.bald import bald
from palate.acquisition.belief.entropy import entropy
from palate.acquisition.belief.epig import epig
from palate.acquisition.belief.list_value import CONTENDERS, LATER, list_gain, list_value
from palate.acquisition.belief.lookahead import lookahead
from palate.acquisition.belief.popularity import popularity
from palate.acquisition.belief.random import random
from palate.acquisition.belief.variance import variance
from palate.errors import OptionError
from palate.posteriors import likelihoods
from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.taste import Taste
from palate.testing.strategies import World, make_world

IMPLICIT = Implicit(20.0, 5.0)


def pair(kind: str = "gaussian", *, mean: float = 0.4) -> tuple[Belief, Candidates]:
    """Two items that share one of two dimensions, and a belief in which the dimensions hang together."""
    belief = Belief(np.array([mean, -0.3]), np.array([[0.9, 0.3], [0.3, 0.5]]))
    means = np.array([[0.2, 1.1, 0.4], [-0.3, 0.8, -1.2]])
    items = Items.build(means, np.tile(0.05 * np.eye(3), (2, 1, 1)), np.array([1.0, 1.0 if kind == "probit" else 0.7]))
    likelihood = IMPLICIT if kind == "implicit" else likelihoods.named(kind)
    return belief, offered(items, likelihood)


def offered(items: Items, likelihood: Likelihood) -> Candidates:
    """Everything to a new user, who will be shown the second item."""
    nobody = Population(sparse.csr_matrix((1, 2)), np.array([0.0, 1.0]), Taste.build(items, likelihood))
    return Candidates.of_all(nobody, np.ones((2, 1)), targets=np.array([0.0, 1.0]))


def latent(belief: Belief, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2,) and covariance (2, 2) of what the two answers are about, in units of their noise."""
    unit = np.sqrt(candidates.noise)
    factors = candidates.items.factors / unit[:, None]
    return candidates.items.level / unit + factors @ belief.mean, factors @ belief.covariance @ factors.T


# ---- simple ones ----------------------------------------------------------------------------------------------------


def test_entropy_of_known_shares() -> None:
    belief, candidates = pair()
    shares = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.25, 0.25, 0.5], [0.0, 0.0, 0.0]])
    items = candidates.items.take(np.array([0, 0, 0, 0]))
    four = replace(candidates, items=items, levels=shares)
    with np.errstate(all="raise"):
        found = entropy(belief, four, rng=np.random.default_rng(0))
    assert found.tolist() == pytest.approx([np.log(2), 0.0, 1.5 * np.log(2), 0.0])


def test_popularity_counts() -> None:
    belief, candidates = pair()
    found = popularity(belief, replace(candidates, counts=np.array([3.0, 8.0])), rng=np.random.default_rng(0))
    assert found.tolist() == [3.0, 8.0]


def test_random_is_uniform_and_moves_with_the_generator() -> None:
    belief, candidates = pair()
    rng = np.random.default_rng(0)
    draws = np.array([random(belief, candidates, rng=rng) for _ in range(2_000)])
    assert draws.mean(0) == pytest.approx([0.5, 0.5], abs=0.03)
    assert len(np.unique(draws)) == draws.size


def test_variance_of_a_rating_is_the_predicted_one_for_a_taste_from_the_population() -> None:
    _, candidates = pair()
    population = Belief(np.zeros(2), np.eye(2))
    _, predicted = candidates.items.predict(population)
    np.testing.assert_allclose(variance(population, candidates, rng=np.random.default_rng(0)), predicted)


def test_variance_of_a_like_is_that_of_a_coin() -> None:
    belief, candidates = pair("probit")
    mean, covariance = latent(belief, candidates)
    chance = norm.cdf(mean / np.sqrt(1.0 + np.diag(covariance)))
    np.testing.assert_allclose(variance(belief, candidates, rng=np.random.default_rng(0)), chance * (1 - chance))


# ---- information ----------------------------------------------------------------------------------------------------


def test_bald_of_ratings_is_the_mutual_information() -> None:
    """Entropy of the answer less that of its noise, both integrated."""
    belief, candidates = pair()
    found = bald(belief, candidates, rng=np.random.default_rng(0))
    of_taste, noise = belief.variance(candidates.items.factors), candidates.noise

    def differential_entropy(spread: float) -> float:
        return quad(lambda y: -norm.pdf(y, 0, spread) * norm.logpdf(y, 0, spread), -12 * spread, 12 * spread)[0]

    for i in range(2):
        exact = differential_entropy(np.sqrt(of_taste[i] + noise[i])) - differential_entropy(np.sqrt(noise[i]))
        assert found[i] == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("mean", [-4.0, 0.4, 2.0])
def test_bald_of_likes_is_the_mutual_information(mean: float) -> None:
    belief, candidates = pair("probit", mean=mean)
    found = bald(belief, candidates, rng=np.random.default_rng(0))
    means, covariance = latent(belief, candidates)

    def coin(p: float) -> float:
        return -sum(q * np.log(q) for q in (p, 1 - p) if q > 0)

    for i in range(2):
        s, spread = means[i], np.sqrt(covariance[i, i])
        unsure = quad(lambda x, s=s, v=spread: norm.pdf(x, s, v) * coin(norm.cdf(x)), s - 12 * spread, s + 12 * spread)[
            0
        ]
        assert found[i] == pytest.approx(coin(norm.cdf(s / np.sqrt(1 + spread**2))) - unsure, abs=2e-6)


def epig_of(belief: Belief, candidates: Candidates) -> np.ndarray:
    return epig(belief, candidates, rng=np.random.default_rng(0), n_targets=8)


def test_epig_of_ratings_is_the_mutual_information() -> None:
    """All targets are the second item, of which a new answer is meant; integrated over both answers."""
    belief, candidates = pair()
    found = epig_of(belief, candidates)
    factors, noise = candidates.items.factors, candidates.noise
    for i in range(2):
        both = factors[[i, 1]]
        covariance = both @ belief.covariance @ both.T + np.diag([noise[i], noise[1]])
        side = np.linspace(-9, 9, 601)
        x, y = np.meshgrid(side * np.sqrt(covariance[0, 0]), side * np.sqrt(covariance[1, 1]), indexing="ij")
        grid = np.stack([x, y], -1)
        log_joint = -0.5 * np.einsum("xyd,de,xye->xy", grid, np.linalg.inv(covariance), grid)
        log_joint -= 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
        log_apart = norm.logpdf(x, 0, np.sqrt(covariance[0, 0])) + norm.logpdf(y, 0, np.sqrt(covariance[1, 1]))
        cell = (side[1] - side[0]) ** 2 * np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert found[i] == pytest.approx((np.exp(log_joint) * (log_joint - log_apart)).sum() * cell, rel=1e-6)


@pytest.mark.parametrize("mean", [-3.0, 0.4, 2.0])
def test_epig_of_likes_is_the_mutual_information(mean: float) -> None:
    """The four outcomes of two answers, their chances integrated over both latent values."""
    belief, candidates = pair("probit", mean=mean)
    found = epig_of(belief, candidates)
    means, whole = latent(belief, candidates)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    for i in range(2):
        covariance = whole[np.ix_([i, 1], [i, 1])] + 1e-12 * np.eye(2)
        root = np.linalg.cholesky(covariance)
        first = means[i] + root[0, 0] * nodes[:, None]
        second = means[1] + root[1, 0] * nodes[:, None] + root[1, 1] * nodes[None, :]
        yes = norm.cdf(first) + 0 * second, norm.cdf(second)
        joint = np.array([[(weights * a * b).sum() for b in (yes[1], 1 - yes[1])] for a in (yes[0], 1 - yes[0])])
        apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        assert found[i] == pytest.approx((joint * np.log(joint / apart)).sum(), abs=2e-5)


@pytest.mark.parametrize("deviation", [1.0, 2.5, 5.0, 10.0])
def test_epig_of_likes_holds_where_next_to_nothing_is_known(deviation: float) -> None:
    """Latent deviations of up to ten times the noise: the first value on a grid, the second integrated out."""
    belief, candidates = pair("probit")
    _, covariance = latent(belief, candidates)
    belief = replace(belief, covariance=belief.covariance * deviation**2 / covariance[1, 1])
    found = epig_of(belief, candidates)
    means, covariance = latent(belief, candidates)
    side = np.linspace(-10.0, 10.0, 20_001)
    weights = norm.pdf(side) * (side[1] - side[0])
    for i in range(2):
        first, slope = means[i] + side * np.sqrt(covariance[i, i]), covariance[i, 1] / covariance[i, i]
        second = means[1] + slope * side * np.sqrt(covariance[i, i])
        second = second / np.sqrt(1.0 + max(covariance[1, 1] - slope * covariance[i, 1], 0.0))
        joint = np.array([[weights @ (norm.cdf(a * first) * norm.cdf(b * second)) for b in (1, -1)] for a in (1, -1)])
        apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        assert found[i] == pytest.approx((joint * np.log(joint / apart)).sum(), rel=1e-4)


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_epig_does_not_hang_on_order_or_company_once_the_targets_are_held(kind: str) -> None:
    world = make_world(kind)
    target = np.zeros(len(world.candidates))
    target[4] = 1.0
    candidates = replace(world.offered, targets=target)
    straight = epig_of(world.one, candidates)
    order = np.random.default_rng(1).permutation(len(target))
    np.testing.assert_allclose(epig_of(world.one, candidates.take(order)), straight[order], atol=1e-12)
    np.testing.assert_allclose(epig_of(world.several, candidates)[0], straight, atol=1e-12)


def test_epig_draws_its_targets_from_q() -> None:
    world = make_world()
    scores = np.mean([epig(world.one, world.offered, rng=np.random.default_rng(s)) for s in range(200)], 0)
    each = []
    for j in range(len(world.candidates)):
        one_hot = (np.arange(len(world.candidates)) == j).astype(float)
        each.append(epig_of(world.one, replace(world.offered, targets=one_hot)))
    np.testing.assert_allclose(scores, world.offered.targets @ np.array(each), rtol=0.05)


def test_an_item_that_has_nothing_to_do_with_the_targets_tells_nothing_of_them() -> None:
    belief = Belief(np.zeros(2), np.eye(2))
    means = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    items = Items.build(means, np.zeros((2, 3, 3)), np.ones(2))
    for likelihood in (Gaussian(), Probit()):
        candidates = offered(items, likelihood)
        assert epig_of(belief, candidates)[0] == pytest.approx(0.0, abs=1e-12)
        assert epig_of(belief, candidates)[1] > 0.05
        assert a_optimal(belief, candidates, rng=np.random.default_rng(0))[0] == pytest.approx(0.0, abs=1e-12)


# ---- A-optimality ---------------------------------------------------------------------------------------------------


def of_world(world: World) -> tuple[Belief, Candidates, Taste]:
    return world.one, world.offered, Taste.build(world.candidates.items, world.candidates.likelihood)


def target_variance(belief: Belief, candidates: Candidates) -> float:
    return float(candidates.targets @ belief.variance(candidates.items.factors))


@pytest.mark.parametrize("likelihood", [Gaussian(), IMPLICIT], ids=lambda one: one.kind)
def test_a_optimal_is_the_fall_of_the_targets_variance(likelihood: Likelihood) -> None:
    world = make_world()
    belief, candidates, _ = of_world(replace(world, candidates=replace(world.candidates, likelihood=likelihood)))
    taste = Taste.build(candidates.items, likelihood)
    found = a_optimal(belief, candidates, rng=np.random.default_rng(0))
    before = target_variance(belief, candidates)
    for item in range(len(candidates)):
        after = taste.observe(belief, item, 1.0)
        assert found[item] == pytest.approx(before - target_variance(after, candidates), rel=1e-9)


def test_a_optimal_of_likes_is_the_fall_expected_over_both_answers() -> None:
    belief, candidates, taste = of_world(make_world("probit"))
    found = a_optimal(belief, candidates, rng=np.random.default_rng(0))
    before = target_variance(belief, candidates)
    mean = candidates.items.level + belief.score(candidates.items.factors)
    chance = norm.cdf(mean / np.sqrt(candidates.noise + belief.variance(candidates.items.factors)))
    for item in range(len(candidates)):
        yes, no = (target_variance(taste.observe(belief, item, liked), candidates) for liked in (1.0, 0.0))
        assert found[item] == pytest.approx(before - chance[item] * yes - (1 - chance[item]) * no, rel=1e-9)


def test_targets_of_each_user_are_their_own() -> None:
    world = make_world()
    q = np.random.default_rng(0).dirichlet(np.ones(12), size=3)
    together = a_optimal(world.several, replace(world.candidates, targets=q), rng=np.random.default_rng(0))
    for user in range(3):
        belief = Belief(world.several.mean[user], world.several.covariance[user])
        alone = a_optimal(belief, replace(world.candidates, targets=q[user]), rng=np.random.default_rng(0))
        np.testing.assert_allclose(together[user], alone, rtol=1e-10)


# ---- against their own variance, and two steps ahead ----------------------------------------------------------------


def test_a_optimal_relative_is_the_mean_squared_correlation() -> None:
    world = make_world()
    belief, candidates, _ = of_world(world)
    found = a_optimal_relative(belief, candidates, rng=np.random.default_rng(0))
    factors = candidates.items.factors
    joint = factors @ belief.covariance @ factors.T
    spread = joint.diagonal() + candidates.noise
    squared = joint**2 / (spread[:, None] * spread)
    np.testing.assert_allclose(found, squared @ candidates.targets, rtol=1e-9)


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_lookahead_is_the_value_of_knowing_what_can_be_asked_next(kind: str) -> None:
    """Every question and both outcomes by what the exposure really becomes."""
    belief, candidates, _ = of_world(make_world(kind))
    found = lookahead(belief, candidates, rng=np.random.default_rng(0))
    answerability, exposure = candidates.answerability, candidates.exposure
    now = a_optimal_relative(belief, candidates, rng=np.random.default_rng(0))
    worth = candidates.reach / candidates.known * now
    for item in range(len(candidates)):
        others, p = np.arange(len(candidates)) != item, candidates.known[item]
        outcomes = [answerability.probability(answerability.observe(exposure, item, got)) for got in (False, True)]
        best_without, best_after = ((known * worth)[others].max() for known in outcomes)
        told = p * best_after + (1 - p) * best_without - (candidates.known * worth)[others].max()
        assert found[item] == pytest.approx(candidates.reach[item] * now[item] + told, rel=1e-9)


def test_lookahead_has_nothing_to_learn_where_everything_can_be_answered() -> None:
    belief, candidates = pair()
    found = lookahead(belief, candidates, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found, a_optimal_relative(belief, candidates, rng=np.random.default_rng(0)))


# ---- the list -------------------------------------------------------------------------------------------------------


def many(kind: str = "gaussian", *, items: int = 30, rated: tuple[int, ...] = ()) -> tuple[Belief, Candidates]:
    """A user who was asked about some of thirty items, which they know with different chances."""
    rng = np.random.default_rng(1)
    means = rng.normal(0.0, 0.7, (items, 3))
    beliefs = Items.build(
        means, np.tile(0.05 * np.eye(3), (items, 1, 1)), np.full(items, 1.0 if kind == "probit" else 0.7)
    )
    likelihood = likelihoods.named(kind)
    population = Population(sparse.csr_matrix((1, items)), np.array([0.0, 1.0]), Taste.build(beliefs, likelihood))
    loadings = rng.normal(0.0, 0.12, (items, 2))
    rate = rng.uniform(0.25, 0.6, items)
    answerability = Answerability(rate, loadings, rate * (1 - rate) - (loadings**2).sum(1))
    exposure = Belief(np.array([0.3, -0.5]), np.array([[0.7, 0.1], [0.1, 0.9]]))
    given = Given(np.array(rated, dtype=np.intp), np.ones(len(rated)))
    everything = Candidates.of_all(population, np.ones((items, 1)), targets=np.full(items, 1 / items), like_cut=0.2)
    belief = Belief(np.array([0.4, -0.3]), np.array([[0.9, 0.3], [0.3, 0.5]]))
    return belief, everything.aimed(answerability, exposure, given)


def chances_of(candidates: Candidates, belief: Belief, exposure: Belief) -> np.ndarray:
    """P(knows) P(likes) of every item, (I,)."""
    items, answerability = candidates.items, candidates.answerability
    assert answerability is not None
    mean = items.level + items.factors @ belief.mean - candidates.like_cut
    spread = np.einsum("id,de,ie->i", items.factors, belief.covariance, items.factors) + items.answer_noise
    known = np.clip(answerability.rate + answerability.loadings @ exposure.mean, answerability.floor, 1.0)
    return known * norm.cdf(mean / np.sqrt(spread))


@pytest.mark.parametrize(("items", "rated"), [(30, ()), (30, (3, 7)), (70, ())])
def test_the_value_for_the_list_is_what_three_answers_do_to_it(items: int, rated: tuple[int, ...]) -> None:
    """Each answer told to both beliefs, and the lists made anew; what is asked, or was rated, is on none."""
    belief, candidates = many(items=items, rated=rated)
    answerability, exposure = candidates.answerability, candidates.exposure
    assert answerability is not None and exposure is not None
    found, gained = list_value(belief, candidates, rng=np.random.default_rng(0)), list_gain(belief, candidates)
    now = chances_of(candidates, belief, exposure)
    now[list(rated)] = -1.0
    everything = np.argsort(-now)[: min(CONTENDERS, len(now) - len(rated))]
    added, risen, resolved = np.zeros((3, len(candidates)))
    for item in range(len(candidates)):
        there = everything[everything != item]
        factors, noise = candidates.items.factors[item], candidates.items.answer_noise[item]
        step = np.sqrt(factors @ belief.covariance @ factors + noise)
        known = candidates.known[item]
        after = [
            (1 - known, belief, False),
            (known / 2, belief.update(factors, step, noise), True),
            (known / 2, belief.update(factors, -step, noise), True),
        ]
        before = dcg(chances_of(candidates, belief, exposure)[there])
        for chance, taste, answered in after:
            then = chances_of(candidates, taste, answerability.observe(exposure, item, answered))[there]
            added[item] += chance * (dcg(then) - before) / before
            risen[item] += chance * (dcg(then) - before) / dcg(np.ones(10))
        of_taste = correlations(candidates.items.factors, belief, candidates.items.answer_noise)[item, there]
        of_known = correlations(answerability.loadings, exposure, answerability.noise)[item, there]
        resolved[item] = (known * of_taste**2 + of_known**2).mean()
    assert (added > 0).sum() > 5 and (added.max() > resolved.min())
    np.testing.assert_allclose(gained, risen, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found, added + LATER * resolved, rtol=1e-9)


def correlations(factors: np.ndarray, belief: Belief, noise: np.ndarray) -> np.ndarray:
    covariance = factors @ belief.covariance @ factors.T
    deviation = np.sqrt(covariance.diagonal() + noise)
    return covariance / np.outer(deviation, deviation)


def dcg(chances: np.ndarray) -> float:
    return float(np.sort(chances)[::-1][:10] @ (1 / np.log2(np.arange(2, 12))))


def test_the_value_for_the_list_of_many_users_is_that_of_each() -> None:
    belief, candidates = many()
    exposure = candidates.exposure
    assert exposure is not None and candidates.answerability is not None
    two = Belief(np.stack([belief.mean, -belief.mean]), np.stack([belief.covariance, 0.5 * belief.covariance]))
    exposures = Belief(np.stack([exposure.mean, -exposure.mean]), np.stack([exposure.covariance] * 2))
    both = candidates.aimed(candidates.answerability, exposures, Given.nothing(2))
    found = list_value(two, both, rng=np.random.default_rng(0))
    for user in range(2):
        one = candidates.aimed(candidates.answerability, exposures.of(user), Given.nothing())
        np.testing.assert_allclose(found[user], list_value(two.of(user), one, rng=np.random.default_rng(0)))
    assert not np.allclose(found[0], found[1])


def test_the_value_for_the_list_where_everything_is_known_is_the_ratings_alone() -> None:
    """What can be answered is known to be known, so that no answer says anything of that."""
    belief, candidates = many()
    assert candidates.answerability is not None and candidates.exposure is not None
    sure = candidates.aimed(candidates.answerability, candidates.exposure, Given.nothing(), answerable=True)
    known_taste = Belief(belief.mean, np.zeros((2, 2)))
    assert (list_value(belief, sure, rng=np.random.default_rng(0)) > 0).all()
    np.testing.assert_allclose(list_value(known_taste, sure, rng=np.random.default_rng(0)), 0.0, atol=1e-12)


def test_the_value_for_the_list_of_events_is_lookahead() -> None:
    belief, candidates = pair("implicit")
    rng = np.random.default_rng
    np.testing.assert_array_equal(list_value(belief, candidates, rng=rng(0)), lookahead(belief, candidates, rng=rng(0)))
    with pytest.raises(OptionError, match="Take lookahead"):
        list_gain(belief, candidates)
