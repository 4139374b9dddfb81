"""The batch fit: its bound, its invariances, what it finds, and a slow reference of one sweep."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.errors import DataError, OptionError
from palate.posteriors import fit as fitting
from palate.posteriors.fit import Answers, FitOptions, Fitted, fit
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian, Implicit, Kind, Likelihood, Probit
from palate.posteriors.taste import Taste
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
    items = Items.build(fitted.factors, fitted.covariances, fitted.noise)
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
    assert np.diff(fitted.bounds).min() >= -1e-8 * np.abs(fitted.bounds).max()


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_a_change_of_coordinates_leaves_predictions_unchanged(kind: Kind) -> None:
    answers, likelihood = small(kind), LIKELIHOODS[kind]
    state = fitting._start(answers, likelihood, 4, 1.0, CONTENT["some"], np.random.default_rng(0))
    total = fitting._user_half(answers, state, likelihood)
    before = copy.deepcopy(state)
    moved = fitting._rescale(state, total)

    def mean(of: fitting._State) -> Array:
        return of.factors[:, 0] + of.means @ of.factors[:, 1:].T

    def prior(of: fitting._State) -> Array:
        return of.prior.predict(CONTENT["some"])[:, 0] + of.means @ of.prior.predict(CONTENT["some"])[:, 1:].T

    np.testing.assert_allclose(mean(state), mean(before), atol=1e-10)
    np.testing.assert_allclose(prior(state), prior(before), atol=1e-10)
    # tastes now have mean 0 and second moment 1 over the users
    np.testing.assert_allclose(moved.gram / moved.users, np.eye(5), atol=1e-10)
    # the expected squares of every item, which is all its half looks at, are the same
    squares = [
        np.einsum("iab,iab->i", fitting.second_moments(s.factors, s.covariances), fitting.unpack(t.moment))
        for s, t in ((before, total), (state, moved))
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
    monkeypatch.setattr(fitting, "_CHUNK_BYTES", 8 * 21 * 7)  # seven users at a time
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
        tastes = Taste.build(Items.build(fitted.factors, fitted.covariances, fitted.noise), Gaussian()).believe(
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
    known = Items.build(fitted.factors, fitted.covariances, fitted.noise)
    tastes = Taste.build(known, Gaussian()).believe(seen.values)
    covariances = fitted.prior.covariances(content[hidden])
    means = fitted.prior.predict(content[hidden])
    new = Items.build(means, covariances, np.full(40, float(np.median(fitted.noise))))
    mean, variance = new.predict(tastes)
    rated = answers.values[:, hidden].toarray()
    covered = np.abs(rated - mean)[rated > 0] <= 1.96 * np.sqrt(variance[rated > 0])
    assert 0.92 <= covered.mean() <= 0.99, f"{covered.mean():.1%} of {covered.size} ratings lie in the 95 % intervals"


# ---- a slow reference of one sweep ----------------------------------------------------------------------------------


def reference_sweep(answers: Answers, state: fitting._State, likelihood: Likelihood) -> tuple[fitting._State, float]:
    """One sweep on dense matrices with loops, equation by equation (no content), and its bound from the definition."""
    rated, values = answers.values.toarray() != 0, answers.values.toarray()
    users, items, dim = *values.shape, state.factors.shape[1] - 1
    precision_of = np.where(
        rated, likelihood.confidence, likelihood.background
    )  # of each pair, before the item's noise
    second = [np.outer(f, f) + c for f, c in zip(state.factors, state.covariances, strict=True)]
    means, covariances = np.zeros((users, dim)), np.zeros((users, dim, dim))
    for u in range(users):
        precision, pull = np.eye(dim), np.zeros(dim)
        for i in range(items):
            weight = precision_of[u, i] / state.noise[i]
            precision += weight * second[i][1:, 1:]
            pull += weight * (values[u, i] * state.factors[i, 1:] - second[i][0, 1:])
        covariances[u] = np.linalg.inv(precision)
        means[u] = covariances[u] @ pull
    centre = means.mean(0)
    scatter = (covariances.sum(0) + means.T @ means) / users - np.outer(centre, centre)
    half = np.linalg.inv(np.linalg.cholesky(scatter))
    means, covariances = (means - centre) @ half.T, half @ covariances @ half.T
    change = np.eye(dim + 1)
    change[1:, 1:], change[1:, 0] = half, -half @ centre
    back = np.linalg.inv(change).T
    lam, mu = back @ state.prior.covariance @ back.T, back @ state.prior.mean
    second_users = [fitting.augmented_moments(m, s) for m, s in zip(means, covariances, strict=True)]
    augmented = np.concatenate([np.ones((users, 1)), means], 1)
    factors, spreads, squares = np.zeros((items, dim + 1)), np.zeros((items, dim + 1, dim + 1)), np.zeros(items)
    for i in range(items):
        moment = sum(precision_of[u, i] * second_users[u] for u in range(users))
        cross = sum(precision_of[u, i] * values[u, i] * augmented[u] for u in range(users))
        spreads[i] = np.linalg.inv(np.linalg.inv(lam) + moment / state.noise[i])
        factors[i] = spreads[i] @ (np.linalg.solve(lam, mu) + cross / state.noise[i])
        of_item = np.outer(factors[i], factors[i]) + spreads[i]
        total = sum(precision_of[u, i] * values[u, i] ** 2 for u in range(users))
        squares[i] = total - 2 * factors[i] @ cross + np.trace(of_item @ moment)
    mu = factors.mean(0)
    lam = (spreads.sum(0) + (factors - mu).T @ (factors - mu)) / items
    noise, bound = state.noise, 0.0
    counts = rated.sum(0)
    if likelihood.learns_scale:
        common = items / (1 / noise).sum()
        noise = (squares + 100 * common) / (counts + 100)
        bound += 50 * np.sum(np.log(common / noise) - common / noise) - 0.5 * counts @ np.log(2 * np.pi * noise)
    bound -= 0.5 * np.sum(squares / noise)
    for m, s in zip(means, covariances, strict=True):
        bound -= 0.5 * (np.trace(s) + m @ m - dim - np.linalg.slogdet(s)[1])
    for f, c in zip(factors, spreads, strict=True):
        quadratic = np.trace(np.linalg.solve(lam, c + np.outer(f - mu, f - mu)))
        bound -= 0.5 * (quadratic - dim - 1 + np.linalg.slogdet(lam)[1] - np.linalg.slogdet(c)[1])
    prior = replace(state.prior, mean=mu, covariance=lam)
    return fitting._State(factors, spreads, noise, prior, means), bound


@pytest.mark.parametrize("kind", ["gaussian", "implicit"])
def test_two_sweeps_agree_with_the_slow_reference(kind: Kind) -> None:
    answers, likelihood = small(kind), LIKELIHOODS[kind]
    unit = fitting._unit(answers, likelihood)
    state = fitting._start(answers, likelihood, 3, unit, np.zeros((ITEMS, 0)), np.random.default_rng(0))
    bounds = []
    for _ in range(2):
        state, bound = reference_sweep(answers, state, likelihood)
        bounds.append(bound)
    fitted = run(answers, kind, dim=3, sweeps=2, prune=0.0)
    assert fitted.bounds == pytest.approx(bounds, rel=1e-7)
    np.testing.assert_allclose(fitted.noise, state.noise, rtol=1e-6)
    # the fit ends with a rotation, so compare what no rotation changes
    np.testing.assert_allclose(fitted.factors[:, 0], state.factors[:, 0], atol=1e-6)
    products = state.factors[:, 1:] @ state.factors[:, 1:].T
    np.testing.assert_allclose(fitted.factors[:, 1:] @ fitted.factors[:, 1:].T, products, atol=1e-6)
    for place in (np.s_[:, 0, 0], np.s_[:, 1:, 1:]):
        found, slow = fitted.covariances[place], state.covariances[place]
        np.testing.assert_allclose(
            np.linalg.norm(found.reshape(ITEMS, -1), axis=1), np.linalg.norm(slow.reshape(ITEMS, -1), axis=1), rtol=1e-5
        )


def test_factors_come_uncorrelated_and_largest_first() -> None:
    fitted = run(planted()[0])
    second = fitted.factors[:, 1:].T @ fitted.factors[:, 1:] + fitted.covariances[:, 1:, 1:].sum(0)
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
    with pytest.raises(DataError, match=rf"^2 of {answers.values.nnz} answers are not finite\. Remove them"):
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
