"""The compiled halves of a sweep against NumPy's, which :mod:`tests.posteriors.test_statistics` holds to formulas."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields

import numpy as np
import pytest

from palate import machine
from palate.posteriors import compiled, symmetric, user_half
from palate.posteriors.answers import Answers
from palate.posteriors.fit import fit
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.statistics import Statistics, augmented_moments, pack
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.user_half import Given, Users

USERS, ITEMS = 150, 30
LIKELIHOODS = {"gaussian": Gaussian(), "probit": Probit(), "implicit": Implicit(20.0, 5.0)}


def spd(rng: np.random.Generator, *shape: int) -> np.ndarray:
    root = rng.normal(size=shape)
    return 0.1 * root @ np.swapaxes(root, -1, -2) / shape[-1]


def world(likelihood: Likelihood, dim: int, *, weighted: bool = False) -> tuple[Answers, Users, Given]:
    """Answers in no order; an item and a user have none, others up to eleven and more than eight, by eights."""
    rng = np.random.default_rng(dim)
    rows, columns = np.nonzero(rng.random((USERS, ITEMS)) < 0.3)
    order = rng.permutation(np.flatnonzero((columns != 7) & (rows != 11)))
    rows, columns = rows[order], columns[order]
    values = rng.normal(size=len(rows)) if likelihood.learns_scale else (rng.random(len(rows)) < 0.5).astype(float)
    weights = rng.uniform(0.3, 1.0, len(rows)) if weighted else None
    answers = Answers.build(rows.astype(np.int32), columns.astype(np.int32), values, (USERS, ITEMS), weights)
    covariances, noise = pack(spd(rng, ITEMS, dim + 1, dim + 1)), rng.uniform(0.5, 2.0, ITEMS)
    given = Given.build(rng.normal(0, 0.5, (ITEMS, dim + 1)), covariances, noise, likelihood, 20.0)
    moments = pack(augmented_moments(rng.normal(size=(USERS, dim)), np.tile(0.5 * np.eye(dim), (USERS, 1, 1))))
    if likelihood.is_linear:
        moments = moments[:, :0]
    return answers, Users(moments, rng.uniform(0.5, 2.0, USERS)), given


def numbers(of: Statistics) -> dict[str, np.ndarray]:
    return {field.name: getattr(part, field.name) for part in (of.head, of.items) for field in fields(part)}


def half(likelihood: Likelihood, dim: int, size: int = 70, *, weighted: bool = False) -> tuple[Statistics, Users]:
    answers, users, given = world(likelihood, dim, weighted=weighted)
    chunks = [compiled.Chunk.build(*some) for some in answers.chunks(size)]
    return compiled.user_half(chunks, users, given, likelihood)


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dim", [0, 1, 7, 8, 9])
def test_the_users_half_is_that_of_numpy(kind: str, weighted: bool, dim: int) -> None:
    likelihood = LIKELIHOODS[kind]
    one, users = half(likelihood, dim, weighted=weighted)
    answers, before, given = world(likelihood, dim, weighted=weighted)
    other, expected = user_half.user_half(answers, before, given, likelihood, USERS)
    for name, found in numbers(one).items():
        wanted = numbers(other)[name]
        scale = np.abs(wanted).max(initial=1.0)
        np.testing.assert_allclose(found / scale, wanted / scale, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(users.precision, expected.precision, atol=1e-12)
    np.testing.assert_allclose(users.moments, expected.moments, atol=1e-12)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_any_number_of_threads_gives_the_same_bits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for cores in (1, 2, 4):
        monkeypatch.setattr(machine, "cores", lambda cores=cores: cores)
        found.append(half(LIKELIHOODS[kind], 9, weighted=True))
    for statistics, users in found[1:]:
        for name, number in numbers(statistics).items():
            assert np.array_equal(number, numbers(found[0][0])[name]), name
        assert np.array_equal(users.moments, found[0][1].moments)
        assert np.array_equal(users.precision, found[0][1].precision)


@pytest.mark.parametrize("size", [1, 2, 8, 9, 17])
def test_many_matrices_are_solved_and_turned_as_few_are(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(size)
    covariances, pull, noise = spd(rng, 40, size, size), rng.normal(size=(40, size)), rng.uniform(0.5, 2.0, 40)
    packed, matrix, shared = pack(covariances), rng.normal(size=(max(1, size - 1), size)), spd(rng, size, size)

    def results() -> list[np.ndarray]:
        turned, moments = symmetric.turned(packed, matrix), symmetric.moments_over_noise(pull, packed, noise)
        return [turned, moments, *symmetric.solve(packed, shared, shared + np.eye(size), pull, noise)]

    few = results()
    monkeypatch.setattr(symmetric, "_MANY", 0)
    for found, expected in zip(results(), few, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("many", [False, True])
def test_a_matrix_that_is_not_positive_definite_is_an_error(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symmetric, "_MANY", 0 if many else 10**9)
    moment = pack(np.array([np.eye(3), -np.eye(3)]))
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        symmetric.solve(moment, np.zeros((3, 3)), 0.5 * np.eye(3), np.zeros((2, 3)), np.ones(2))


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_a_fit_is_the_same_by_either_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    likelihood, (answers, _, _) = LIKELIHOODS[kind], world(LIKELIHOODS[kind], 3)
    options = FitOptions(dim=5, sweeps=12)
    by_numpy = fit(answers, likelihood=likelihood, options=options, rng=np.random.default_rng(0))
    monkeypatch.setattr(compiled, "FROM_NUMBERS", 0)
    monkeypatch.setattr(symmetric, "_MANY", 0)
    found = fit(answers, likelihood=likelihood, options=options, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.bounds, by_numpy.bounds, rtol=1e-10)
    np.testing.assert_allclose(found.factors, by_numpy.factors, atol=1e-8)
    np.testing.assert_allclose(found.covariances, by_numpy.covariances, atol=1e-8)
    np.testing.assert_allclose(found.noise, by_numpy.noise, rtol=1e-8)
    np.testing.assert_allclose(found.user_noise, by_numpy.user_noise, rtol=1e-8)


def test_no_array_of_all_items_is_made_for_a_chunk() -> None:
    """The sums over 20,000 items take 24 MB, and nothing else comes near: a user's moments take 1 kB."""
    rng, items, dim = np.random.default_rng(0), 20_000, 16
    users, codes = np.repeat(np.arange(40), 50), rng.integers(0, items, 2_000)
    answers = Answers.build(users.astype(np.int32), codes.astype(np.int32), rng.normal(size=2_000), (40, items))
    given = Given.build(rng.normal(size=(items, 17)), np.zeros((items, 153)), np.ones(items), Gaussian(), spread=20.0)
    chunks = [compiled.Chunk.build(*some) for some in answers.chunks(10)]
    before = Users.start(40, dim, Gaussian())
    compiled.user_half(chunks, before, given, Gaussian())
    tracemalloc.start()
    compiled.user_half(chunks, before, given, Gaussian())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * given.packed.nbytes
