"""What strategies of the crowd share."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.acquisition.literature.crowd import clusters, codes, k_means, opinions, sample
from tests.acquisition.crowds import crowd


def test_levels_and_opinions_of_ratings() -> None:
    assert codes(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0, 5.0, 6.0])).tolist() == [0, 1, 2, 2, 2]
    population = crowd()
    assert population.mean == pytest.approx(47 / 14)
    signs = opinions(population.answers, population.mean).toarray()
    assert signs[0].tolist() == [1, 1, 1, 0]
    assert signs[4].tolist() == [-1, -1, 1, 0]


def test_a_large_crowd_is_thinned_evenly_and_silent_users_stay_out() -> None:
    matrix = sparse.csr_matrix(np.array([[1.0, 2], [0, 0], [3, 4], [5, 6], [7, 8]]))
    assert sample(matrix, 100).toarray().tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert sample(matrix, 4).toarray().tolist() == [[1, 2], [5, 6]]


def test_clusters_are_the_groups_that_lie_apart() -> None:
    points = np.array([[0.0, 0], [0, 1], [10, 0], [10, 1], [30, 0], [30, 1]])
    found = clusters(points, 3)
    assert found[0] == found[1] != found[2] == found[3] != found[4] == found[5] != found[0]
    assert clusters(np.ones((4, 2)), 3).tolist() == [0, 0, 0, 0]
    assert clusters(np.zeros((0, 2)), 3).tolist() == []


@pytest.mark.parametrize("start", [[0.0, 0.0], [-0.8, 2.04]], ids=["a point", "the mean"])
def test_k_means_of_plain_groups(start: list[float]) -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.0, 5.2], [-9.0, 0.0]])
    centres, of_point = k_means(points, np.array(start), 3, rounds=10)
    assert len({of_point[0], of_point[2], of_point[4]}) == 3
    assert of_point[0] == of_point[1]
    assert of_point[2] == of_point[3]
    np.testing.assert_allclose(centres[of_point[2]], [5.0, 5.1])


def test_fewer_different_points_than_clusters() -> None:
    centres, of_point = k_means(np.ones((4, 2)), np.ones(2), 3, rounds=10)
    assert of_point.tolist() == [0, 0, 0, 0]
    assert centres.tolist() == [[1.0, 1.0]]
    centres, of_point = k_means(np.zeros((0, 2)), np.zeros(2), 3, rounds=10)
    assert (centres.tolist(), of_point.tolist()) == ([[0.0, 0.0]], [])
