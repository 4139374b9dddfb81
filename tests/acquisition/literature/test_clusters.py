"""Clusters of users and nearest users on tables small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import xlogy

from palate.acquisition import Given
from palate.acquisition.literature import clusters as groups
from palate.acquisition.literature.clusters import igcn, nearest, user_partitioning
from palate.acquisition.literature.crowd import clusters
from tests.acquisition.crowds import asked, crowd


def test_the_nearest_users_agree_with_the_answers() -> None:
    population = crowd()
    given = Given(np.array([0, 3]), np.array([5.0, np.nan]))
    # item 0 is rated by all: nearer is who rated it closer to 5, users 0 and 1 alike
    assert nearest(population, given, 4).tolist() == [0, 1, 2, 4]
    assert nearest(population, Given.nothing(), 2).tolist() == [0, 1, 2, 3, 4, 5]


def test_one_agreement_by_chance_weighs_less_than_two() -> None:
    population = crowd([[4, -1, 1], [4, 4, 1], [-1, -1, 5], [1, 1, 1]])
    given = Given(np.array([0, 1]), np.array([4.0, 4.0]))
    assert nearest(population, given, 3).tolist() == [1, 0, 2]


def test_information_gain_by_hand() -> None:
    """Two clusters of two. Item 0 tells the cluster: ratings (1, 1 | 5, 5). Item 1 is rated by the first cluster only.

    Item 2 gets the same answer of all: nothing. Item 3: one of each cluster rates it 3: nothing.
    """
    population = crowd([[1, 2, 3, 3], [1, 2, 3, -1], [5, -1, 3, 3], [5, -1, 3, -1]])
    found = groups.gains(population, np.array([0, 0, 1, 1]), np.arange(4))
    # item 1: weights 2 of cluster 0 under "2", 2 · ½ of cluster 1 under "not rated": H(1/3)
    entropy = -(xlogy(1 / 3, 1 / 3) + xlogy(2 / 3, 2 / 3))
    assert found.tolist() == pytest.approx([np.log(2), entropy, 0.0, 0.0], abs=1e-12)


def test_information_gain_counts_only_some_users() -> None:
    population = crowd([[1, 2, 3, 3], [1, 2, 3, -1], [5, -1, 3, 3], [5, -1, 3, -1]])
    found = groups.gains(population, np.array([0, 0, 1, 1]), np.array([0, 1]))
    assert found.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-12)
    assert groups.gains(population, np.zeros(4, dtype=np.intp), np.arange(4)).max() == pytest.approx(0.0, abs=1e-12)


def test_igcn_turns_to_the_nearest_users_after_five_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "NEIGHBOURS", 4)
    rng = np.random.default_rng(1)
    table = rng.integers(1, 6, (12, 8)).astype(float)
    population = crowd(table)
    plain = asked(igcn, population)
    four = [(item, 3.0) for item in range(4)]
    np.testing.assert_array_equal(asked(igcn, population, *four), plain)
    personal = asked(igcn, population, *four, (4, 3.0))
    labels = clusters(population.tastes, groups.CLUSTERS)
    given = Given(np.arange(5), np.full(5, 3.0))
    np.testing.assert_allclose(personal, groups.gains(population, labels, nearest(population, given, 4)))
    assert not np.allclose(personal, plain)


def test_a_split_of_users_by_hand() -> None:
    """Tastes come of one item alone, so that the parts can be summed by hand."""
    population = crowd([[5, 1, -1], [5, 5, -1], [1, 1, 3], [1, 5, 3]], factors=[[1.0], [0.0], [0.0]])
    z = population.tastes[:, 0]  # (5 - 3) / 2 and (1 - 3) / 2 with unit noise and prior
    assert z.tolist() == pytest.approx([1, 1, -1, -1])
    found = groups.splits(population, np.arange(4))
    # item 0: parts (1, 1) and (-1, -1), item 1: parts that sum to 0, item 2: those with a 3 and those without
    assert found.tolist() == pytest.approx([2 * 4 / 7, 0.0, 2 * 4 / 7])


def test_user_partitioning_splits_the_users_like_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "NEIGHBOURS", 2)
    population = crowd([[5, 1, -1], [5, 5, -1], [1, 1, 3], [1, 5, 3]], factors=[[1.0], [0.5], [0.0]])
    found = asked(user_partitioning, population, (0, 5.0))
    np.testing.assert_allclose(found, groups.splits(population, np.array([0, 1])))
    assert found.argmax() == 1
