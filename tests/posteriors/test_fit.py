"""The batch fit: its bound, its invariances, what it finds, and a slow reference of one sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.optimize import minimize_scalar
from scipy.stats import invgamma

from palate.errors import DataError, OptionError
from palate.posteriors import compiled, symmetric
from palate.posteriors import fit as fitting
from palate.posteriors.answers import Answers
from palate.posteriors.fit import Fitted, fit
from palate.posteriors.item_half import Step
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Kind, Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.statistics import Turn, augmented_moments, pack, second_moments, unpack
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.posteriors.user_half import Users, user_half
from tests.worlds import Words, world

Array = np.ndarray
LIKELIHOODS = {
    "gaussian": Gaussian(),
    "probit": Probit(),
    "implicit": Implicit(20.0, 5.0),
}
USERS, ITEMS = 50, 30


def small(kind: Kind = "gaussian", *, weighted: bool = False, seed: int = 0) -> Answers:
    """Noise with some taste in it: 50 users, 30 items, about a third of the answers."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, ITEMS)) + rng.normal(size=ITEMS)
    noisy = signal + rng.normal(size=signal.shape)
    rows, columns = np.nonzero(rng.random((USERS, ITEMS)) < 0.35)
    values = noisy[rows, columns]
    if kind == "probit":
        values = (values > 0).astype(float)
    elif kind == "implicit":
        values = np.ones_like(values)
    weights = rng.uniform(0.2, 3.0, len(rows)) if weighted else None
    return Answers.build(rows, columns, values, (USERS, ITEMS), weights)


def planted(kind: Kind = "gaussian") -> tuple[Answers, Array]:
    """Answers of the planted world, and the encodings of its items."""
    whole = world()
    coded = whole.dataset.coded()
    values = {
        "gaussian": coded.values,
        "probit": (coded.values >= 4).astype(float),
        "implicit": np.ones(len(coded.values)),
    }
    shape = (len(coded.user_ids), len(coded.item_ids))
    content = Words().encode(whole.dataset.item_texts()).astype(np.float64)
    return Answers.build(coded.users, coded.items, values[kind], shape), content


def run(answers: Answers, kind: Kind = "gaussian", content: Array | None = None, *, seed: int = 0, **options) -> Fitted:
    options = {"dim": 5, **options}
    rng = np.random.default_rng(seed)
    return fit(answers, likelihood=LIKELIHOODS[kind], options=FitOptions(**options), content=content, rng=rng)


def expected(fitted: Fitted, answers: Answers, kind: Kind = "gaussian") -> Array:
    """Posterior means of level + factors · taste of everybody, (U, I)."""
    items = Items.of_packed(fitted.factors, fitted.covariances, fitted.noise)
    belief = Taste.build(items, LIKELIHOODS[kind]).believe(answers.values)
    return items.level + belief.score(items.factors)


CONTENT = {
    "none": None,
    "some": np.random.default_rng(1).normal(size=(ITEMS, 4)),
    "more than items": np.random.default_rng(1).normal(size=(ITEMS, 80)),
}


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("content", CONTENT)
def test_the_bound_never_falls(kind: Kind, weighted: bool, content: str) -> None:
    fitted = run(small(kind, weighted=weighted), kind, CONTENT[content], sweeps=40, tolerance=0.0)
    rises = np.diff(fitted.bounds)
    assert len(rises) >= 10
    assert rises.min() >= -1e-8 * np.abs(fitted.bounds).max()


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("with_content", [False, True])
def test_the_bound_never_falls_on_a_planted_world(kind: Kind, with_content: bool) -> None:
    answers, content = planted(kind)
    fitted = run(answers, kind, content if with_content else None, sweeps=25, tolerance=0.0)
    first = 0 if LIKELIHOODS[kind].is_linear else 1  # of likes it is no bound, and the first step goes far
    assert np.diff(fitted.bounds)[first:].min() >= -1e-8 * np.abs(fitted.bounds).max()


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_a_change_of_coordinates_leaves_predictions_unchanged(kind: Kind) -> None:
    answers, likelihood, content = small(kind), LIKELIHOODS[kind], CONTENT["some"]
    state, common = fitting._start(answers, likelihood, 4, content, np.random.default_rng(0), None)
    items, users = state.items, Users.start(USERS, 4, Probit())  # with the moments of each user
    total, users = user_half(answers, users, fitting._given(items, common), likelihood, USERS)
    users = users if users.moments.any() else Users(pack(np.tile(np.eye(5), (USERS, 1, 1))), users.precision)
    turn = Turn.of(total.head)
    step, forward = Step.of(common, turn), turn.forward
    there = users.transform(forward)

    def means(of: Array, whose: Users) -> Array:
        return whose.moments[:, :5] @ of.T

    back = np.linalg.inv(forward)
    factors, covariances = items.factors @ back, back.T @ unpack(items.covariances) @ back
    np.testing.assert_allclose(means(factors, there), means(items.factors, users), atol=1e-10)
    np.testing.assert_allclose(
        means(step.common.prior.predict(content), there), means(common.prior.predict(content), users), atol=1e-10
    )
    # tastes now have mean 0 and second moment 1 over the users
    np.testing.assert_allclose(turn.gram / USERS, np.eye(5), atol=1e-10)
    # the expected squares of every item, which is all its half looks at, are the same
    squares = [
        np.einsum("iab,iab->i", second_moments(*of), unpack(moment))
        for of, moment in (
            ((items.factors, unpack(items.covariances)), total.items.moment),
            ((factors, covariances), symmetric.turned(total.items.moment, forward)),
        )
    ]
    np.testing.assert_allclose(squares[1], squares[0], rtol=1e-9)


def test_one_seed_gives_one_model_to_the_bit() -> None:
    answers, content = planted()
    first, second = run(answers, content=content), run(answers, content=content)
    assert first.bounds == second.bounds
    for name in ("factors", "covariances", "noise"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert not np.array_equal(run(answers, content=content, seed=1).bounds, first.bounds)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_size_of_the_chunks_does_not_matter(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = small(kind, weighted=True)
    whole = run(answers, kind, CONTENT["some"], sweeps=8)
    monkeypatch.setattr(compiled, "_NUMPY_BYTES", 8 * 21 * 7)  # seven users at a time
    pieces = run(answers, kind, CONTENT["some"], sweeps=8)
    np.testing.assert_allclose(pieces.bounds, whole.bounds, rtol=1e-9)
    np.testing.assert_allclose(pieces.factors, whole.factors, atol=1e-6)


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_the_unit_of_the_ratings_does_not_matter(scale: float) -> None:
    answers, content = planted()
    scaled = replace_values(answers, answers.values.data * scale)
    plain, fitted = run(answers, content=content), run(scaled, content=content)
    assert len(fitted.bounds) == len(plain.bounds)
    np.testing.assert_allclose(fitted.factors, plain.factors * scale, atol=1e-7 * scale)
    np.testing.assert_allclose(fitted.noise, plain.noise * scale**2, rtol=1e-6)
    np.testing.assert_allclose(fitted.prior.coefficients, plain.prior.coefficients * scale, atol=1e-6 * scale)


def replace_values(answers: Answers, values: Array) -> Answers:
    return Answers(answers.matrix(values), answers.weights)


def test_the_order_of_the_rows_does_not_matter() -> None:
    answers = small()
    coo = answers.values.tocoo()
    order = np.random.default_rng(3).permutation(coo.nnz)
    shuffled = Answers.build(coo.row[order], coo.col[order], coo.data[order], coo.shape)
    np.testing.assert_allclose(run(shuffled, sweeps=6).factors, run(answers, sweeps=6).factors, atol=1e-8)


def test_it_finds_what_was_planted() -> None:
    whole = world(users=600, items=120)
    coded = whole.dataset.coded()
    answers = Answers.build(coded.users, coded.items, coded.values, (600, 120))
    fitted = run(answers, dim=12)
    found = expected(fitted, answers)
    assert np.corrcoef(found.ravel(), whole.expected().ravel())[0, 1] > 0.91
    assert 4 <= fitted.factors.shape[1] - 1 <= 6, "relevance did not keep about the four dimensions there are"
    spread = np.sqrt((fitted.factors[:, 1:] ** 2).mean(0))
    assert (spread[4:] < 0.1 * spread[3]).all(), f"a dimension that is not there was found: {spread}"
    assert np.median(fitted.noise) == pytest.approx(0.6**2 + 1 / 12, rel=0.25)  # of the world, and of rounding


@pytest.mark.parametrize("kind", ["probit", "implicit"])
def test_it_finds_what_was_planted_in_likes_and_events(kind: Kind) -> None:
    answers, _ = planted(kind)
    found = expected(run(answers, kind), answers, kind)
    truth = world().expected()
    if kind == "probit":
        assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.65
        return
    # what is seen hangs on popularity first and on liking second; what popularity leaves, liking must explain
    chance = answers.values.toarray().mean(0)
    assert np.corrcoef((found - found.mean(0)).ravel(), (truth - truth.mean(0)).ravel())[0, 1] > 0.1
    assert np.corrcoef(found.mean(0), chance)[0, 1] > 0.95


def test_content_that_predicts_factors_lowers_the_error_on_unrated_items() -> None:
    answers, content = planted()
    hidden = np.random.default_rng(0).permutation(120)[:30]
    shown = np.setdiff1d(np.arange(120), hidden)
    seen = Answers(answers.values[:, shown])
    truth = world().expected()[:, hidden]
    errors = {}
    for name, encoding in (
        ("content", content),
        ("nothing", np.zeros((120, 0))),
        ("noise", np.random.default_rng(1).normal(size=(120, 48))),
    ):
        fitted = run(seen, content=encoding[shown])
        tastes = Taste.build(Items.of_packed(fitted.factors, fitted.covariances, fitted.noise), Gaussian()).believe(
            seen.values
        )
        prior = fitted.prior.predict(encoding[hidden])
        errors[name] = float(np.sqrt(np.mean((prior[:, 0] + tastes.score(prior[:, 1:]) - truth) ** 2)))
    assert errors["content"] < 0.9 * errors["nothing"], errors
    assert errors["noise"] < 1.03 * errors["nothing"], errors


def test_intervals_of_unrated_items_hold_what_they_promise() -> None:
    answers, content = planted()
    hidden = np.random.default_rng(0).permutation(120)[:40]
    shown = np.setdiff1d(np.arange(120), hidden)
    seen = Answers(answers.values[:, shown])
    fitted = run(seen, content=content[shown])
    known = Items.of_packed(fitted.factors, fitted.covariances, fitted.noise)
    tastes = Taste.build(known, Gaussian()).believe(seen.values)
    covariances = fitted.prior.covariances(content[hidden])
    means = fitted.prior.predict(content[hidden])
    new = Items.build(means, covariances, np.full(40, float(np.median(fitted.noise))))
    mean, variance = new.predict(tastes)
    rated = answers.values[:, hidden].toarray()
    covered = np.abs(rated - mean)[rated > 0] <= 1.96 * np.sqrt(variance[rated > 0])
    assert 0.92 <= covered.mean() <= 0.99, f"{covered.mean():.1%} of {covered.size} ratings lie in the 95 % intervals"


# ---- a slow reference of one sweep ----------------------------------------------------------------------------------


class Beliefs(NamedTuple):
    factors: Array
    covariances: Array
    noise: Array
    prior: LinearPrior
    spread: float


def reference_sweep(
    answers: Answers, items: Beliefs, noise_of: Array, likelihood: Likelihood
) -> tuple[Beliefs, Array, float]:
    """One sweep on dense matrices with loops, equation by equation (no content), and its bound from the definition.

    Args:
        noise_of: 1 / E[1 / ν] of each user, (U,).
    """
    rated, values = answers.values.toarray() != 0, answers.values.toarray()
    n_users, n_items, dim = *values.shape, items.factors.shape[1] - 1
    # of each pair, before the noise of item and user
    precision_of = np.where(rated, likelihood.confidence, likelihood.background)
    second = [np.outer(f, f) + c for f, c in zip(items.factors, items.covariances, strict=True)]
    means, covariances = np.zeros((n_users, dim)), np.zeros((n_users, dim, dim))
    for u in range(n_users):
        precision, pull = np.eye(dim), np.zeros(dim)
        for i in range(n_items):
            weight = precision_of[u, i] / items.noise[i] / noise_of[u]
            precision += weight * second[i][1:, 1:]
            pull += weight * (values[u, i] * items.factors[i, 1:] - second[i][0, 1:])
        covariances[u] = np.linalg.inv(precision)
        means[u] = covariances[u] @ pull
    moments = [augmented_moments(m, s) for m, s in zip(means, covariances, strict=True)]
    augmented = np.concatenate([np.ones((n_users, 1)), means], 1)
    counts, bound, spread = rated.sum(1), 0.0, items.spread
    if likelihood.learns_scale:
        squares = np.array(
            [
                sum(
                    (
                        values[u, i] ** 2
                        - 2 * values[u, i] * augmented[u] @ items.factors[i]
                        + np.sum(moments[u] * second[i])
                    )
                    / items.noise[i]
                    for i in np.flatnonzero(rated[u])
                )
                for u in range(n_users)
            ]
        )
        laws = [invgamma(0.5 * (spread + n), scale=0.5 * (spread + q)) for n, q in zip(counts, squares, strict=True)]
        noise_of = np.array([(spread + q) / (spread + n) for n, q in zip(counts, squares, strict=True)])
        prior_of = invgamma(0.5 * spread, scale=0.5 * spread)
        logs = np.array([law.expect(np.log) for law in laws])
        bound += sum(law.expect(prior_of.logpdf) + law.entropy() for law in laws) - 0.5 * counts @ logs
        spread = minimize_scalar(
            lambda of: sum(-law.expect(invgamma(0.5 * of, scale=0.5 * of).logpdf) for law in laws), (2.0, 50.0)
        ).x
    centre = means.mean(0)
    scatter = (covariances.sum(0) + means.T @ means) / n_users - np.outer(centre, centre)
    half = np.linalg.inv(np.linalg.cholesky(scatter))
    means, covariances = (means - centre) @ half.T, half @ covariances @ half.T
    change = np.eye(dim + 1)
    change[1:, 1:], change[1:, 0] = half, -half @ centre
    back = np.linalg.inv(change).T
    lam, mu = back @ items.prior.covariance @ back.T, back @ items.prior.mean
    moments = [augmented_moments(m, s) for m, s in zip(means, covariances, strict=True)]
    augmented = np.concatenate([np.ones((n_users, 1)), means], 1)
    factors, spreads = np.zeros((n_items, dim + 1)), np.zeros((n_items, dim + 1, dim + 1))
    left = np.zeros(n_items)
    for i in range(n_items):
        moment = sum(precision_of[u, i] / noise_of[u] * moments[u] for u in range(n_users))
        cross = sum(precision_of[u, i] / noise_of[u] * values[u, i] * augmented[u] for u in range(n_users))
        spreads[i] = np.linalg.inv(np.linalg.inv(lam) + moment / items.noise[i])
        factors[i] = spreads[i] @ (np.linalg.solve(lam, mu) + cross / items.noise[i])
        of_item = np.outer(factors[i], factors[i]) + spreads[i]
        total = sum(precision_of[u, i] / noise_of[u] * values[u, i] ** 2 for u in range(n_users))
        left[i] = total - 2 * factors[i] @ cross + np.trace(of_item @ moment)
    mu = factors.mean(0)
    lam = (spreads.sum(0) + (factors - mu).T @ (factors - mu)) / n_items
    noise, of_item_counts = items.noise, rated.sum(0)
    if likelihood.learns_scale:
        common = n_items / (1 / noise).sum()
        noise = (left + 100 * common) / (of_item_counts + 100)
        bound += 50 * np.sum(np.log(common / noise) - common / noise)
        bound -= 0.5 * of_item_counts @ np.log(2 * np.pi * noise)
    bound -= 0.5 * np.sum(left / noise)
    for m, s in zip(means, covariances, strict=True):
        bound -= 0.5 * (np.trace(s) + m @ m - dim - np.linalg.slogdet(s)[1])
    for f, c in zip(factors, spreads, strict=True):
        quadratic = np.trace(np.linalg.solve(lam, c + np.outer(f - mu, f - mu)))
        bound -= 0.5 * (quadratic - dim - 1 + np.linalg.slogdet(lam)[1] - np.linalg.slogdet(c)[1])
    prior = replace(items.prior, mean=mu, covariance=lam)
    return Beliefs(factors, spreads, noise, prior, spread), noise_of, bound


@pytest.mark.parametrize("kind", [pytest.param("gaussian", marks=pytest.mark.long), "implicit"])
def test_two_sweeps_agree_with_the_slow_reference(kind: Kind) -> None:
    answers, likelihood = small(kind), LIKELIHOODS[kind]
    unit = fitting.Unit.of(answers.values.data) if kind == "gaussian" else fitting.Unit(0.0, 1.0)
    within = unit.taken_off(answers)
    state, common = fitting._start(within, likelihood, 3, np.zeros((ITEMS, 0)), np.random.default_rng(0), None)
    of = state.items
    items = Beliefs(of.factors, unpack(of.covariances), of.noise, common.prior, common.spread)
    bounds, noise_of = [], np.ones(USERS)
    for _ in range(2):
        items, noise_of, bound = reference_sweep(within, items, noise_of, likelihood)
        bounds.append(bound)
    fitted = run(answers, kind, dim=3, sweeps=2, prune=0.0)
    assert fitted.bounds == pytest.approx(bounds, rel=1e-7)
    average = (1.0 / noise_of).mean()
    np.testing.assert_allclose(fitted.noise, items.noise * unit.size**2 / average, rtol=1e-6)
    np.testing.assert_allclose(fitted.user_noise, noise_of * average, rtol=1e-6)
    # the fit ends with a rotation, so compare what no rotation changes
    np.testing.assert_allclose(fitted.factors[:, 0], unit.centre + unit.size * items.factors[:, 0], atol=1e-6)
    products = unit.size**2 * items.factors[:, 1:] @ items.factors[:, 1:].T
    np.testing.assert_allclose(fitted.factors[:, 1:] @ fitted.factors[:, 1:].T, products, atol=1e-6)
    for place in (np.s_[:, 0, 0], np.s_[:, 1:, 1:]):
        found, slow = unpack(fitted.covariances)[place], unit.size**2 * items.covariances[place]
        np.testing.assert_allclose(
            np.linalg.norm(found.reshape(ITEMS, -1), axis=1), np.linalg.norm(slow.reshape(ITEMS, -1), axis=1), rtol=1e-5
        )


# ---- starts, taste that is not there, noise of users ----------------------------------------------------------------


def ratings(
    *,
    users: int = 400,
    items: int = 200,
    sizes: Sequence[float] = (0.6, 0.48, 0.37),
    answers: int = 8000,
    seed: int = 0,
) -> tuple[Answers, Array]:
    """Ratings of a planted world, and what everybody would say without noise, (U, I); 0.6 is the noise."""
    rng = np.random.default_rng(seed)
    tastes, factors = rng.normal(size=(users, len(sizes))), rng.normal(size=(items, len(sizes))) * np.array(sizes)
    truth = 3.5 + 0.4 * rng.normal(size=items) + tastes @ factors.T
    rows, columns = np.divmod(rng.permutation(users * items)[:answers], items)
    values = truth[rows, columns] + 0.6 * rng.normal(size=answers)
    return Answers.build(rows, columns, values, (users, items)), truth


@pytest.mark.parametrize("seed", range(4))
def test_no_start_loses_a_real_dimension(seed: int) -> None:
    answers, truth = ratings(seed=seed)
    fitted = run(answers, dim=16, seed=seed)
    assert fitted.factors.shape[1] - 1 == 3
    assert np.sqrt(np.mean((expected(fitted, answers) - truth) ** 2)) < 0.4  # with a dimension lost .53 and more


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
@pytest.mark.parametrize(("users", "items", "answers"), [(300, 100, 4500), (40, 20, 300), (1000, 500, 20_000)])
def test_answers_without_taste_leave_no_dimension(kind: Kind, users: int, items: int, answers: int) -> None:
    levels_alone, _ = ratings(users=users, items=items, sizes=(), answers=answers, seed=1)
    values = levels_alone.values.data
    said = replace_values(levels_alone, (values > 3.5).astype(float) if kind == "probit" else values)
    fitted = run(said, kind, dim=16)
    assert fitted.factors.shape == (items, 1)
    assert np.isfinite(fitted.factors).all() and np.isfinite(fitted.noise).all()


@pytest.mark.parametrize("constant", [1e6, 1e8, -1e5])
def test_a_constant_on_all_ratings_changes_their_level_alone(constant: float) -> None:
    answers, _ = ratings()
    plain, fitted = run(answers), run(replace_values(answers, answers.values.data + constant))
    assert fitted.factors.shape == plain.factors.shape
    rounding = 1e-9 * abs(constant)
    np.testing.assert_allclose(fitted.factors[:, 0] - constant, plain.factors[:, 0], atol=1e-4 + rounding)
    np.testing.assert_allclose(fitted.noise, plain.noise, rtol=1e-3)
    assert fitted.prior.mean[0] - constant == pytest.approx(plain.prior.mean[0], abs=1e-4 + rounding)


@pytest.mark.parametrize("size", [1e90, 1e-90])
def test_ratings_of_any_size_have_a_fit(size: float) -> None:
    answers, _ = ratings(users=60, items=40, answers=900)
    fitted = run(replace_values(answers, answers.values.data * size), sweeps=5)
    assert np.isfinite(fitted.factors).all() and np.isfinite(fitted.bounds).all()


def test_the_noise_of_each_user_is_found() -> None:
    answers, _ = ratings(users=200, answers=12_000)
    truth = np.where(np.arange(200) < 100, 0.5, 2.0)  # in the place of 1
    rng = np.random.default_rng(5)
    noisy = answers.values.data + np.sqrt(truth[answers.rows]) * rng.normal(size=answers.values.nnz)
    fitted = run(replace_values(answers, noisy))
    found = np.log(fitted.user_noise)
    assert np.corrcoef(found, np.log(truth + 0.36))[0, 1] > 0.8
    assert np.exp(found[100:].mean() - found[:100].mean()) == pytest.approx(2.36 / 0.86, rel=0.25)


def test_users_who_are_alike_get_one_noise() -> None:
    fitted = run(ratings()[0])
    assert np.std(fitted.user_noise) < 0.1


def test_factors_come_uncorrelated_and_largest_first() -> None:
    fitted = run(planted()[0])
    second = fitted.factors[:, 1:].T @ fitted.factors[:, 1:] + unpack(fitted.covariances.sum(0))[1:, 1:]
    np.testing.assert_allclose(second, np.diag(np.diag(second)), atol=1e-8 * second.max())
    assert (np.diff(np.diag(second)) <= 0).all()


# ---- options and wrong input ----------------------------------------------------------------------------------------


def test_progress_is_told_after_every_sweep() -> None:
    told: list[tuple[int, int]] = []
    options = FitOptions(dim=2, sweeps=3, tolerance=0.0)
    fit(
        small(),
        likelihood=Gaussian(),
        options=options,
        rng=np.random.default_rng(0),
        progress=lambda done, of: told.append((done, of)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_loose_tolerance_stops_early() -> None:
    assert len(run(small(), tolerance=0.5).bounds) == 4


@pytest.mark.parametrize("options", [{"dim": 0}, {"sweeps": 0}])
def test_options_out_of_range(options: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="must be at least 1"):
        FitOptions(**options)


def test_nothing_to_fit() -> None:
    with pytest.raises(DataError, match=r"^there is no answer to fit: 0 rows with a value\. Give at least one"):
        Answers.build(np.zeros(0, int), np.zeros(0, int), np.zeros(0), (3, 3))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_answers_that_are_no_numbers(bad: float) -> None:
    answers = small()
    answers.values.data[:2] = bad
    with pytest.raises(
        DataError, match=rf"^2 of {answers.values.nnz} answers are not finite, or 1e\+152 and more\. Remove them"
    ):
        run(answers)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e300])
def test_encodings_that_cannot_be_squared(bad: float) -> None:
    content = np.array(CONTENT["some"])
    content[3, 1] = bad
    with pytest.raises(DataError, match=r"^1 of 30 encodings hold NaN or a number of 1e\+100 or more\. Scale them\.$"):
        run(small(), content=content)


def test_answers_of_some_items_keep_their_weights() -> None:
    rows, columns = np.array([0, 0, 1, 1]), np.array([4, 1, 4, 2])
    answers = Answers.build(rows, columns, np.array([1.0, 2.0, 3.0, 4.0]), (2, 5), np.array([10.0, 20.0, 30.0, 40.0]))
    some = answers.of_items(np.array([1, 2, 4]))
    assert some.values.toarray().tolist() == [[2.0, 0.0, 1.0], [0.0, 4.0, 3.0]]
    weights = sparse.csr_matrix((some.weights, some.values.indices, some.values.indptr), shape=(2, 3))
    assert weights.toarray().tolist() == [[20.0, 0.0, 10.0], [0.0, 40.0, 30.0]]
