from __future__ import annotations

from dataclasses import fields
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.posteriors.answers import Answers
from palate.posteriors.likelihood import Kind
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.statistics import Block, Statistics, Turn, augmented_moments, pack, second_moments, unpack
from palate.posteriors.user_half import Given, Users, chunk_statistics

USERS, ITEMS, DIM = 12, 7, 3
LIKELIHOODS = {
    "gaussian": Gaussian(),
    "probit": Probit(),
    "implicit": Implicit(20.0, 5.0),
}


@given(st.integers(1, 7), st.sampled_from([(), (1,), (3,), (2, 3)]), st.integers(0, 2**32 - 1))
def test_unpack_gives_back_what_was_packed(size: int, batch: tuple[int, ...], seed: int) -> None:
    half = np.random.default_rng(seed).normal(size=(*batch, size, size))
    matrices = half + np.swapaxes(half, -1, -2)
    packed = pack(matrices)
    assert packed.shape == (*batch, size * (size + 1) // 2)
    assert np.array_equal(unpack(packed), matrices)


def test_packed_is_the_upper_triangle_row_by_row() -> None:
    assert pack(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])).tolist() == [1, 2, 3, 4, 5, 6]


def test_moments_of_a_known_taste() -> None:
    mean, covariance = np.array([2.0, -1.0]), np.array([[1.0, 0.5], [0.5, 3.0]])
    assert second_moments(mean, covariance).tolist() == [[5.0, -1.5], [-1.5, 4.0]]
    assert augmented_moments(mean, covariance).tolist() == [[1.0, 2.0, -1.0], [2.0, 5.0, -1.5], [-1.0, -1.5, 4.0]]


def sums(kind: Kind, users: slice, *, weighted: bool = False) -> Statistics:
    """The statistics of some of twelve users who have answered about half of seven items."""
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(rng.random((USERS, ITEMS)) < 0.5)
    values = rng.normal(size=len(rows)) if kind == "gaussian" else (rng.random(len(rows)) < 0.5).astype(float)
    weights = rng.uniform(0.5, 2.0, len(rows)) if weighted else None
    factors, noise = rng.normal(size=(ITEMS, DIM + 1)), rng.uniform(0.5, 2.0, ITEMS)
    moments = second_moments(factors, np.tile(0.1 * np.eye(DIM + 1), (ITEMS, 1, 1))) / noise[:, None, None]
    likelihood = LIKELIHOODS[kind]
    shared = likelihood.background * moments.sum(0)
    given = Given(factors, 1.0 / noise, pack(moments), shared, 10.0)
    tastes = augmented_moments(rng.normal(size=(USERS, DIM)), np.tile(0.5 * np.eye(DIM), (USERS, 1, 1)))
    before = Users(pack(tastes), rng.uniform(0.5, 2.0, USERS))
    mine = (rows >= users.start) & (rows < users.stop)
    picked = None if weights is None else weights[mine]
    shape = (users.stop - users.start, ITEMS)
    answers = Answers.build(rows[mine] - users.start, columns[mine], values[mine], shape, picked)
    return chunk_statistics(answers, before.of(users), given, likelihood)[0]


def numbers(of: Statistics) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for part in (of.head, of.items) for field in fields(part)}


def assert_same(one: Statistics, other: Statistics) -> None:
    for name, number in numbers(one).items():
        np.testing.assert_allclose(number, numbers(other)[name], rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cut", [1, 5, 11])
def test_the_sums_of_two_groups_add_to_those_of_all(kind: Kind, weighted: bool, cut: int) -> None:
    parts = sums(kind, slice(0, cut), weighted=weighted) + sums(kind, slice(cut, USERS), weighted=weighted)
    assert_same(parts, sums(kind, slice(0, USERS), weighted=weighted))


def test_nobody_adds_nothing() -> None:
    whole = sums("gaussian", slice(0, USERS))
    assert_same(Statistics.zero(ITEMS, DIM) + whole, whole)
    assert whole.head.users == USERS


def test_no_two_sums_share_their_numbers() -> None:
    zero = Statistics.zero(ITEMS, DIM)
    arrays = [value for value in numbers(zero).values() if isinstance(value, np.ndarray)]
    assert len(arrays) == 5
    for one, other in combinations(arrays, 2):
        assert not np.shares_memory(one, other)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sums_of_items_come_back_from_their_buffers_to_the_bit(dtype: str) -> None:
    sent = sums("gaussian", slice(0, USERS)).items.cast(dtype)
    back = Block.from_buffers(sent.to_buffers())
    for field in fields(Block):
        one, other = getattr(back, field.name), getattr(sent, field.name)
        assert one.dtype == dtype and np.array_equal(one, other), field.name


def test_sums_of_one_user_by_hand() -> None:
    """One user, one item: E[z] = S w (y - b) / s², S = (1 + (w² + C) / s²)⁻¹ less what level and factor share."""
    w, b, y, noise = 0.8, 3.0, 4.0, 0.5
    moment = second_moments(np.array([[b, w]]), np.zeros((1, 2, 2))) / noise
    given = Given(np.array([[b, w]]), np.array([1.0 / noise]), pack(moment), np.zeros((2, 2)), 1e4)
    one = Answers.build(np.array([0]), np.array([0]), np.array([y]), (1, 1))
    sums, users = chunk_statistics(one, Users(np.zeros((1, 0)), np.ones(1)), given, Gaussian())
    variance = 1.0 / (1.0 + w * w / noise)
    expected = variance * w * (y - b) / noise
    head, found = sums.head, sums.items
    assert unpack(head.gram)[0, 1] == pytest.approx(expected)
    # by how much the user's answers are noisier than others', from one answer against 10,000
    left = ((y - b - w * expected) ** 2 + w * w * variance) / noise
    assert users.precision[0] == pytest.approx((1e4 + 1.0) / (1e4 + left))
    weight = users.precision[0]
    assert found.cross[0].tolist() == pytest.approx([weight * y, weight * y * expected])
    assert unpack(found.moment)[0, 1, 1] == pytest.approx(weight * (variance + expected**2))
    assert found.squares[0] == pytest.approx(weight * y * y)
    assert head.log_determinants == pytest.approx(np.log(variance))
    information = 0.5 * (variance + expected**2 - 1.0 - np.log(variance))
    assert Turn.none(head).information == pytest.approx(information)
