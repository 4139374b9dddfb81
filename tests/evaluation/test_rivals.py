from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from palate.errors import DataError, LimitError
from palate.evaluation import item_models, rivals
from palate.evaluation.baselines import Interactions, matrix_of
from palate.evaluation.item_models import Rp3Beta, Slim
from palate.evaluation.text_profile import TfIdfProfile
from palate.ranking.experts import walks


def world(n_users=40, n_items=12, seed=0) -> Interactions:
    """Even users take even items and odd ones odd, mostly."""
    rng = np.random.default_rng(seed)
    likely = np.where(np.arange(n_users)[:, None] % 2 == np.arange(n_items) % 2, 0.6, 0.1)
    users, items = np.nonzero(rng.random((n_users, n_items)) < likely)
    return Interactions(users, items, np.ones(len(users)), np.full(len(users), np.nan), n_users, n_items)


def fitted(model, data):
    return model.fit(data, rng=np.random.default_rng(0))


def test_three_steps_of_the_walk_by_hand():
    data = world()
    met = matrix_of(data).toarray()
    to_item = (met / met.sum(1, keepdims=True)) ** 0.7  # from a user
    to_user = (met.T / met.sum(0)[:, None]) ** 0.7  # from an item
    walked = to_user @ to_item / met.sum(0) ** 0.3
    np.fill_diagonal(walked, 0.0)
    scores = fitted(Rp3Beta(0.7, 0.3, data.n_items), data).score(np.arange(3))
    assert scores == pytest.approx(met[:3] @ walked)


def test_the_nearest_of_each_item_met_and_then_of_each_scored_count_whatever_the_block(monkeypatch):
    data = world()
    everyone = fitted(Rp3Beta(0.7, 0.3, data.n_items), data).weights.toarray()
    kept = np.where(everyone >= np.sort(everyone, 1)[:, [-3]], everyone, 0.0)
    kept /= kept.sum(1, keepdims=True)
    kept = np.where(kept >= np.sort(kept, 0)[[-3]], kept, 0.0)
    assert fitted(Rp3Beta(0.7, 0.3, 3, normalized=True), data).weights.toarray() == pytest.approx(kept)
    monkeypatch.setattr(walks, "_CELLS", 5 * data.n_items)
    assert fitted(Rp3Beta(0.7, 0.3, 3, normalized=True), data).weights.toarray() == pytest.approx(kept)


def test_slim_solves_each_items_own_sparse_regression(monkeypatch):
    monkeypatch.setattr(item_models, "_TOLERANCE", 1e-10)
    monkeypatch.setattr(item_models, "_SWEEPS", 1000)
    data = world()
    met = matrix_of(data).toarray()
    found = fitted(Slim(2.0, 3.0), data).weights.toarray()
    for item in range(data.n_items):
        others = np.arange(data.n_items) != item
        per_row = (2.0 + 3.0) / len(met)  # scikit-learn's loss is a mean over rows
        regression = ElasticNet(
            alpha=per_row, l1_ratio=0.4, positive=True, fit_intercept=False, tol=1e-10, max_iter=10**5
        )
        assert found[others, item] == pytest.approx(regression.fit(met[:, others], met[:, item]).coef_, abs=1e-6)
        assert found[item, item] == 0.0


def test_slim_says_where_its_limit_is():
    data = Interactions(np.zeros(1, int), np.zeros(1, int), np.ones(1), np.zeros(1), 1, 5_001)
    with pytest.raises(LimitError, match=r"the catalogue has 5,001; its limit is 5,000. Leave it out with --models.$"):
        fitted(Slim(), data)


def test_items_that_share_words_with_what_was_met_come_first():
    texts = ("a red boat", "the red boat sails", "a green hill", "hills are green", "", "红色的船", "一条红船")
    data = Interactions(np.array([0, 1, 2]), np.array([0, 2, 5]), np.ones(3), np.full(3, np.nan), 4, 7)
    scores = fitted(TfIdfProfile(texts), data).score(np.arange(4))
    scores[[0, 1, 2], [0, 2, 5]] = -1.0
    assert scores[:3].argmax(1).tolist() == [1, 3, 6]
    assert scores[3].tolist() == [0.0] * 7 and scores[0, 4] == 0.0
    assert repr(TfIdfProfile(texts)) == "TfIdfProfile(longest=1)"
    with pytest.raises(DataError, match=r"^7 items have no text with a word"):
        fitted(TfIdfProfile(("",) * 7), data)


def test_what_cannot_run_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    one = Interactions(np.zeros(1, int), np.zeros(1, int), np.ones(1), np.full(1, np.nan), 1, 30_000)
    grids, left_out = rivals.default_grids(one)
    assert sorted(grids) == ["item-knn", "popularity", "rp3beta"]
    assert left_out == {
        "recent-popularity": "the interactions have no timestamps",
        "ease": "the catalogue has 30,000 items; its limit is 20,000",
        "slim": "the catalogue has 30,000 items; its limit is 5,000",
        "ials": "the library 'implicit' is not installed: pip install '.[peers]'",
        "tf-idf": "the items have no titles and no texts",
    }


@pytest.mark.parametrize("n_items", [1, 30, 100, 5000])
def test_every_rival_begins_inside_its_range(n_items):
    dated = Interactions(np.zeros(1, int), np.zeros(1, int), np.ones(1), np.zeros(1), 1, n_items)
    grids, left_out = rivals.default_grids(dated, ("a word",) * n_items)
    assert {*grids, *left_out} == {
        "popularity", "recent-popularity", "item-knn", "rp3beta", "ease", "slim", "ials", "tf-idf",
    }  # fmt: skip
    for grid in grids.values():
        for name, values in grid.values.items():
            assert getattr(grid.start, name) in values
