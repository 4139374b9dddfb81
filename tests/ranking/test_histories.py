from __future__ import annotations

import numpy as np
import pytest

from palate.ranking.experts.factors import FactorSettings, fit_factors
from palate.ranking.histories import Histories, evidence, list_ndcg
from tests.ranking.test_fit_list import a_world


def test_what_was_met_last_counts_most() -> None:
    rows = Histories.of([np.array([3, 0]), np.array([], dtype=np.intp), np.array([1])], 4).matrix(0.5).toarray()
    assert rows.tolist() == [[1.0, 0.0, 0.0, 0.5], [0.0] * 4, [0.0, 1.0, 0.0, 0.0]]


def test_evidence_keeps_the_order_and_is_nothing_where_nothing_is_said() -> None:
    found = evidence(np.array([[0.0, 1.0, 3.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 2.0]]))
    assert found[0] == pytest.approx(np.log1p(np.array([0.0, 7.5, 22.5])))
    assert not found[1].any() and found[2, 0] == found[2, 1] == 0.0


def test_ndcg_by_hand() -> None:
    scores = np.array([[3.0, 2.0, 1.0, -np.inf], [1.0, 2.0, 3.0, 4.0]])
    liked = np.array([[False, True, False, True], [False, False, False, True]])
    found = list_ndcg(scores, liked, liked.sum(1), k=2)
    assert found == pytest.approx([(1 / np.log2(3)) / (1 + 1 / np.log2(3)), 1.0])


def test_shares_of_factors_add_up_and_the_order_of_a_history_says_nothing() -> None:
    met = a_world(dated=False)
    matrix = met.histories.matrix()
    factors = fit_factors(matrix, FactorSettings(8, 0.1, 0.02), rng=np.random.default_rng(0))
    history = np.array([0, 3, 14])
    forth, back = (factors.score(Histories.of([some], met.n_items).matrix())[0] for some in (history, history[::-1]))
    np.testing.assert_allclose(forth, back, rtol=1e-4, atol=1e-6)
    for item in (5, 20):
        assert factors.shares(history, item).sum() == pytest.approx(forth[item], abs=1e-4)
    assert forth[1:12].mean() > 3 * forth[36:].mean()
    assert not factors.score(Histories.of([history[:0]], met.n_items).matrix()).any()
