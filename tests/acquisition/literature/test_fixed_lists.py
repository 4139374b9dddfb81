"""Lists made once, against brute force and what they are for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.acquisition import Candidates, Population
from palate.acquisition.literature import fixed_lists
from palate.posteriors.belief import Belief
from tests.acquisition.scores import score
from tests.acquisition.tables import NONE, offered


def test_representative_items_predict_the_others_better_than_chance() -> None:
    """A user fitted by least squares to the first places: the error of the rest against that of random places."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(60, 4)) * rng.uniform(0.2, 2.0, (60, 1))
    candidates = offered(np.full((3, 60), 2.0), factors=factors)
    places = np.argsort(-score("representative-items", candidates))
    tastes = rng.normal(size=(200, 4))
    answers = tastes @ factors.T + 0.5 * rng.normal(size=(200, 60))

    def rmse(asked: np.ndarray) -> float:
        fitted = np.linalg.lstsq(factors[asked], answers[:, asked].T, rcond=None)[0].T
        return float(np.sqrt(((fitted - tastes) ** 2).mean()))

    at_random = [rmse(rng.choice(60, 8, replace=False)) for _ in range(20)]
    assert rmse(places[:8]) < 0.6 * np.mean(at_random)


def test_representative_items_have_distinct_places() -> None:
    scores = score("representative-items", offered(factors=np.array([[3.0], [1.0], [2.0], [0.0], [5.0]])))
    assert scores.tolist() == [-1, -3, -2, -4, 0]


def _two_camps() -> Candidates:
    """Users of taste + rate items 0, 1 and 2 to 4 in all; those of taste − rate 0, 1 and 5 to 7."""
    ratings = np.full((20, 8), NONE)
    rng = np.random.default_rng(0)
    ratings[:10, :2], ratings[10:, :2] = 4.0, 1.0
    ratings[:10, 2:5] = rng.integers(1, 5, (10, 3))
    ratings[10:, 5:] = rng.integers(1, 5, (10, 3))
    factors = np.array([[2.0], [2.0], *[[0.1]] * 6])
    return offered(ratings, level=2.5, factors=factors)


def test_local_items_are_those_of_the_users_like() -> None:
    candidates = _two_camps()
    belief = Belief(np.array([[1.5], [-1.5]]), np.ones((2, 1, 1)))
    first, second = np.argsort(-score("local-representative-items", candidates, belief), axis=1)
    assert first[0] == second[0], "the first question is the same for all"
    assert set(first[:5]) <= {0, 1, 2, 3, 4}
    assert set(second[:5]) <= {0, 1, 5, 6, 7}
    assert sorted(first) == sorted(second) == list(range(8))


def _by_force(population: Population, length: int) -> list[int]:
    """The same list from beliefs made anew from all answers to each S."""
    taste, n = population.taste, population.n_users
    table = np.full((n, population.n_items), np.nan)
    coo = population.answers.tocoo()
    table[coo.row, coo.col] = coo.data
    open_, test = np.zeros_like(table, dtype=bool), np.zeros_like(table, dtype=bool)
    for user in range(n):
        own = np.flatnonzero(~np.isnan(table[user]))
        open_[user, own[user % 2 :: 2]] = True
        test[user] = ~np.isnan(table[user]) & ~open_[user]

    def error(asked: list[int]) -> float:
        seen = np.zeros_like(open_)
        seen[:, asked] = open_[:, asked]
        answers = sparse.csr_matrix((table[seen], np.nonzero(seen)), shape=table.shape)
        predicted = taste.items.level + taste.believe(answers).mean @ taste.items.factors.T
        return float(((predicted - table)[test] ** 2).sum())

    chosen: list[int] = []
    while len(chosen) < length:
        rest = [item for item in range(population.n_items) if item not in chosen]
        errors = [error([*chosen, item]) for item in rest]
        if min(errors) >= error(chosen):
            break
        chosen.append(rest[int(np.argmin(errors))])
    return chosen


def test_greedy_extend_adds_what_lowers_the_error_on_the_held_out_half_most() -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(10, 2)) * 0.8
    ratings = 2.5 + rng.normal(size=(30, 2)) @ factors.T + 0.3 * rng.normal(size=(30, 10))
    ratings[rng.random(ratings.shape) < 0.2] = NONE
    candidates = offered(ratings, level=2.5, factors=factors, noise=0.1)
    expected = _by_force(candidates.population, 5)
    assert np.argsort(-score("greedy-extend", candidates))[:5].tolist() == expected


def test_greedy_extend_ends_where_nothing_helps_and_goes_on_by_popularity() -> None:
    """A model without factors learns nothing from any answer."""
    places = np.argsort(-score("greedy-extend", offered()))
    assert places.tolist() == [0, 1, 2, 3, 4]  # n = 4, 4, 2, 1, 0


def test_greedy_extend_of_likes() -> None:
    """One item has a factor and tells of itself and its twin; the other two are coins."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=200)
    liked = (taste[:, None] * np.array([3.0, 3.0, 0, 0]) + rng.normal(size=(200, 4)) > 0).astype(float)
    candidates = offered(liked, levels=(0, 1), level=0.0, factors=np.array([[3.0], [3.0], [0.0], [0.0]]), kind="probit")
    places = np.argsort(-score("greedy-extend", candidates))
    assert set(places[:2]) == {0, 1}


def test_lists_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = offered()
    first = score("greedy-extend", candidates)
    monkeypatch.setattr(fixed_lists, "_greedy_extend_build", None)
    assert score("greedy-extend", replace(candidates, counts=candidates.counts)).tolist() == first.tolist()


def test_only_the_most_rated_items_may_enter_the_grown_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two that tell of each other are rated least; with a pool of two they wait among the others."""
    factors = np.array([[0.1], [0.2], [2.0], [2.0]])
    ratings = 2.5 + np.random.default_rng(0).normal(size=(40, 1)) @ factors.T
    ratings[:4, 2:] = NONE
    for pool, first in ((4, {2, 3}), (2, {0, 1})):
        monkeypatch.setattr(fixed_lists, "POOL", pool)
        scores = score("greedy-extend", offered(ratings, level=2.5, factors=factors, noise=0.1))
        assert int(np.argmax(scores)) in first
        assert sorted(scores) == [-3, -2, -1, 0]
