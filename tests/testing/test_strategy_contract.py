"""The contract passes on a good strategy, and each of its rules is broken by the strategy that breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.testing import StrategyContract


def spread(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """A whole strategy in a line."""
    return belief.variance(candidates.items.factors)


class TestSpread(StrategyContract):
    def make(self):
        return spread


def coin(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    return rng.random((*belief.mean.shape[:-1], len(candidates)))


class TestCoin(StrategyContract):
    draws = True

    def make(self):
        return coin


def one_too_many(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    return np.zeros((*belief.mean.shape[:-1], len(candidates) + 1))


def needs_ratings(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    with np.errstate(divide="ignore"):
        return np.broadcast_to(np.log(candidates.counts), (*belief.mean.shape[:-1], len(candidates)))


def for_one(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    return belief.variance(candidates.items.factors).reshape(-1)


def standardised(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    scores = belief.variance(candidates.items.factors)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (scores - scores.mean(-1, keepdims=True)) / scores.std(-1, keepdims=True)


def unseeded(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    return coin(belief, candidates, rng=np.random.default_rng())


def careless(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    scores = belief.variance(candidates.items.factors)
    candidates.counts[:] += 1
    return scores


def first_come(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    return np.broadcast_to(-np.arange(float(len(candidates))), (*belief.mean.shape[:-1], len(candidates)))


def of_the_crowd(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    scores = belief.variance(candidates.items.factors)
    return scores if scores.ndim == 1 else scores - scores.mean(0)


BROKEN = [
    (one_too_many, "test_one_finite_score_per_item_for_one_user"),
    (needs_ratings, "test_one_finite_score_per_item_for_one_user"),
    (needs_ratings, "test_finite_scores_where_nobody_has_rated_or_answered_anything"),
    (for_one, "test_one_finite_score_per_user_and_item_for_several"),
    (standardised, "test_a_single_candidate_has_a_score"),
    (standardised, "test_a_taste_that_is_known_has_finite_scores"),
    (unseeded, "test_the_same_seed_gives_the_same_scores"),
    (careless, "test_what_it_is_given_is_left_as_it_was"),
    (first_come, "test_shuffled_candidates_have_shuffled_scores"),
    (of_the_crowd, "test_several_users_are_scored_as_each_alone"),
]


@pytest.mark.parametrize(("broken", "rule"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_broken_strategy_fails(broken, rule: str) -> None:
    class Contract(StrategyContract):
        def make(self):
            return broken

    with pytest.raises(AssertionError):
        getattr(Contract(), rule)()


def test_every_rule_has_a_strategy_that_breaks_it() -> None:
    assert {rule for _, rule in BROKEN} == {name for name in dir(StrategyContract) if name.startswith("test_")}
