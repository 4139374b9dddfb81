"""Maximal volume against numbers worked out by hand and against force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from palate.acquisition.literature.maxvol import TOLERANCE, rectangular_maxvol, square_maxvol


def volume(rows: np.ndarray) -> float:
    return float(np.linalg.det(rows.T @ rows))


def test_rectangular_maxvol_by_hand() -> None:
    """{(3,0), (0,2)} has AᵀA = diag(9, 4); then (0,1) adds 1/4, (1,0) 1/9, (½,½) .25/9 + .25/5 once (0,1) is in."""
    rows = np.array([[1, 0], [0, 1], [0.5, 0.5], [3, 0], [0, 2]])
    order = rectangular_maxvol(rows).tolist()
    assert set(order[:2]) == {3, 4}
    assert order[2:] == [1, 0, 2]
    assert rectangular_maxvol(rows, 3).tolist()[:3] == order[:3]


@pytest.mark.parametrize("seed", range(5))
def test_square_maxvol_is_close_to_the_largest_determinant(seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(9, 3))
    chosen, coefficients = square_maxvol(rows)
    np.testing.assert_allclose(coefficients @ rows[chosen], rows, atol=1e-12)
    assert np.abs(coefficients).max() <= TOLERANCE
    best = max(abs(np.linalg.det(rows[list(three)])) for three in combinations(range(9), 3))
    assert abs(np.linalg.det(rows[chosen])) >= best / 2


@pytest.mark.parametrize("seed", range(5))
def test_rectangular_maxvol_adds_the_row_that_enlarges_the_volume_most(seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(12, 3))
    order = rectangular_maxvol(rows).tolist()
    assert sorted(order) == list(range(12))
    for size in range(3, 11):
        grown = [volume(rows[[*order[:size], other]]) for other in order[size:]]
        assert grown[0] == pytest.approx(max(grown))


def test_rows_beyond_the_length_follow_by_what_they_would_add() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 3))
    order = rectangular_maxvol(rows, 8)
    inverse = np.linalg.inv(rows[order[:8]].T @ rows[order[:8]])
    adds = np.einsum("id,de,ie->i", rows[order[8:]], inverse, rows[order[8:]])
    assert (np.diff(adds) <= 1e-12).all()


@pytest.mark.parametrize(
    "rows", [np.zeros((4, 2)), np.zeros((4, 0)), np.outer([1, 3, 2, 0], [1, 1]), np.eye(4)[:2], np.ones((1, 3))]
)
def test_volumes_of_dependent_rows_leave_every_row_a_place(rows: np.ndarray) -> None:
    assert sorted(rectangular_maxvol(rows).tolist()) == list(range(len(rows)))


def test_of_rows_in_one_direction_the_longest_is_first() -> None:
    assert rectangular_maxvol(np.outer([1, 3, 2, 0], [1, 1])).tolist() == [1, 2, 0, 3]
