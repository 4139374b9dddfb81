from __future__ import annotations

import tracemalloc
from typing import get_args

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from palate.errors import OptionError
from palate.posteriors.belief import Belief, quadratic
from palate.posteriors.items import Form, Items, Spread
from palate.posteriors.likelihood import Kind
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.taste import Taste

ITEMS, DIM = 9, 3
LIKELIHOODS = {
    "gaussian": Gaussian(),
    "probit": Probit(),
    "implicit": Implicit(20.0, 5.0),
}
seeds = st.integers(0, 2**32 - 1)


def spd(rng: np.random.Generator, *shape: int) -> np.ndarray:
    root = rng.normal(size=shape)
    return root @ np.swapaxes(root, -1, -2) / shape[-1] + 0.05 * np.eye(shape[-1])


def taste(kind: Kind = "gaussian", form: Form = "full", seed: int = 0) -> Taste:
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.3, 1.5, ITEMS) if kind == "gaussian" else np.ones(ITEMS)
    items = Items.build(rng.normal(size=(ITEMS, DIM + 1)), 0.1 * spd(rng, ITEMS, DIM + 1, DIM + 1), noise, form)
    return Taste.build(items, LIKELIHOODS[kind])


def answered(kind: Kind, seed: int, users: int = 4) -> sparse.csr_matrix:
    """Some answers of a few users, in an order of answering that is not that of the items; one has none."""
    rng = np.random.default_rng(seed)
    indices = [rng.permutation(ITEMS)[: rng.integers(1, ITEMS)] for _ in range(users - 1)] + [np.zeros(0, dtype=int)]
    start = np.concatenate([[0], np.cumsum([len(row) for row in indices])])
    items = np.concatenate(indices)
    values = {
        "gaussian": rng.normal(3, 1, len(items)),
        "probit": rng.integers(0, 2, len(items)),
        "implicit": np.ones(len(items)),
    }
    return sparse.csr_matrix((values[kind].astype(float), items, start), shape=(users, ITEMS))


def one_by_one(of: Taste, answers: sparse.csr_matrix, user: int, start: Belief) -> Belief:
    belief = start
    for entry in range(answers.indptr[user], answers.indptr[user + 1]):
        belief = of.observe(belief, int(answers.indices[entry]), float(answers.data[entry]))
    return belief


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_what_each_of_several_users_is_expected_to_answer_about_their_own_items(kind: Kind) -> None:
    of, rng = taste(kind), np.random.default_rng(1)
    several, items = Belief(rng.normal(size=(4, DIM)), spd(rng, 4, DIM, DIM)), rng.integers(0, ITEMS, (4, 2))
    found = of.expected(several, items)
    for user, place in np.ndindex(4, 2):
        item, belief = items[user, place], several.of(user)
        mean = of.items.level[item] + of.items.factors[item] @ belief.mean
        variance = belief.variance(of.items.factors[[item]])[0] + of.items.answer_noise[item]
        likely = norm.cdf(mean / np.sqrt(variance)) if kind == "probit" else mean
        assert found[user, place] == pytest.approx(likely)


def test_of_several_answers_about_an_item_only_their_own_noise_averages_out() -> None:
    of, item, values = taste(), 2, np.array([4.0, 1.0, 3.5])
    factors, own, whole = of.items.factors[item], of.items.noise[item], of.items.answer_noise[item]
    joint = (whole - own) * np.ones((3, 3)) + own * np.eye(3)  # of the answers given the taste
    seen = np.tile(factors, (3, 1))
    covariance = np.linalg.inv(np.linalg.inv(of.start.covariance) + seen.T @ np.linalg.solve(joint, seen))
    mean = covariance @ seen.T @ np.linalg.solve(joint, values - of.items.level[item])
    found = of.observe_again(of.start, item, values)
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.covariance, covariance)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_an_answer_of_a_weight_has_more_noise(kind: Kind) -> None:
    of, value, item = taste(kind), 1.0, 2
    noise = of.likelihood.answer_noise(of.items.answer_noise[item]) / 0.25
    exact = of.likelihood.update(of.start, of.items.factors[item], of.items.level[item], np.array(value), noise)
    found = of.observe(of.start, item, value, 0.25)
    np.testing.assert_allclose(found.mean, exact.mean)
    np.testing.assert_allclose(found.covariance, exact.covariance)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_a_run_of_answers_is_to_the_bit_one_after_the_other(kind: Kind) -> None:
    of, rng = taste(kind), np.random.default_rng(1)
    belief, items = Belief(rng.normal(size=DIM), spd(rng, DIM, DIM)), rng.integers(0, ITEMS, 30)
    values = rng.choice([0.3, 1.0, -1.0] if kind == "implicit" else [0.0, 1.0], 30)
    weights = rng.uniform(0.1, 1.0, 30)
    for item, value, weight, after in zip(
        items, values, weights, of.observe_each(belief, items, values, weights, of_user=1.7), strict=True
    ):
        belief = of.observe(belief, int(item), float(value), float(weight), of_user=1.7)
        assert np.array_equal(belief.mean, after.mean) and np.array_equal(belief.covariance, after.covariance)
    assert list(of.observe_each(belief, items[:0], values[:0], weights[:0])) == []


def test_several_likes_of_an_item_count_one_by_one() -> None:
    of = taste("probit")
    one_by_one = of.observe(of.observe(of.start, 2, 1.0), 2, 0.0)
    np.testing.assert_allclose(of.observe_again(of.start, 2, [1.0, 0.0]).mean, one_by_one.mean)


def test_a_belief_about_some_of_several_users() -> None:
    rng = np.random.default_rng(2)
    one, other = (Belief(rng.normal(size=(3, DIM)), spd(rng, 3, DIM, DIM)) for _ in range(2))
    here = np.array([True, False, True])
    mixed = one.where(here, other)
    assert np.array_equal(mixed.of(here).mean, one.of(here).mean) and np.array_equal(mixed.mean[1], other.mean[1])
    assert np.array_equal(one.replaced(np.array([1]), other.of([1])).covariance, mixed.covariance)
    assert np.array_equal(one.of(0).where(False, other.of(0)).covariance, other.covariance[0])


# ---- update ---------------------------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 6), st.integers(1, 12))
def test_updates_equal_the_batch_solution_in_any_order(seed: int, dim: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    start = Belief(rng.normal(size=dim), spd(rng, dim, dim))
    factors, values, noise = rng.normal(size=(n, dim)), rng.normal(size=n), rng.uniform(0.1, 3.0, n)
    precision = np.linalg.inv(start.covariance) + (factors.T / noise) @ factors
    mean = np.linalg.solve(precision, np.linalg.solve(start.covariance, start.mean) + factors.T @ (values / noise))
    for order in (np.arange(n), rng.permutation(n)):
        belief = start
        for i in order:
            belief = belief.update(factors[i], values[i] - factors[i] @ belief.mean, noise[i])
        np.testing.assert_allclose(belief.mean, mean, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(belief.covariance, np.linalg.inv(precision), rtol=1e-10, atol=1e-10)


def test_an_update_by_hand() -> None:
    """One dimension: variance 1, factor 2, noise 1, answer 5 above: gain 2 / 5."""
    belief = Belief(np.zeros(1), np.eye(1)).update(np.array([2.0]), 5.0, 1.0)
    assert belief.mean.tolist() == pytest.approx([2.0])
    assert belief.covariance.tolist() == [[pytest.approx(0.2)]]


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
@given(seed=seeds)
def test_an_answer_never_raises_a_variance_and_keeps_the_covariance_proper(kind: Kind, seed: int) -> None:
    of, rng = taste(kind, seed=seed), np.random.default_rng(seed)
    belief, probes = of.start, rng.normal(size=(20, DIM))
    for _ in range(10):
        value = float(rng.normal(0, 5)) if kind == "gaussian" else float(rng.integers(0, 2))
        moved = of.observe(belief, int(rng.integers(ITEMS)), value)
        assert (moved.variance(probes) <= belief.variance(probes) + 1e-12).all()
        assert np.array_equal(moved.covariance, moved.covariance.T)
        assert np.linalg.eigvalsh(moved.covariance)[0] > 0.0
        belief = moved


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_several_users_are_moved_as_each_alone(kind: Kind) -> None:
    of, rng = taste(kind), np.random.default_rng(0)
    several = Belief(rng.normal(size=(5, DIM)), spd(rng, 5, DIM, DIM))
    items, values = rng.integers(0, ITEMS, 5), np.ones(5)
    together = of.observe(several, items, values)
    for user in range(5):
        alone = of.observe(Belief(several.mean[user], several.covariance[user]), int(items[user]), 1.0)
        np.testing.assert_allclose(together.mean[user], alone.mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(together.covariance[user], alone.covariance, rtol=1e-12, atol=1e-12)


def test_who_does_not_answer_stays_as_they_were() -> None:
    rng = np.random.default_rng(0)
    before = Belief(rng.normal(size=(2, DIM)), spd(rng, 2, DIM, DIM))
    after = before.update(rng.normal(size=(2, DIM)), np.ones(2), np.ones(2), np.array([False, True]))
    assert np.array_equal(after.mean[0], before.mean[0])
    assert np.array_equal(after.covariance[0], before.covariance[0])
    assert not np.array_equal(after.mean[1], before.mean[1])


@pytest.mark.parametrize("liked", [0.0, 1.0])
def test_a_like_moves_the_belief_to_the_exact_moments(liked: float) -> None:
    """Against a dense grid over a two-dimensional taste."""
    belief = Belief(np.array([0.3, -0.5]), np.array([[1.2, 0.4], [0.4, 0.7]]))
    factors, level, noise = np.array([1.5, -0.8]), 0.2, 1.7
    axis = np.linspace(-8, 8, 801)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    away = grid - belief.mean
    density = np.exp(-0.5 * np.einsum("nd,de,ne->n", away, np.linalg.inv(belief.covariance), away))
    sign = 1.0 if liked else -1.0
    density *= norm.cdf(sign * (level + grid @ factors) / np.sqrt(noise))
    density /= density.sum()
    mean = density @ grid
    covariance = (grid - mean).T @ ((grid - mean) * density[:, None])
    moved = belief.update_probit(factors, level, np.array(liked), noise)
    np.testing.assert_allclose(moved.mean, mean, atol=1e-8)
    np.testing.assert_allclose(moved.covariance, covariance, atol=1e-8)


# ---- believe and observe --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_all_answers_at_once_equal_one_by_one(kind: Kind, history: bool, seed: int) -> None:
    of, answers = taste(kind, seed=seed), answered(kind, seed)
    rng = np.random.default_rng(seed)
    start = of.prior(rng.normal(size=DIM), spd(rng, DIM, DIM)) if history else of.start
    together = of.believe(answers, start if history else None)
    for user in range(answers.shape[0]):
        alone = one_by_one(of, answers, user, start)
        np.testing.assert_allclose(together.mean[user], alone.mean, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(together.covariance[user], alone.covariance, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_each_user_may_start_elsewhere(kind: Kind) -> None:
    of, answers, rng = taste(kind), answered(kind, 0), np.random.default_rng(0)
    starts = Belief(rng.normal(size=(4, DIM)), spd(rng, 4, DIM, DIM))
    together = of.believe(answers, starts)
    for user in range(4):
        alone = one_by_one(of, answers, user, Belief(starts.mean[user], starts.covariance[user]))
        np.testing.assert_allclose(together.mean[user], alone.mean, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(together.covariance[user], alone.covariance, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["gaussian", "implicit"])
def test_one_user_alone_is_to_the_bit_one_of_many(kind: Kind) -> None:
    """Alone only what was answered is looked at; with others, all items: ten answers, so that several pieces add."""
    rng = np.random.default_rng(0)
    items = Items.build(rng.normal(size=(30, 6)), 0.1 * spd(rng, 30, 6, 6), np.ones(30))
    of = Taste.build(items, LIKELIHOODS[kind])
    indices = np.concatenate([rng.permutation(30)[:10], rng.permutation(30)[:25]])
    answers = sparse.csr_matrix((rng.normal(size=35), indices, [0, 10, 10, 35]), shape=(3, 30))
    together = of.believe(answers)
    for user in range(3):
        alone = of.believe(answers[user])
        assert np.array_equal(alone.mean[0], together.mean[user])
        assert np.array_equal(alone.covariance[0], together.covariance[user])


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_belief_of_one_user_takes_little_memory_in_a_large_catalogue(kind: Kind) -> None:
    """A matrix of every item would be 1.6 GB here, a number of every item .8 MB."""
    rng, n = np.random.default_rng(0), 100_000
    items = Items(np.zeros(n), rng.normal(size=(n, 64)), Spread("isotropic", np.full((n, 1), 0.1)), np.ones(n))
    of = Taste.build(items, LIKELIHOODS[kind])
    row = sparse.csr_matrix((np.ones(100), rng.choice(n, 100, replace=False), [0, 100]), shape=(1, n))
    tracemalloc.start()
    of.believe(row)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 700_000


def test_implicit_belief_is_weighted_least_squares_over_the_whole_catalogue() -> None:
    """Hu, Koren, Volinsky: used items weigh 20 and want a 1, all others weigh 5 and want a 0.

    What is not known of the items counts in the weak zeros that all share.
    """
    of, answers = taste("implicit"), answered("implicit", 1)
    used = answers.toarray()[0] > 0
    weights, items = np.where(used, 20.0, 5.0), of.items
    unknown = 5.0 * items.spread.total(DIM + 1)
    precision = np.eye(DIM) + (items.factors.T * weights) @ items.factors + unknown[1:, 1:]
    mean = np.linalg.solve(precision, items.factors.T @ (weights * (used - items.level)) - unknown[1:, 0])
    belief = of.believe(answers)
    np.testing.assert_allclose(belief.mean[0], mean, atol=1e-10)
    np.testing.assert_allclose(belief.covariance[0], np.linalg.inv(precision), atol=1e-10)


def test_a_history_replaces_the_population_and_keeps_the_background() -> None:
    of, rng = taste("implicit"), np.random.default_rng(0)
    mean, covariance = rng.normal(size=DIM), spd(rng, DIM, DIM)
    found = of.prior(mean, covariance)
    factors, level = of.items.factors, of.items.level
    unknown = 5.0 * of.items.spread.total(DIM + 1)
    precision = np.linalg.inv(covariance) + 5.0 * factors.T @ factors + unknown[1:, 1:]
    np.testing.assert_allclose(found.covariance, np.linalg.inv(precision), atol=1e-10)
    pull = np.linalg.solve(covariance, mean) - 5.0 * factors.T @ level - unknown[1:, 0]
    np.testing.assert_allclose(found.mean, np.linalg.solve(precision, pull), atol=1e-10)


def test_without_history_everybody_starts_the_same() -> None:
    of = taste()
    assert of.prior() is of.start
    assert of.start.mean.tolist() == [0.0] * DIM
    assert np.array_equal(of.start.covariance, np.eye(DIM))
    moved = of.prior(np.ones(DIM), 2.0 * np.eye(DIM))
    assert (moved.mean == 1.0).all() and np.array_equal(moved.covariance, 2.0 * np.eye(DIM))


# ---- items and their covariances ------------------------------------------------------------------------------------


def test_quadratic_of_one_and_of_several() -> None:
    rng = np.random.default_rng(0)
    factors, matrices = rng.normal(size=(ITEMS, DIM)), spd(rng, 4, DIM, DIM)
    slow = np.array([[f @ m @ f for f in factors] for m in matrices])
    np.testing.assert_allclose(quadratic(factors, matrices), slow)
    np.testing.assert_allclose(quadratic(factors, matrices[0]), slow[0])


@pytest.mark.parametrize("form", get_args(Form))
def test_what_not_knowing_an_item_adds_by_form(form: Form) -> None:
    rng = np.random.default_rng(0)
    full, second = spd(rng, ITEMS, DIM + 1, DIM + 1), spd(rng, 2, DIM + 1, DIM + 1)
    diagonal = np.einsum("iaa->ia", full)[:, :, None] * np.eye(DIM + 1)
    isotropic = np.einsum("iaa->i", full)[:, None, None] / (DIM + 1) * np.eye(DIM + 1)
    kept = {"full": full, "diagonal": diagonal, "isotropic": isotropic}[form]
    slow = np.einsum("iab,nba->ni", kept, second)
    np.testing.assert_allclose(Spread.build(full, form).expected(second), slow)
    np.testing.assert_allclose(Spread.build(full, form).expected(second[0]), slow[0])
    # on covariances that are of a form already, it loses nothing
    np.testing.assert_allclose(Spread.build(kept, form).expected(second), Spread.build(kept).expected(second))


@pytest.mark.parametrize("form", get_args(Form))
def test_the_sum_of_the_covariances_by_form(form: Form) -> None:
    full = spd(np.random.default_rng(0), ITEMS, DIM + 1, DIM + 1)
    total = full.sum(0)
    kept = {
        "full": total,
        "diagonal": np.diag(np.diag(total)),
        "isotropic": np.eye(DIM + 1) * np.trace(total) / (DIM + 1),
    }
    np.testing.assert_allclose(Spread.build(full, form).total(DIM + 1), kept[form])


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^covariance form 'sparse' is unknown\. Use full, diagonal or isotropic\.$"):
        Spread.build(np.ones((1, 2, 2)), "sparse")


@pytest.mark.parametrize(("n_items", "size"), [(1, 1), (1000, 17), (1_000_000, 65)])
def test_the_richest_form_that_fits_is_kept(n_items: int, size: int) -> None:
    bytes_of = {form: 8 * n_items * n for form, n in (("full", size * (size + 1) // 2), ("diagonal", size))}
    assert Spread.form_within(n_items, size, bytes_of["full"]) == "full"
    if size > 1:
        assert Spread.form_within(n_items, size, bytes_of["full"] - 1) == "diagonal"
        assert Spread.form_within(n_items, size, bytes_of["diagonal"]) == "diagonal"
    assert Spread.form_within(n_items, size, bytes_of["diagonal"] - 1) == "isotropic"


@pytest.mark.parametrize("form", get_args(Form))
def test_some_of_the_items_are_as_they_were_among_all(form: Form) -> None:
    items, belief, chosen = taste(form=form).items, taste().start, np.array([4, 0, 7])
    mean, variance = items.predict(belief)
    some_mean, some_variance = items.take(chosen).predict(belief)
    np.testing.assert_allclose(some_mean, mean[chosen], rtol=1e-14)
    np.testing.assert_allclose(some_variance, variance[chosen], rtol=1e-14)
    assert len(items.take(chosen)) == 3


def test_predicted_mean_and_variance_against_draws() -> None:
    """Taste and item are drawn apart: the variance of their product has both covariances in it."""
    rng = np.random.default_rng(0)
    mean, root = np.array([[3.0, 0.7, -0.4]]), np.array([[0.3, 0.0, 0.0], [0.1, 0.4, 0.0], [0.0, -0.2, 0.3]])
    items = Items.build(mean, (root @ root.T)[None], np.array([0.5]))
    belief = Belief(np.array([1.0, -0.5]), np.array([[0.8, 0.3], [0.3, 0.6]]))
    n = 400_000
    tastes = rng.multivariate_normal(belief.mean, belief.covariance, n)
    drawn = mean + rng.normal(size=(n, 3)) @ root.T
    answers = drawn[:, 0] + np.einsum("nd,nd->n", drawn[:, 1:], tastes) + np.sqrt(0.5) * rng.normal(size=n)
    found_mean, found_variance = items.predict(belief)
    assert found_mean[0] == pytest.approx(answers.mean(), abs=5 * np.sqrt(answers.var() / n))
    assert found_variance[0] == pytest.approx(answers.var(), rel=0.02)


def test_noise_of_an_answer_is_that_for_a_taste_from_the_population() -> None:
    of = taste()
    full = np.array([list(row) for row in of.items.spread.expected(np.eye(DIM + 1))[None]])[0]
    np.testing.assert_allclose(of.items.answer_noise, of.items.noise + full)
    _, variance = of.items.predict(of.start)
    np.testing.assert_allclose(of.items.answer_noise + of.start.variance(of.items.factors), variance)
