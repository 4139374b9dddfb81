"""Counts, disagreement and their products by hand, and against what published code got wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.acquisition import STRATEGIES, Candidates, Population, select
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste
from palate.testing.strategies import make_world
from tests.acquisition.scores import ONE, score
from tests.acquisition.tables import NONE, offered

BIT = np.log(2.0)


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
