"""How an answer reaches other items, against scores worked out by hand, by force, or what it really does."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from palate.acquisition import Candidates
from palate.posteriors.belief import Belief
from palate.testing.strategies import make_world
from tests.acquisition.scores import score
from tests.acquisition.tables import NONE, offered

# Users who rated both, over the root of the product of n = 4, 4, 2, 1, 0:
#   A-B 4/4, A-C 2/√8, A-D 1/√4; C-D none; an item with itself 1.
ITEM_ITEM = [
    ([], [], [1, 1, 0.5, 0.25, 0]),  # nothing known: the share of four users
    ([4, 3], [np.nan, np.nan], [1, 1, 0.5, 0.25, 0]),  # what was not answered says nothing
    ([0], [1.0], [1, 1, np.sqrt(0.5), 0.5, 0]),
    ([0], [4.0], [1, 1, np.sqrt(0.5), 0.5, 0]),  # whatever the rating
    ([2, 3], [1.0, 1.0], [np.sqrt(0.5) + 0.5, np.sqrt(0.5) + 0.5, 1, 1, 0]),
]


@pytest.mark.parametrize(("rated", "ratings", "expected"), ITEM_ITEM)
def test_item_item_by_hand(rated: list[int], ratings: list[float], expected: list[float]) -> None:
    found = score("item-item", offered(rated=rated, given=ratings), Belief(np.zeros(1), np.eye(1)))
    assert found.tolist() == pytest.approx(expected)


def test_item_item_of_some_of_the_items() -> None:
    some = offered(rated=[2], given=[1.0]).take(np.array([3, 0]))
    assert score("item-item", some, Belief(np.zeros(1), np.eye(1))).tolist() == pytest.approx([0, np.sqrt(0.5)])


def test_impact_analysis_by_hand() -> None:
    """Users 0 and 2 share C with the user, so that one end less is new through each of them."""
    found = score("impact-analysis", offered(rated=[2], given=[1.0]), Belief(np.zeros(1), np.eye(1)))
    assert found.tolist() == [1 + 2 + 1 + 1, 1 + 2 + 1 + 1, 0, 2, 0]


@settings(max_examples=60, deadline=None)
@given(
    rated=arrays(bool, (5, 6)),
    mine=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=4, unique_by=lambda asked: asked[0]),
)
def test_impact_analysis_counts_the_new_paths(rated: np.ndarray, mine: list[tuple[int, bool]]) -> None:
    columns, answered = [column for column, _ in mine], [column for column, has in mine if has]
    table = np.where(rated, 1.0, NONE)
    candidates = offered(table, levels=[1.0], rated=columns, given=[1.0 if has else np.nan for _, has in mine])
    paths = [
        sum(rated[v, i] and rated[v, j] for v in range(5) for j in range(6) if j != i and j not in answered)
        if i not in answered
        else 0
        for i in range(6)
    ]
    assert score("impact-analysis", candidates, Belief(np.zeros(1), np.eye(1))).tolist() == paths


def test_influence_is_the_change_from_an_answer_one_off_times_its_uncertainty() -> None:
    world = make_world()
    belief, candidates, taste = world.one, world.offered, world.candidates.population.taste
    factors = candidates.items.factors
    found = score("influence", candidates, belief)
    for item in range(len(candidates)):
        expected = candidates.items.level[item] + factors[item] @ belief.mean
        uncertainty = np.sqrt(factors[item] @ belief.covariance @ factors[item] + candidates.items.answer_noise[item])
        for step in (1.0, -1.0):
            moved = taste.observe(belief, item, expected + step)
            change = np.abs((moved.mean - belief.mean) @ factors.T).sum()
            assert found[item] == pytest.approx(change * uncertainty)


def test_influence_of_likes_is_the_deviation_of_the_moves_over_both_answers() -> None:
    world = make_world("probit")
    belief, candidates, taste = world.one, world.offered, world.candidates.population.taste
    chances = score_of_like(belief, candidates)
    found = score("influence", candidates, belief)
    for item, chance in enumerate(chances):
        yes, no = (taste.observe(belief, item, liked).mean @ candidates.items.factors.T for liked in (1.0, 0.0))
        assert found[item] == pytest.approx((np.abs(yes - no) * np.sqrt(chance * (1 - chance))).sum(), rel=1e-6)


def score_of_like(belief: Belief, candidates: Candidates) -> np.ndarray:
    factors = candidates.items.factors
    mean = candidates.items.level + factors @ belief.mean
    return norm.cdf(mean / np.sqrt(belief.variance(factors) + candidates.noise))


def test_influence_is_the_same_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    whole = score("influence", world.offered, world.one)
    monkeypatch.setattr(import_module("palate.acquisition.literature.influence"), "_BLOCK", 30)
    np.testing.assert_allclose(score("influence", world.offered, world.one), whole)
