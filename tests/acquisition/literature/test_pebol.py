"""Beliefs over descriptions against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from palate.acquisition import Population
from palate.acquisition.literature.pebol import item_beliefs, pebol_thompson, pebol_ucb
from tests.acquisition.three_items import belief_of, make, rng_of


def test_pebol_beliefs_by_hand() -> None:
    """Content (1, 0), (3, 4) and (−1, 0): cosines .6 and, cut at 0, none; 4 of 1 to 5 is a reward of ¾."""
    alpha, gamma = item_beliefs(make(asked=[0], answers=[4.0]))
    assert alpha.tolist() == pytest.approx([1.75, 1.45, 1.0])
    assert gamma.tolist() == pytest.approx([1.25, 1.15, 1.0])


def test_pebol_without_content_hears_of_the_item_alone() -> None:
    candidates = make(asked=[0, 1], answers=[5.0, np.nan])
    bare = Population(candidates.population.answers, np.array([1.0, 5.0]), candidates.population.taste)
    alpha, gamma = item_beliefs(replace(candidates, population=bare))
    assert alpha.tolist() == [2.0, 1.0, 1.0]
    assert gamma.tolist() == [1.0, 1.0, 1.0]


def test_pebol_scores_come_from_those_beliefs() -> None:
    candidates = make(asked=[0], answers=[4.0])
    alpha, gamma = item_beliefs(candidates)
    np.testing.assert_allclose(pebol_ucb(belief_of(), candidates, rng=rng_of()), beta.ppf(0.9, alpha, gamma))
    rng = rng_of()
    draws = np.array([pebol_thompson(belief_of(), candidates, rng=rng) for _ in range(5_000)])
    np.testing.assert_allclose(draws.mean(0), beta.mean(alpha, gamma), atol=0.02)
