"""Relative questions against force and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from palate.acquisition.literature.questionnaire import relative_questions, static_pairs
from tests.acquisition.crowds import RNG, asked, crowd, offered


def test_relative_questions_by_hand() -> None:
    """Unit noise each. Items 0 and 1 lie furthest apart: (4, 0) lowers the error by 16 / 18; then items 2 and 3."""
    factors = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    pairs = static_pairs(crowd(factors=factors))
    assert pairs[:2] == [(0, 1), (2, 3)]
    assert len(pairs) == len(set(pairs)) == 6
    assert static_pairs(crowd(factors=factors), length=1) == [(0, 1)]


def test_relative_questions_are_of_well_known_items() -> None:
    assert static_pairs(crowd(), items=2) == [(0, 1)]  # item 3 differs most, but nobody knows it
    assert static_pairs(crowd(), items=1) == []


def test_pairs_that_are_alike_are_not_asked() -> None:
    assert static_pairs(crowd(factors=np.ones((4, 2)))) == []


def test_each_relative_question_lowers_the_error_most() -> None:
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(4, 2))
    population = crowd(factors=factors, noise=0.7)
    covariance = np.eye(2)
    for pair in static_pairs(population, length=3):
        errors = {}
        for a in range(4):
            for b in range(a + 1, 4):
                x = factors[a] - factors[b]
                errors[a, b] = np.trace(np.linalg.inv(np.linalg.inv(covariance) + np.outer(x, x) / 1.4))
        assert min(errors, key=errors.__getitem__) == pair or errors[pair] == pytest.approx(min(errors.values()))
        x = factors[pair[0]] - factors[pair[1]]
        covariance = np.linalg.inv(np.linalg.inv(covariance) + np.outer(x, x) / 1.4)


def test_items_are_scored_by_their_place_in_the_list() -> None:
    factors = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    population = crowd(factors=factors)
    assert asked(relative_questions, population).tolist() == [6, 6, 5, 5]
    _, candidates = offered(population)
    assert relative_questions(population.taste.start, candidates.take(np.array([3, 0])), rng=RNG).tolist() == [5, 6]
