"""Strategies that learn a structure, of crowds of nearly nobody."""

from __future__ import annotations

import numpy as np
import pytest

from palate.acquisition import STRATEGIES, Strategy
from tests.acquisition.crowds import asked, crowd

STRUCTURED = [one for one in STRATEGIES.values() if one.idea == "A structure learnt first" or one.unit == "places"]


@pytest.mark.parametrize("entry", STRUCTURED, ids=lambda entry: entry.name)
@pytest.mark.parametrize("table", [[[4.0]], [[3, 3], [3, 3], [3, 3]], [[-1, -1]]], ids=["one", "alike", "nobody"])
def test_tiny_crowds_have_finite_scores(entry: Strategy, table: list[list[float]]) -> None:
    population = crowd(table, factors=np.zeros((len(table[0]), 2)))
    assert np.isfinite(asked(entry.score, population)).all()
    assert np.isfinite(asked(entry.score, population, (0, 3.0))).all()
