"""Choices as answers, against a slow reference of one person and against quadrature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from palate.errors import OptionError
from palate.posteriors import choices
from palate.posteriors.belief import Belief
from palate.posteriors.choices import Choice, Options
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.taste import Taste

Array = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


def chance(options: Options, slopes: Array, z: Array) -> float:
    """Of what was picked, by the formula."""
    all_of_them = [np.exp(logit + slope @ z) for logit, slope in zip(options.logits, options.slopes, strict=True)]
    place = next(j for j, slope in enumerate(options.slopes) if (slope == slopes).all())
    return float(all_of_them[place] / sum(all_of_them))


def slow(mean: Array, covariance: Array, made: list[tuple[Options, Array]]) -> tuple[Array, Array]:
    """The mode by small steps up the gradient, and the curvature there by differences."""

    def value(z: Array) -> float:
        away = z - mean
        said = sum(np.log(chance(options, slopes, z)) for options, slopes in made)
        return float(said - 0.5 * away @ np.linalg.solve(covariance, away))

    def gradient(z: Array, h: float = 1e-5) -> Array:
        return np.array([(value(z + h * d) - value(z - h * d)) / (2 * h) for d in np.eye(len(z))])

    z, rate = mean.copy(), 0.1
    for _ in range(2_000):
        move = rate * covariance @ gradient(z)
        if value(z + move) < value(z):
            rate /= 2
            continue
        z = z + move
        if np.abs(move).max() < 1e-7:
            break
    hessian = np.array([(gradient(z + 1e-4 * d) - gradient(z - 1e-4 * d)) / 2e-4 for d in np.eye(len(z))])
    return z, np.linalg.inv(-hessian)


def wide(rng: np.random.Generator, *shape: int) -> Array:
    root = rng.normal(size=shape)
    return root @ np.swapaxes(root, -1, -2) / shape[-1] + 0.2 * np.eye(shape[-1])


def some(rng: np.random.Generator, m: int, dim: int, beta: float = 1.0) -> Options:
    return Options(beta * rng.normal(size=(m, dim)), rng.normal(size=m))


@pytest.mark.parametrize("dim", [1, 3])
def test_the_belief_after_choices_is_that_of_a_slow_reference(dim: int) -> None:
    rng = np.random.default_rng(dim)
    mean, covariance = rng.normal(size=dim), wide(rng, dim, dim)
    catalogue, shown = some(rng, 12, dim, 1.5), some(rng, 4, dim, 1.5)
    made = [(catalogue, catalogue.slopes[3]), (shown, shown.slopes[0]), (catalogue, catalogue.slopes[7])]
    found = choices.heard(Belief(mean, covariance), [Choice(options, slopes) for options, slopes in made])
    mode, after = slow(mean, covariance, made)
    np.testing.assert_allclose(found.mean, mode, atol=1e-5)
    np.testing.assert_allclose(found.covariance, after, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dim", [1, 2])
def test_the_belief_is_near_to_the_exact_one_by_quadrature(dim: int) -> None:
    rng = np.random.default_rng(5)
    options = some(rng, 30, dim)
    picked = [options.slopes[place] for place in (2, 9, 9, 20)]
    found = choices.heard(Belief(np.zeros(dim), np.eye(dim)), [Choice(options, slopes) for slopes in picked])
    grid = np.array(list(itertools.product(np.linspace(-5, 5, 201 if dim == 1 else 101), repeat=dim)))
    density = np.array([np.prod([chance(options, s, z) for s in picked]) * np.exp(-0.5 * z @ z) for z in grid])
    density /= density.sum()
    mean = density @ grid
    exact = (grid * density[:, None]).T @ grid - np.outer(mean, mean)
    sd = np.sqrt(np.diag(exact))
    assert (np.abs(found.mean - mean) < 0.12 * sd).all()
    np.testing.assert_allclose(np.diag(found.covariance), np.diag(exact), rtol=0.12)


@given(seeds)
def test_several_users_are_each_alone_whether_what_they_choose_from_is_shared_or_their_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m, dim = 3, 5, 2
    belief = Belief(rng.normal(size=(n, dim)), wide(rng, n, dim, dim))
    shared, own = some(rng, m, dim), Options(rng.normal(size=(n, m, dim)), rng.normal(size=(n, m)))
    own.logits[0, 3:], own.slopes[0, 3:] = -np.inf, 7.0  # the first is shown fewer
    picks = rng.integers(0, 3, (2, n))
    made = [Choice(shared, shared.slopes[picks[0]]), Choice(own, own.slopes[np.arange(n), picks[1]])]
    together = choices.heard(belief, made)
    moment = wide(rng, n, dim, dim)
    fall, after = choices.expected_fall(belief, own, moment)
    for user in range(n):
        real = np.isfinite(own.logits[user])
        alone = Options(own.slopes[user][real], own.logits[user][real])
        one = choices.heard(
            belief.of(user), [Choice(shared, made[0].slopes[user]), Choice(alone, made[1].slopes[user])]
        )
        np.testing.assert_allclose(together.mean[user], one.mean, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(together.covariance[user], one.covariance, rtol=1e-7, atol=1e-9)
        of_one, after_one = choices.expected_fall(belief.of(user), alone, moment[user])
        assert fall[user] == pytest.approx(float(of_one))
        np.testing.assert_allclose(after[user], after_one, rtol=1e-9)
    assert (together.covariance == np.swapaxes(together.covariance, 1, 2)).all()
    assert (after == np.swapaxes(after, 1, 2)).all()


def test_sharp_choices_where_whole_newton_steps_diverge() -> None:
    rng, errors, plain = np.random.default_rng(0), [], []
    for _ in range(40):
        slopes, taste = 3.0 * rng.normal(size=(40, 8)), rng.normal(size=8)
        options = Options(slopes, np.zeros(40))
        picked = [slopes[np.argmax(slopes @ taste + rng.gumbel(size=40))] for _ in range(5)]
        made = [Choice(options, one) for one in picked]
        found = choices.heard(Belief(np.zeros(8), np.eye(8)), made)
        errors.append(((found.mean - taste) ** 2).mean())
        z = np.zeros(8)
        for _ in range(20):
            _, mean, spread = options.moments(z)
            z = z + np.linalg.solve(np.eye(8) + 5 * spread, sum(picked) - 5 * mean - z)
        plain.append(((z - taste) ** 2).mean())
        away = found.mean - np.linalg.solve(np.eye(8), sum(picked) - 5 * options.moments(found.mean)[1])
        np.testing.assert_allclose(away, 0.0, atol=1e-4)  # the gradient at the mode
    assert np.mean(plain) > 5.0, "whole steps no longer diverge: the case is too easy"
    assert np.mean(errors) < 0.6


@pytest.mark.parametrize("likelihood", [Gaussian(), Probit(), Implicit()], ids=lambda one: one.kind)
def test_a_naming_moves_taste_to_what_was_named_on_any_scale(likelihood: Likelihood) -> None:
    rng = np.random.default_rng(2)
    means, noise = rng.normal(size=(20, 4)), rng.uniform(0.5, 2.0, 20)

    def named(scale: float) -> tuple[Belief, Belief, Taste]:
        items = Items.build(scale * means, np.zeros((20, 4, 4)), scale**2 * noise)
        taste = Taste.build(items, likelihood)
        start = Belief(np.zeros(3), np.eye(3))
        options = taste.recall_options(np.arange(20.0))
        return start, taste.observe_choice(start, options, 6), taste

    start, after, taste = named(1.0)
    assert after.score(taste.items.factors)[6] > start.score(taste.items.factors)[6]
    assert np.linalg.det(after.covariance) < np.linalg.det(start.covariance)
    if not likelihood.events_only:  # whose events have a noise of their own
        np.testing.assert_allclose(named(10.0)[1].mean, after.mean, rtol=1e-9)
        assert taste.sharpness == pytest.approx(1 / np.sqrt(np.median(noise)))


def test_what_is_shown_and_what_is_not_picked() -> None:
    rng = np.random.default_rng(3)
    items = Items.build(rng.normal(size=(9, 3)), np.zeros((9, 3, 3)), np.ones(9))
    taste, belief = Taste.build(items, Gaussian()), Belief(rng.normal(size=(2, 2)), wide(rng, 2, 2, 2))
    shown, known = np.array([[0, 4, 8], [7, 2, -1]]), np.array([[0.5, 1.0, 0.2], [1.0, 0.25, 1.0]])
    options = taste.shown_options(shown, known=known, none=0.3)
    after = taste.observe_choice(belief, options, np.array([4, -1]))
    second = Options(
        np.vstack([items.factors[[7, 2]], np.zeros(2)]),
        np.append(items.level[[7, 2]] + np.log([1.0, 0.25]), 0.3),
    )
    alone = choices.heard(belief.of(1), [Choice(second, np.zeros(2))])
    np.testing.assert_allclose(after.mean[1], alone.mean)
    pushed = (after.mean[1] - belief.mean[1]) @ items.factors[7]
    assert pushed < 0.0  # passing over both pushes away from the one that was known
    one = taste.shown_options(np.array([4]))
    nothing = taste.observe_choice(belief.of(0), one, 4)  # out of one, without "none": no choice
    np.testing.assert_allclose(nothing.mean, belief.mean[0])
    np.testing.assert_allclose(nothing.covariance, belief.covariance[0])


@given(st.floats(0.02, 0.98), seeds)
def test_none_is_as_likely_as_it_was(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    options, tastes = Options(rng.normal(size=(50, 4, 2)), rng.normal(size=(50, 4))), rng.normal(size=(50, 2))
    none = choices.none_logit(options, tastes, share)
    scores = choices.with_none(options, none).scores(tastes)
    chances = np.exp(scores[:, -1]) / np.exp(scores).sum(1)
    assert chances.mean() == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("share", [0, 1, float("nan"), "half"])
def test_a_share_that_no_logit_gives(share: float) -> None:
    options = Options(np.zeros((1, 2, 1)), np.zeros((1, 2)))
    with pytest.raises(OptionError, match=r"share of none is .* Give a number above 0 and below 1"):
        choices.none_logit(options, np.zeros((1, 1)), share)


@given(seeds)
def test_what_a_choice_will_tell_is_known_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    belief, options = Belief(rng.normal(size=3), wide(rng, 3, 3)), some(rng, 6, 3)
    targets, weights = rng.normal(size=(7, 3)) + 4.0, rng.dirichlet(np.ones(7))
    moment = (targets * weights[:, None]).T @ targets
    fall, after = choices.expected_fall(belief, options, moment)
    told = np.linalg.inv(belief.covariance) + options.moments(belief.mean)[2]
    assert fall == pytest.approx(float(np.trace(moment @ (belief.covariance - np.linalg.inv(told)))))
    np.testing.assert_allclose(after, np.linalg.inv(told), rtol=1e-7)
    centred = targets - weights @ targets
    apart = choices.without_level(moment, weights @ targets)
    np.testing.assert_allclose(apart, (centred * weights[:, None]).T @ centred, atol=1e-9)


def test_the_fall_that_is_expected_is_about_the_one_that_comes() -> None:
    rng, expected, came = np.random.default_rng(6), 0.0, 0.0
    for _ in range(50):
        belief, options = Belief(rng.normal(size=3), wide(rng, 3, 3)), some(rng, 40, 3)
        expected += float(choices.expected_fall(belief, options, np.eye(3))[0])
        taste = rng.multivariate_normal(belief.mean, belief.covariance)
        picked = options.slopes[np.argmax(options.scores(taste) + rng.gumbel(size=40))]
        after = choices.heard(belief, [Choice(options, picked)])
        came += float(np.trace(belief.covariance - after.covariance))
    assert expected == pytest.approx(came, rel=0.1)


def test_a_draw_of_a_large_catalogue_stands_for_all_of_it() -> None:
    rng = np.random.default_rng(4)
    everything = Options(0.6 * rng.normal(size=(20_000, 6)), rng.normal(size=20_000) * 1.5)
    draw = choices.drawn(everything.logits, exact=500, rest=1_500, rng=rng)
    assert draw is not None and choices.drawn(everything.logits[:2_000], exact=500, rest=1_500, rng=rng) is None
    few = draw.of(everything)
    assert few.logits.shape == (2_000,)
    assert np.exp(few.logits).sum() == pytest.approx(np.exp(everything.logits).sum())
    heaviest = np.sort(everything.logits)[-500:]
    np.testing.assert_allclose(np.sort(few.logits[:500]), heaviest)
    start, picked = Belief(np.zeros(6), np.eye(6)), everything.slopes[:3]
    exact = choices.heard(start, [Choice(everything, one) for one in picked])
    about = choices.heard(start, [Choice(few, one) for one in picked])
    assert (np.abs(about.mean - exact.mean) < 0.06 * np.sqrt(np.diag(exact.covariance))).all()
    moved = Options(
        everything.slopes, everything.logits + 0.1 * rng.normal(size=20_000)
    )  # the draw still stands for all
    assert np.exp(draw.of(moved).logits).sum() == pytest.approx(np.exp(moved.logits).sum(), rel=0.02)
