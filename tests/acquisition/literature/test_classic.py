"""The classic family against scores worked out by hand, and against what published code got wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.acquisition import STRATEGIES, Candidates, Population, select
from palate.acquisition.literature import fixed_lists
from palate.acquisition.literature.maxvol import TOLERANCE, rectangular_maxvol, square_maxvol
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste
from palate.testing.strategies import make_world
from tests.acquisition.tables import NONE, offered

BIT = np.log(2.0)
ONE = Belief(np.zeros(1), np.eye(1))


def score(name: str, candidates: Candidates, belief: Belief = ONE) -> np.ndarray:
    with np.errstate(all="raise"):
        return STRATEGIES[name].score(belief, candidates, rng=np.random.default_rng(0))


# Four users, levels 1 to 4. What each score is made of, by item:
#             A             B             C           D          E
# ratings     1 2 3 4       4 4 1 1       1 2         3          none
# n           4             4             2           1          0
# entropy     2 bits        1 bit         1 bit       0          0
# variance    5/4           9/4           1/4         0          0
# Σ p²        1/4           1/2           1/2         1          none
# others rated by the same users (3, 3, 3 and 2 ratings each):
#             2+2+2+1       2+2+2+1       2+2         2          none
# error of a model that says 2 of everything, squared:
#             (1+0+1+4)/4   (4+4+1+1)/4   (1+0)/2     1          none
# entropy0, bits over 4 + 1/2; p of "not rated" is 0, 0, 1/2, 3/4 and 1, its share halved:
#             2             1             1/4 + 1     see below  0
D0 = 0.5 * 0.75 * np.log2(4 / 3) + 0.25 * 2
BY_HAND = {
    "co-coverage": [7, 7, 4, 2, 0],
    "rating-variance": [1.25, 2.25, 0.25, 0, 0],
    "entropy0": [2 * BIT / 4.5, BIT / 4.5, 1.25 * BIT / 4.5, D0 * BIT / 4.5, 0],
    "error": [1.5, 2.5, 0.5, 1, 0],
    "gini": [0.75, 0.5, 0.5, 0, 0],
    "rarity": [0.25, 0.25, 0.5, 1, 2],
    "log-popularity-entropy": [4 * BIT**2, 2 * BIT**2, BIT**2, 0, 0],
    "popularity-times-entropy": [8 * BIT, 4 * BIT, 2 * BIT, 0, 0],
    "popularity-plus-entropy": [2, 1.5, 1, 0.25, 0],
    "sqrt-popularity-variance": [2.5, 4.5, np.sqrt(2) / 4, 0, 0],
    "helf": [1, 2 / 3, 0.5, 0, 0],
    "popularity-times-error": [6, 10, 1, 1, 0],
    "popularity-times-gini": [3, 2, 1, 0, 0],
}
LISTS = ("greedy-extend", "representative-items", "local-representative-items")


@pytest.mark.parametrize(("name", "expected"), BY_HAND.items())
def test_scores_by_hand(name: str, expected: list[float]) -> None:
    assert score(name, offered()).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_by_hand_of_some_of_the_items(name: str) -> None:
    some = offered().take(np.array([3, 0]))
    assert score(name, some).tolist() == pytest.approx([BY_HAND[name][3], BY_HAND[name][0]])


# ---- what published code got wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["entropy", "entropy0", "log-popularity-entropy", "popularity-times-entropy", "popularity-plus-entropy", "helf"],
)
def test_an_item_that_lacks_a_level_has_a_finite_score_and_is_not_preferred(name: str) -> None:
    """0 log 0 left undefined gives NaN, which a greedy picker takes for the largest."""
    candidates = offered()
    scores = score(name, candidates)
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1:].max(), "the one item with every level is not first"
    (choice,) = select(STRATEGIES[name], ONE, candidates, rng=np.random.default_rng(0))
    assert choice.item == 0


@pytest.mark.parametrize("name", sorted({*BY_HAND, "entropy"} - {"rarity"}))
def test_an_item_that_nobody_rated_is_last(name: str) -> None:
    scores = score(name, offered())
    assert scores[4] == 0
    assert scores.min() == 0


def test_a_rating_of_zero_is_a_rating() -> None:
    """The same table one lower: the lowest level is stored as 0, and no score but none may take it for unrated."""
    lower = np.array([[1, 4, 1, NONE, NONE], [2, 4, NONE, 3, NONE], [3, 1, 2, NONE, NONE], [4, 1, NONE, NONE, NONE]])
    lower = np.where(lower == NONE, NONE, lower - 1)
    candidates = offered(lower, levels=(0, 1, 2, 3), level=1.0)
    for name, expected in BY_HAND.items():
        assert score(name, candidates).tolist() == pytest.approx(expected), name


def test_what_the_asked_user_answers_moves_no_score() -> None:
    for name in BY_HAND:
        before, after = score(name, offered()), score(name, offered(rated=[0, 1], given=[4.0, np.nan]))
        assert before.tolist() == after.tolist(), name


def test_one_level_and_one_user_divide_by_nothing() -> None:
    candidates = offered([[1.0, NONE]], levels=[1.0])
    for name in BY_HAND:
        assert np.isfinite(score(name, candidates)).all(), name
    assert score("helf", candidates).tolist() == [0, 0]


@pytest.mark.parametrize("name", [*BY_HAND, *LISTS])
def test_no_users_at_all(name: str) -> None:
    items = Items.build(np.ones((3, 2)), np.zeros((3, 2, 2)), np.ones(3))
    nobody = Population(sparse.csr_matrix((0, 3)), np.array([1.0, 2.0]), Taste.build(items, Gaussian()))
    candidates = Candidates.of_all(nobody, np.zeros((3, 2)), targets=np.full(3, 1 / 3))
    assert np.isfinite(score(name, candidates)).all()


# ---- error ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_error_is_that_of_the_fitted_users_predictions(kind: str) -> None:
    from scipy.stats import norm

    candidates = make_world(kind).candidates
    population, items = candidates.population, candidates.items
    predicted = items.level + population.tastes @ items.factors.T
    if kind == "probit":
        predicted = norm.cdf(predicted / np.sqrt(items.answer_noise))
    rated = sparse.csr_matrix((np.ones(population.answers.nnz), population.answers.indices, population.answers.indptr))
    known = rated.toarray() > 0
    squared = np.where(known, (population.answers.toarray() - predicted) ** 2, 0.0)
    found = score("error", candidates, make_world(kind).one)
    assert found[1:].tolist() == pytest.approx((squared.sum(0)[1:] / known.sum(0)[1:]).tolist())
    assert found[0] == 0, "nobody rated it"


# ---- maximal volume -------------------------------------------------------------------------------------------------


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


# ---- groups ---------------------------------------------------------------------------------------------------------


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


# ---- greedy extend --------------------------------------------------------------------------------------------------


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
