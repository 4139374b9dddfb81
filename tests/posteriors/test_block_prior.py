"""The prior of several blocks: ridge regressions with a relevance each, a bound that never falls, what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import multivariate_normal

from palate.errors import DataError
from palate.posteriors.block_prior import Design, FusedPrior
from palate.posteriors.fit import fit
from palate.posteriors.likelihood import Kind
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.sweeps import FitOptions
from tests.posteriors.test_fit import ITEMS as RATED
from tests.posteriors.test_fit import LIKELIHOODS, planted, small

Array = np.ndarray
ITEMS, SIZE = 60, 3


def factors_of(content: Array, weights: Array, noise: float, rng: np.random.Generator) -> Array:
    return 2.0 + content @ weights + noise * rng.normal(size=(len(content), weights.shape[1]))


def learnt(content: Array, sizes: tuple[int, ...], factors: Array, rounds: int = 6) -> FusedPrior:
    prior = FusedPrior.start(np.zeros(factors.shape[1]), np.eye(factors.shape[1]), content, sizes)
    for _ in range(rounds):
        prior, _ = prior.refit(factors, np.zeros((factors.shape[1],) * 2), content, 1e-9)
    return prior


def holes(content: Array, sizes: tuple[int, ...], share: float, rng: np.random.Generator) -> Array:
    content = content.copy()
    for block in np.split(np.arange(content.shape[1]), np.cumsum(sizes)[:-1]):
        content[np.ix_(rng.random(len(content)) < share, block)] = np.nan
    return content


# ---- one block is the plain prior -----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", [1, 5, 80])
def test_one_complete_block_in_given_strengths_is_ridge_regression(encoding: int) -> None:
    rng = np.random.default_rng(0)
    content = rng.normal(size=(ITEMS, encoding))
    factors = factors_of(content, rng.normal(size=(encoding, SIZE)) / np.sqrt(encoding), 0.5, rng)
    prior = learnt(content, (encoding,), factors)
    centred, turned = content - content.mean(0), (factors - factors.mean(0)) @ np.linalg.inv(prior.back).T
    for direction, strength in enumerate(prior.strengths[0]):
        ridge = np.linalg.solve(centred.T @ centred + strength * np.eye(encoding), centred.T @ turned[:, direction])
        found = (prior.coefficients @ np.linalg.inv(prior.back).T)[:, direction]
        np.testing.assert_allclose(found, ridge, atol=1e-9)


def test_one_complete_block_says_what_the_plain_prior_says() -> None:
    """Up to the grid of strengths, which is half as fine."""
    rng = np.random.default_rng(1)
    content = rng.normal(size=(ITEMS, 8))
    factors = factors_of(content, rng.normal(size=(8, SIZE)), 0.5, rng)
    plain = LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), content)
    for _ in range(6):
        plain, _ = plain.refit(factors, np.zeros((SIZE, SIZE)), content, 1e-9)
    fused = learnt(content, (8,), factors)
    np.testing.assert_allclose(fused.predict(content), plain.predict(content), atol=0.02)
    np.testing.assert_allclose(fused.covariance, plain.covariance, rtol=0.02, atol=0.01)


# ---- relevance ------------------------------------------------------------------------------------------------------


def two_blocks(seed: int) -> tuple[Array, Array]:
    """Two blocks of which the first alone says anything, and that of the first two directions of three."""
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(ITEMS, 10))
    weights = np.zeros((10, SIZE))
    weights[:4, :2] = rng.normal(size=(4, 2))
    return content, factors_of(content, weights, 0.5, rng)


def test_a_block_that_says_nothing_is_switched_off() -> None:
    useless, useful = [], []
    for seed in range(10):
        content, factors = two_blocks(seed)
        parts = learnt(content, (4, 6), factors).parts(content)
        useful.append(np.mean(parts[:, 0, :2] ** 2))
        useless.append(np.mean(parts[:, 1] ** 2))
    assert np.median(useless) < 0.01 and np.mean(useless) < 0.05 * np.mean(useful)


def test_two_blocks_that_both_say_something_are_both_heard() -> None:
    rng = np.random.default_rng(2)
    content = rng.normal(size=(2 * ITEMS, 10))
    factors = factors_of(content, rng.normal(size=(10, SIZE)), 0.3, rng)
    old, new = content[:ITEMS], content[ITEMS:]
    errors = {}
    for name, columns, sizes in (
        ("first", slice(0, 4), (4,)),
        ("second", slice(4, 10), (6,)),
        ("both", slice(0, 10), (4, 6)),
    ):
        prior = learnt(old[:, columns], sizes, factors[:ITEMS])
        errors[name] = np.mean((prior.predict(new[:, columns]) - factors[ITEMS:]) ** 2)
    assert errors["both"] < 0.1 * min(errors["first"], errors["second"])


def test_the_strengths_are_those_of_most_evidence() -> None:
    """No other pair of strengths on the grid is better by more than the search may miss, the slow way."""
    content, factors = two_blocks(3)
    prior = learnt(content, (4, 6), factors)
    again, _ = prior.refit(factors, np.zeros((SIZE, SIZE)), content, 0.0)
    centred, turned = content - content.mean(0), (factors - factors.mean(0)) @ np.linalg.inv(again.back).T

    def evidence(strengths: tuple[float, float], of: Array) -> float:
        kernel = np.eye(ITEMS) + centred[:, :4] @ centred[:, :4].T / strengths[0]
        kernel += centred[:, 4:] @ centred[:, 4:].T / strengths[1]
        return float(-0.5 * (of @ np.linalg.solve(kernel, of) + np.linalg.slogdet(kernel)[1]))

    for direction in range(SIZE):
        found = evidence(tuple(again.strengths[:, direction]), turned[:, direction])
        for one in again._design.grids[0][::6]:
            for other in again._design.grids[1][::6]:
                assert evidence((one, other), turned[:, direction]) <= found + 1e-6


def test_blocks_that_say_the_same_are_no_surer_than_one() -> None:
    rng = np.random.default_rng(4)
    content = rng.normal(size=(ITEMS, 4))
    factors = factors_of(content, rng.normal(size=(4, SIZE)), 0.5, rng)
    once, twice = learnt(content, (4,), factors), learnt(np.tile(content, 2), (4, 4), factors)
    np.testing.assert_allclose(twice.predict(np.tile(content, 2)), once.predict(content), atol=0.05)
    np.testing.assert_allclose(twice.covariances(np.tile(content, 2)), once.covariances(content), atol=0.05)


# ---- the bound ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("sizes", [(4,), (3, 80), (3, 5, 6)])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_bound_never_falls(kind: Kind, sizes: tuple[int, ...], share: float) -> None:
    rng = np.random.default_rng(1)
    content = holes(rng.normal(size=(RATED, sum(sizes))), sizes, share, rng)
    options = FitOptions(dim=5, sweeps=40, tolerance=0.0)
    fitted = fit(
        small(kind),
        likelihood=LIKELIHOODS[kind],
        options=options,
        content=content,
        sizes=sizes,
        rng=np.random.default_rng(0),
    )
    rises = np.diff(fitted.bounds)
    assert len(rises) >= 10 and rises.min() >= -1e-8 * np.abs(fitted.bounds).max()


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_bound_never_falls_where_content_says_much_and_is_as_high_as_the_plain_priors(kind: Kind) -> None:
    answers, content = planted(kind)
    options = FitOptions(dim=5, sweeps=25, tolerance=0.0)
    bounds = [
        fit(
            answers,
            likelihood=LIKELIHOODS[kind],
            options=options,
            content=content,
            sizes=sizes,
            rng=np.random.default_rng(0),
        ).bounds
        for sizes in (None, (48,), (20, 28))
    ]
    first = 0 if LIKELIHOODS[kind].is_linear else 1  # of likes it is no bound, and the first step goes far
    for rising in bounds[1:]:
        assert np.diff(rising)[first:].min() >= -1e-8 * np.abs(rising).max()
    assert bounds[1][-1] == pytest.approx(bounds[0][-1], rel=1e-3)


# ---- what is missing ------------------------------------------------------------------------------------------------


def test_an_item_without_a_block_has_the_mean_and_the_spread_of_those_with_it() -> None:
    """Against draws: the missing block drawn from the fitted items, the coefficients from their posterior."""
    rng = np.random.default_rng(5)
    content = rng.normal(size=(ITEMS, 6)) * [1.0, 1.0, 2.0, 1.0, 1.0, 0.5]
    factors = factors_of(content, rng.normal(size=(6, SIZE)), 0.5, rng)
    prior = learnt(content, (2, 4), factors)
    one = content[:1].copy()
    one[:, 2:] = np.nan
    centred = content - content.mean(0)
    here = np.tile(content[:1] - content.mean(0), (ITEMS, 1))
    here[:, 2:] = centred[:, 2:]  # every fitted item's block once
    expected = (here @ prior.coefficients).mean(0) + prior.mean
    np.testing.assert_allclose(prior.predict(one)[0], expected, atol=1e-9)
    spread = np.cov((here @ prior.coefficients).T, bias=True)
    doubt = np.zeros((SIZE, SIZE))
    for direction in range(SIZE):
        strengths = np.repeat(prior.strengths[:, direction], [2, 4])
        posterior = np.linalg.inv(centred.T @ centred + np.diag(strengths))
        variance = np.einsum("ie,ef,if->i", here, posterior, here).mean()
        doubt += variance * np.outer(prior.back[:, direction], prior.back[:, direction])
    np.testing.assert_allclose(prior.covariances(one)[0], prior.covariance + spread + doubt, atol=1e-8)


def test_without_anything_an_item_is_as_unsure_as_the_items_differ() -> None:
    content, factors = two_blocks(6)
    prior = learnt(content, (4, 6), factors)
    blank = prior.covariances(np.full((1, 10), np.nan))[0]
    np.testing.assert_allclose(np.diag(blank), factors.var(0), rtol=0.15)
    np.testing.assert_allclose(prior.predict(np.full((1, 10), np.nan))[0], factors.mean(0))


def test_fitting_with_holes_finds_what_is_there() -> None:
    rng = np.random.default_rng(7)
    content = rng.normal(size=(4 * ITEMS, 6))
    factors = factors_of(content, rng.normal(size=(6, SIZE)), 0.3, rng)
    prior = learnt(holes(content, (2, 4), 0.3, rng), (2, 4), factors)
    error = np.mean((prior.predict(content) - factors) ** 2)
    assert error < 0.25 * factors.var(0).mean()


@pytest.mark.parametrize("bad", [np.nan, 1e300])
def test_half_a_block_is_no_missing_block(bad: float) -> None:
    content = np.random.default_rng(0).normal(size=(RATED, 5))
    content[3, 1] = bad
    content[4, :2] = np.nan
    with pytest.raises(DataError, match=r"^1 of 30 encodings hold NaN or a number of 1e\+100 or more"):
        fit(
            small(),
            likelihood=LIKELIHOODS["gaussian"],
            options=FitOptions(dim=2, sweeps=2),
            content=content,
            sizes=(2, 3),
            rng=np.random.default_rng(0),
        )


# ---- what is shown, and other coordinates ---------------------------------------------------------------------------


def test_the_parts_add_up_to_the_prior_mean() -> None:
    content, factors = two_blocks(8)
    prior = learnt(content, (4, 6), factors)
    content[0, 4:] = np.nan
    parts = prior.parts(content)
    np.testing.assert_allclose(prior.mean + parts.sum(1), prior.predict(content))
    assert not parts[0, 1].any()


def test_other_coordinates_give_the_same_prior() -> None:
    content, factors = two_blocks(9)
    prior = learnt(content, (4, 6), factors)
    content[:20, :4] = np.nan
    matrix = np.random.default_rng(4).normal(size=(2, SIZE))
    moved = prior.transform(matrix)
    np.testing.assert_allclose(moved.predict(content), prior.predict(content) @ matrix.T)
    turned = matrix @ prior.covariances(content) @ matrix.T
    np.testing.assert_allclose(moved.covariances(content), turned, atol=1e-9)


def test_it_is_built_again_from_its_parts() -> None:
    content, factors = two_blocks(10)
    prior = learnt(content, (4, 6), factors)
    names = ("mean", "covariance", "coefficients", "centre", "gram", "items", "sizes", "back", "strengths")
    again = FusedPrior.build(**{name: getattr(prior, name) for name in names})
    assert np.array_equal(again.covariances(content), prior.covariances(content))


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_coefficients_are_averaged_by_the_evidence_of_what_is_heard(seed: int) -> None:
    """Two blocks of which each could explain the answers: against the evidence of each choice, the slow way."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(30, 2))
    content = np.concatenate([shared + 0.4 * rng.normal(size=(30, 2)) for _ in range(2)], 1)
    answers = 0.6 * shared[:, 0] + rng.normal(size=30)
    design = Design(content.T @ content, (2, 2))
    places, found = design.averaged(content.T @ answers)
    means, evidence = [], []
    alone = design._alone(content.T @ answers)
    for choice in dict.fromkeys([*alone, *(design.best(content.T @ answers, start) for start in alone)]):
        prior = 1.0 / np.repeat(design.strengths([choice])[:, 0], 2)
        kernel = np.eye(30) + (content * prior) @ content.T
        means.append(prior * (content.T @ np.linalg.solve(kernel, answers)))
        evidence.append(multivariate_normal(np.zeros(30), kernel).logpdf(answers))
    weights = softmax(evidence)
    assert len(weights) == 3 and weights.max() < 0.6
    np.testing.assert_allclose(found, weights @ np.stack(means), rtol=1e-6, atol=1e-9)
    assert places == design.best_of_all(content.T @ answers)


def test_one_block_is_averaged_with_nothing() -> None:
    content, factors = two_blocks(9)
    design = Design(content.T @ content, (10,))
    places, found = design.averaged(content.T @ factors[:ITEMS, 0])
    np.testing.assert_array_equal(found, design.ridge(places).covariance @ (content.T @ factors[:ITEMS, 0]))
