"""What answers to pairs, groups, previews and concepts do to a belief: against numerical integration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.integrate import quad
from scipy.stats import norm

from palate.costs import Seconds
from palate.entities import Form
from palate.errors import OptionError
from palate.posteriors import likelihoods
from palate.posteriors.answerability import Answerability, compared, known_chance, like_chance, not_named
from palate.posteriors.belief import Belief
from palate.posteriors.concepts import Concepts
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian, Implicit
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.probit import assumed_density, expected_curvature
from palate.posteriors.taste import Taste


def exact(chance: Callable[[float], float], mean: float, variance: float) -> tuple[float, float, float]:
    """P(answer), and the moments of s ~ N(mean, variance) after it, by quadrature."""
    spread = np.sqrt(variance)

    def moment(power: int) -> float:
        return quad(lambda s: s**power * chance(s) * norm.pdf(s, mean, spread), mean - 12 * spread, mean + 12 * spread)[
            0
        ]

    total = moment(0)
    first = moment(1) / total
    return total, first, moment(2) / total - first**2


def a_taste(kind: str = "gaussian", items: int = 4, dim: int = 2) -> Taste:
    draw = np.random.default_rng(3)
    means = draw.normal(size=(items, dim + 1))
    means[:, 0] += 3.5
    covariances = np.tile(0.05 * np.eye(dim + 1), (items, 1, 1))
    likelihood = likelihoods.named(kind) if kind != "implicit" else Implicit(20.0, 5.0)  # type: ignore[arg-type]
    return Taste.build(Items.build(means, covariances, np.full(items, 0.8)), likelihood)


def along(belief: Belief, factors: np.ndarray) -> tuple[float, float]:
    return float(factors @ belief.mean), float(factors @ belief.covariance @ factors)


# ---- not tapped: disliked, or not known -----------------------------------------------------------------------------


@pytest.mark.parametrize("known", [1.0, 0.7, 0.05])
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.4, 0.3), (-2.0, 4.0), (3.0, 2.0)])
def test_moments_after_no_tap_are_exact(known: float, mean: float, variance: float) -> None:
    _, after, left = exact(lambda s: 1.0 - known * norm.cdf(s), mean, variance)
    first, second = assumed_density(np.array(mean), np.array(variance), np.array(0.0), known=known)
    assert mean + variance * first == pytest.approx(after, rel=1e-7, abs=1e-9)
    assert variance + variance**2 * second == pytest.approx(left, rel=1e-7)


@pytest.mark.parametrize("known", [1.0, 0.7, 0.05])
def test_moments_after_a_tap_do_not_hang_on_how_well_it_was_known(known: float) -> None:
    sure = assumed_density(np.array(0.4), np.array(1.3), np.array(1.0))
    assert assumed_density(np.array(0.4), np.array(1.3), np.array(1.0), known=known) == sure


def test_no_tap_of_something_surely_liked_and_hardly_known_can_make_a_belief_wider() -> None:
    _, second = assumed_density(np.array(2.0), np.array(4.0), np.array(0.0), known=0.5)
    assert second > 0


@pytest.mark.parametrize("known", [1.0, 0.7, 0.05])
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.4, 0.3), (-2.0, 4.0)])
def test_expected_curvature_counts_both_ends_of_a_group(known: float, mean: float, variance: float) -> None:
    tap, _, if_tapped = exact(lambda s: known * norm.cdf(s), mean, variance)
    _, up, _ = exact(lambda s: known * norm.cdf(s), mean, variance)
    none, down, if_not = exact(lambda s: 1.0 - known * norm.cdf(s), mean, variance)
    fall = variance - (tap * if_tapped + none * if_not)
    assert tap * up + none * down == pytest.approx(mean, abs=1e-9)
    found = variance**2 * expected_curvature(np.array(mean), np.array(variance), known=known)
    assert found == pytest.approx(fall, rel=1e-6)


@pytest.mark.parametrize("mean", [-60.0, 60.0])
@pytest.mark.parametrize("known", [1.0, 0.5, 1e-3])
def test_far_out_nothing_is_lost_to_rounding(mean: float, known: float) -> None:
    for liked in (0.0, 1.0):
        assert np.isfinite(assumed_density(np.array(mean), np.array(0.1), np.array(liked), known=known)).all()
    assert np.isfinite(expected_curvature(np.array(mean), np.array(0.1), known=known))


@pytest.mark.parametrize("liked", [0.0, 1.0])
def test_however_far_out_an_answer_about_what_is_known_neither_widens_a_belief_nor_ends_it(liked: float) -> None:
    """Where the two terms of the second derivative are large and cancel, rounding would do either."""
    mean = np.concatenate([-np.logspace(0, 14, 60), np.logspace(0, 14, 60)])
    _, second = assumed_density(mean, np.array(0.5), np.array(liked), 0.3)
    assert (second <= 0.0).all() and (second >= -1.0 / 0.8).all()


# ---- taste ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preferred", [1.0, 0.0])
@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_a_pair_moves_the_difference_as_bayes_does(kind: str, preferred: float) -> None:
    taste = a_taste(kind)
    belief = Belief(np.array([0.3, -0.2]), np.array([[1.0, 0.2], [0.2, 0.6]]))
    between = taste.items.factors[0] - taste.items.factors[2]
    level = taste.items.level[0] - taste.items.level[2]
    noise = taste.items.answer_noise[0] + taste.items.answer_noise[2]
    mean, variance = along(belief, between)
    sign = 1.0 if preferred else -1.0
    _, after, left = exact(lambda s: norm.cdf(sign * (level + s) / np.sqrt(noise)), mean, variance)
    found = along(taste.observe_pair(belief, 0, 2, preferred), between)
    assert found == pytest.approx((after, left), rel=1e-6)


def test_the_other_order_of_a_pair_says_the_same() -> None:
    taste = a_taste()
    one = taste.observe_pair(taste.start, 0, 2, 1.0)
    two = taste.observe_pair(taste.start, 2, 0, 0.0)
    np.testing.assert_allclose(one.mean, two.mean, atol=1e-14)
    np.testing.assert_allclose(one.covariance, two.covariance, atol=1e-14)


def test_a_preview_is_a_like_with_more_noise() -> None:
    taste = a_taste()
    factors, level = taste.items.factors[1], taste.items.level[1] - 3.6
    noise = taste.items.answer_noise[1] + 2.0
    mean, variance = along(taste.start, factors)
    _, after, left = exact(lambda s: norm.cdf((level + s) / np.sqrt(noise)), mean, variance)
    found = along(taste.observe_like(taste.start, 1, 1.0, cut=3.6, noise=2.0), factors)
    assert found == pytest.approx((after, left), rel=1e-6)
    rating = along(taste.observe(taste.start, 1, 5.0), factors)
    assert rating[1] < found[1] < variance


def test_many_users_at_once_are_one_after_the_other() -> None:
    taste = a_taste()
    draw = np.random.default_rng(0)
    belief = Belief(draw.normal(size=(3, 2)), np.tile(np.eye(2), (3, 1, 1)))
    items, liked, known = np.array([0, 3, 1]), np.array([1.0, 0.0, 0.0]), np.array([0.4, 0.9, 0.2])
    together = taste.observe_like(belief, items, liked, cut=3.6, known=known)
    pairs = taste.observe_pair(belief, items, np.array([2, 2, 2]), liked)
    for user in range(3):
        alone = Belief(belief.mean[user], belief.covariance[user])
        one = taste.observe_like(alone, items[user], liked[user], cut=3.6, known=known[user])
        np.testing.assert_allclose(together.mean[user], one.mean, rtol=1e-12)
        two = taste.observe_pair(alone, items[user], 2, liked[user])
        np.testing.assert_allclose(pairs.covariance[user], two.covariance, rtol=1e-12)


def test_events_know_no_dislikes() -> None:
    taste = a_taste("implicit")
    with pytest.raises(OptionError, match=r"^a model of events has no level of liking\. Fit ratings, or ask"):
        taste.observe_pair(taste.start, 0, 1, 1.0)


# ---- what is known --------------------------------------------------------------------------------------------------


def exposures() -> Answerability:
    loadings = np.array([[0.3, 0.0], [0.25, 0.1], [0.0, 0.2]])
    rate = np.array([0.4, 0.3, 0.5])
    return Answerability(rate, loadings, rate * (1 - rate) - (loadings**2).sum(1))


def test_of_two_items_compared_both_are_known_or_one_is_not() -> None:
    answerability = Answerability(np.array([0.6, 0.5]), np.array([[0.3], [0.2]]), np.array([0.15, 0.2]))
    start, known = answerability.start(2), np.array([True, False])
    after = compared(answerability, start, np.array([0, 0]), np.array([1, 1]), known)
    both = answerability.observe(answerability.observe(start.of(0), 0, True), 1, True)
    first = not_named(answerability, start.of(1), 0, known_chance(answerability, start.of(1), 1))
    either = not_named(answerability, first, 1, known_chance(answerability, first, 0))
    for user, exact in enumerate((both, either)):
        np.testing.assert_allclose(after.mean[user], exact.mean)
        alone = compared(answerability, start.of(user), 0, 1, bool(known[user]))
        np.testing.assert_allclose(alone.covariance, exact.covariance)


def test_a_certain_like_that_is_not_named_is_not_known() -> None:
    answerability = exposures()
    plain = answerability.observe(answerability.start(), 0, False)
    silent = not_named(answerability, answerability.start(), 0, 1.0)
    np.testing.assert_allclose(silent.mean, plain.mean, rtol=1e-12)
    np.testing.assert_allclose(silent.covariance, plain.covariance, rtol=1e-12)


def test_the_less_it_would_be_liked_the_less_its_silence_says() -> None:
    answerability = exposures()
    chances = [
        float(known_chance(answerability, not_named(answerability, answerability.start(), 0, like), 1))
        for like in (0.0, 0.2, 0.6, 1.0)
    ]
    assert chances[0] == pytest.approx(0.3)
    assert chances == sorted(chances, reverse=True) and chances[-1] < 0.28


def test_chance_of_a_like() -> None:
    taste = a_taste()
    mean, variance = along(taste.start, taste.items.factors[2])
    expected = norm.cdf((taste.items.level[2] - 3.6 + mean) / np.sqrt(variance + taste.items.answer_noise[2]))
    assert like_chance(taste, taste.start, 2, 3.6) == pytest.approx(expected)


# ---- concepts -------------------------------------------------------------------------------------------------------


def planted_concepts(users: int = 600) -> tuple[Taste, sparse.csr_matrix, dict[str, np.ndarray], np.ndarray]:
    """40 items in two categories of opposite directions, and one with all; everybody rates three quarters."""
    draw = np.random.default_rng(5)
    direction = np.where(np.arange(40)[:, None] < 20, [[0.8, 0.0]], [[-0.8, 0.0]]) + 0.1 * draw.normal(size=(40, 2))
    factors = direction + np.array([0.0, 0.5])
    tastes = draw.normal(size=(users, 2))
    ratings = 3.5 + tastes @ factors.T + 0.6 * draw.normal(size=(users, 40))
    there = draw.random(ratings.shape) < 0.75
    rows, columns = np.nonzero(there)
    answers = sparse.csr_matrix((ratings[there], (rows, columns)), shape=ratings.shape)
    means = np.concatenate([np.full((40, 1), 3.5), factors], 1)
    taste = Taste.build(Items.build(means, np.zeros((40, 3, 3)) + 1e-6 * np.eye(3), np.full(40, 0.36)), Gaussian())
    members = {"left": np.arange(20), "right": np.arange(20, 40), "all": np.arange(40)}
    return taste, answers, members, tastes


def test_a_category_is_learnt_as_the_direction_it_has() -> None:
    taste, answers, members, _ = planted_concepts()
    concepts = Concepts.learn(taste, answers, members)
    left, right = concepts.of("left"), concepts.of("right")
    assert left.direction == pytest.approx([0.8, 0.0], abs=0.08)
    np.testing.assert_allclose(right.direction, -left.direction, atol=0.08)
    assert abs(left.level) < 0.05
    # of the noise of half of 30 ratings: 0.36 (1/7.5 - 1/15) about
    assert 0.01 < left.noise < 0.06
    assert np.abs(concepts.of("all").direction).max() < 1e-9


def test_of_very_many_people_some_teach_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third of 600 where 200 are enough, and of 599: never more than enough."""
    taste, answers, members, _ = planted_concepts()
    third = Concepts.learn(taste, answers[::3], members)
    monkeypatch.setattr("palate.posteriors.concepts.MOST_USERS", 200)
    np.testing.assert_array_equal(Concepts.learn(taste, answers, members).directions, third.directions)
    np.testing.assert_array_equal(Concepts.learn(taste, answers[:-1], members).noise, third.noise)


def test_the_noise_of_a_view_is_calibrated() -> None:
    """P(yes) given the true taste is what is said, bin by bin."""
    taste, answers, members, tastes = planted_concepts(4_000)
    left = Concepts.learn(taste, answers, members).of("left")
    half = answers.toarray()
    half[:, 1::2] = 0.0
    in_left, everything = half[:, :20], half
    views = in_left.sum(1) / np.maximum((in_left != 0).sum(1), 1) - everything.sum(1) / (everything != 0).sum(1)
    said = norm.cdf((left.level + tastes @ left.direction) / np.sqrt(left.noise))
    for low, high in ((0.05, 0.3), (0.3, 0.7), (0.7, 0.95)):
        here = (said > low) & (said < high)
        assert (views[here] > 0).mean() == pytest.approx(said[here].mean(), abs=0.08)


def test_without_a_rating_a_category_is_what_its_items_say() -> None:
    taste, answers, members, _ = planted_concepts()
    nothing = sparse.csr_matrix(answers.shape)
    concepts = Concepts.learn(taste, nothing, members)
    expected = taste.items.factors[:20].mean(0) - taste.items.factors.mean(0)
    np.testing.assert_allclose(concepts.of("left").direction, expected, atol=1e-9)
    assert concepts.of("left").noise == concepts.doubt == pytest.approx(taste.items.answer_noise.mean() / 2)


def test_free_words_have_the_direction_that_their_content_promises() -> None:
    taste, answers, members, _ = planted_concepts()
    concepts = Concepts.learn(taste, answers, members)
    content = np.where(np.arange(40)[:, None] < 20, 1.0, -1.0)
    prior = LinearPrior.start(np.array([3.5, 0.0, 0.5]), 0.1 * np.eye(3), content)
    means = np.concatenate([taste.items.level[:, None], taste.items.factors], 1)
    prior, _ = prior.refit(means, 0.01 * np.eye(3) * 40, content, 1e-6)
    said = concepts.said(prior, np.array([1.0]))
    assert said.direction == pytest.approx([0.8, 0.0], abs=0.08)
    far = concepts.said(prior, np.array([5.0]))
    assert far.noise > said.noise > concepts.doubt  # the further from what was fitted, the less sure


def test_no_category_is_no_concept() -> None:
    taste, answers, _, _ = planted_concepts()
    assert len(Concepts.learn(taste, answers, {})) == 0


# ---- seconds --------------------------------------------------------------------------------------------------------


def test_seconds_are_built_of_the_operators_that_are_named() -> None:
    words, tap = 60 / 238, 1.35 + 1.10 + 0.20
    seconds = Seconds()
    assert seconds.rate == pytest.approx(4 * words + tap, abs=0.02)
    assert seconds.pair == pytest.approx(8 * words + tap, abs=0.03)
    assert seconds.concept == pytest.approx(2 * words + tap, abs=0.02)
    assert seconds.preview == pytest.approx(54 * words + tap, abs=0.03)
    assert seconds.of(Form.GROUP, 10, 3) == pytest.approx(10 * seconds.look + 4 * tap)
    assert seconds.of(Form.PAGE, 10, 3) == seconds.of(Form.GROUP, 10, 3)


def test_one_form_can_be_slower() -> None:
    slow = Seconds().scaled(Form.GROUP, 2.0)
    assert slow.of(Form.GROUP, 5, 2) == 2 * Seconds().of(Form.GROUP, 5, 2)
    assert slow.rate == Seconds().rate
    assert slow == Seconds().scaled(Form.PAGE, 2.0)
    assert Seconds().scaled(Form.PAIR, 0.5).pair == Seconds().pair / 2


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_seconds_are_finite_and_above_nothing(value: float) -> None:
    with pytest.raises(OptionError, match=rf"^the time of pair is {value:g}\. Give a finite number above 0\.$"):
        Seconds(pair=value)
