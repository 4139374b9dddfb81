from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.acquisition import Given, Population
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste


def population(answers: list[list[float]]) -> Population:
    """-1 is no rating."""
    table = np.array(answers)
    cells = np.nonzero(table >= 0)
    items = Items.build(np.ones((table.shape[1], 3)), np.zeros((table.shape[1], 3, 3)), np.ones(table.shape[1]))
    matrix = sparse.csr_matrix((table[cells], cells), shape=table.shape)
    return Population(matrix, np.arange(6.0), Taste.build(items, Gaussian()))


def test_counts_and_means_take_a_rating_of_zero_for_a_rating() -> None:
    crowd = population([[0, 4, -1], [2, -1, -1]])
    assert crowd.counts.tolist() == [2, 1, 0]
    assert crowd.means.tolist() == [1.0, 4.0, 2.0]  # the last: all ratings together
    assert crowd.by_item.toarray().tolist() == [[0, 2], [4, 0], [0, 0]]


def test_nobody_has_the_middle_of_the_scale() -> None:
    crowd = population([[-1, -1, -1]])
    assert crowd.means.tolist() == [2.5, 2.5, 2.5]


def test_tastes_are_those_of_the_ratings() -> None:
    crowd = population([[3, 3, -1], [-1, -1, -1]])
    assert crowd.tastes.shape == (2, 2)
    assert crowd.tastes[0].min() > 0
    assert crowd.tastes[1].tolist() == [0.0, 0.0]


def test_what_is_built_once_is_kept() -> None:
    crowd, calls = population([[1, 1, 1]]), []
    assert [crowd.once("size", lambda own: calls.append(own) or own.n_items) for _ in range(3)] == [3, 3, 3]
    assert len(calls) == 1


def test_given_of_one_of_several_users() -> None:
    given = Given.nothing(2).added(np.array([3, 4]), np.array([5.0, np.nan])).added(np.array([-1, 0]), np.full(2, 1.0))
    assert given.of(0).columns.tolist() == [3]
    assert given.of(1).columns.tolist() == [4, 0]
    assert given.answered.tolist() == [[True, False], [False, True]]
    columns, values = given.of(1).rated()
    assert columns.tolist() == [0]
    assert values.tolist() == pytest.approx([1.0])
