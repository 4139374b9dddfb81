from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from palate.errors import DataError, OptionError
from palate.evaluation import ranking
from palate.evaluation.baselines import Ease, Interactions, ItemKNN, Popularity, SameForAll, matrix_of
from palate.evaluation.ranking import evaluate_ranking


def world(seed: int = 0, n_users: int = 60, n_items: int = 30) -> Interactions:
    """Two camps of users, each with nine in ten of its interactions inside its half of the items."""
    rng = np.random.default_rng(seed)
    likes = np.where(np.arange(n_users)[:, None] % 2 == np.arange(n_items) % 2, 0.45, 0.05)
    users, items = np.nonzero(rng.random((n_users, n_items)) < likes)
    return Interactions(users, items, np.ones(len(users)), np.full(len(users), np.nan), n_users, n_items)


def thirds(data: Interactions) -> tuple[Interactions, Interactions, Interactions]:
    part = np.random.default_rng(1).integers(3, size=len(data.users))
    return data.where(part == 0), data.where(part == 1), data.where(part == 2)


def evaluate(grids, *parts, seed=0, k=5):
    return evaluate_ranking(grids, *parts, k=k, rng=np.random.default_rng(seed))


@dataclass(frozen=True)
class Fixed:
    """Scores known before; remembers what it was fitted on."""

    scores: tuple[float, ...]
    fitted_on: list[int] = field(default_factory=list, compare=False, repr=False)

    def fit(self, train, *, rng):
        self.fitted_on.append(len(train.users))
        return SameForAll(np.array(self.scores))


def rows(pairs, n_users, n_items):
    users, items = np.array(pairs, dtype=int).reshape(-1, 2).T
    return Interactions(users, items, np.ones(len(users)), np.full(len(users), np.nan), n_users, n_items)


def test_the_figures_known_by_hand():
    train, test = rows([(0, 0), (1, 1)], 3, 4), rows([(0, 1), (1, 3)], 3, 4)
    found = evaluate({"fixed": [Fixed((4.0, 3.0, 2.0, 1.0))]}, train, None, test, k=2)
    assert (found["k"], found["users"], found["users_without_positives"]) == (2, 2, 1)
    assert (found["with_history"]["users"], found["with_history"]["best"], found["without_history"]) == (
        2,
        "fixed",
        None,
    )
    model = found["with_history"]["models"]["fixed"]
    # user 0 sees 1, 2 (hit first); user 1 sees 0, 2 (miss); user 2 has no positive and counts in no mean
    assert model["metrics"]["ndcg@2"] == {"mean": 0.5, "low": 0.0, "high": 1.0}
    assert model["metrics"]["precision@2"]["mean"] == 0.25
    assert model["metrics"]["hit_rate@2"]["mean"] == 0.5
    assert model["metrics"]["recall@4"]["mean"] == 1.0  # twice as far down
    assert model["coverage@2"] == 0.75
    assert found["models"]["fixed"]["settings"] == "Fixed(scores=(4.0, 3.0, 2.0, 1.0))"


def test_better_models_come_out_better():
    grids = {"popularity": [Popularity()], "ease": [Ease(1.0), Ease(10.0)], "item-knn": [ItemKNN(10)]}
    found = evaluate(grids, *thirds(world()))
    group = found["with_history"]
    assert group["best"] in ("ease", "item-knn")
    behind = group["models"]["popularity"]["behind_best"]["ndcg@5"]
    assert behind["high"] < 0.0
    assert behind["mean"] == pytest.approx(
        group["models"]["popularity"]["metrics"]["ndcg@5"]["mean"]
        - group["models"][group["best"]]["metrics"]["ndcg@5"]["mean"]
    )
    assert set(group["models"][group["best"]]["behind_best"]["ndcg@5"].values()) == {0.0}


def test_the_result_is_json_and_the_same_for_the_same_seed():
    def run():
        found = evaluate({"ease": [Ease(1.0), Ease(9.0)], "popularity": [Popularity()]}, *thirds(world()))
        settings = [(name, model["settings"]) for name, model in found["models"].items()]
        return settings, found["with_history"], found["without_history"]

    assert json.dumps(run()) == json.dumps(run())


def test_settings_are_chosen_on_validation_rows_never_on_test_rows():
    train = rows([(0, 0), (1, 0)], 2, 4)
    validation, test = rows([(0, 1), (1, 1)], 2, 4), rows([(0, 3), (1, 3)], 2, 4)
    good_there, good_here = Fixed((0.0, 2.0, 1.0, 0.0)), Fixed((0.0, 0.0, 1.0, 2.0))
    found = evaluate({"two": [good_here, good_there]}, train, validation, test, k=1)
    assert found["models"]["two"]["settings"] == repr(good_there)
    assert good_there.fitted_on == [2, 4]  # to tune on the training rows alone, to judge on the validation rows too
    assert found["with_history"]["models"]["two"]["metrics"]["ndcg@1"]["mean"] == 0.0


def test_without_validation_rows_the_choice_is_refitted_on_all_training_rows():
    train, _, test = thirds(world())
    first, second = Fixed(tuple(range(30))), Fixed(tuple(range(30, 0, -1)))
    evaluate({"two": [first, second]}, train, None, test)
    tuned, final = sorted([first.fitted_on, second.fitted_on], key=len)
    assert len(tuned) == ranking.INNER_SPLITS
    assert all(0.65 < size / len(train.users) < 0.95 for size in tuned)
    assert final == [*final[:-1], len(train.users)]


def test_one_setting_is_not_tuned():
    only = Fixed(tuple(range(30)))
    train, validation, test = thirds(world())
    evaluate({"one": [only]}, train, validation, test)
    assert only.fitted_on == [len(train.users) + len(validation.users)]


def test_lists_leave_out_training_and_validation_rows():
    train, validation = rows([(0, 0)], 1, 4), rows([(0, 1)], 1, 4)
    found = evaluate({"fixed": [Fixed((4.0, 3.0, 2.0, 1.0))]}, train, validation, rows([(0, 2)], 1, 4), k=1)
    assert found["with_history"]["models"]["fixed"]["metrics"]["ndcg@1"]["mean"] == 1.0


def test_a_positive_seen_before_does_not_count():
    train, test = rows([(0, 0)], 1, 4), rows([(0, 0), (0, 1)], 1, 4)
    found = evaluate({"fixed": [Fixed((4.0, 3.0, 2.0, 1.0))]}, train, None, test, k=1)
    assert found["with_history"]["models"]["fixed"]["metrics"]["recall@1"]["mean"] == 1.0


def test_people_without_a_history_get_the_better_level_and_their_own_table():
    train = world()
    newcomers = np.isin(train.users, np.arange(50, 60))
    validation, test = train.where(np.isin(train.users, np.arange(40, 50))), train.where(newcomers)
    train = train.where(train.users < 40)
    worse = Fixed(tuple(-np.bincount(train.items, minlength=30).astype(float)))
    grids = {"item-knn": [ItemKNN(5)], "popularity": [Popularity()], "recent-popularity": [worse], "fixed": [worse]}
    found = evaluate(grids, train, validation, test)
    assert found["with_history"] is None and found["without_history"]["users"] == 10
    models = found["without_history"]["models"]
    assert models["item-knn"]["metrics"] == models["popularity"]["metrics"] != models["recent-popularity"]["metrics"]
    assert {name: model["fallback"] for name, model in found["models"].items()} == {
        "item-knn": "popularity",
        "popularity": None,
        "recent-popularity": None,
        "fixed": None,
    }
    assert list(found["models"]) == list(grids)


def test_a_model_that_says_nothing_is_as_good_as_chance():
    train, test = rows([(0, 0)], 1, 5), rows([(0, 1)], 1, 5)  # the table names the positive first
    metrics = evaluate({"fixed": [Fixed((0.0,) * 5)]}, train, None, test, k=1)["with_history"]["models"]["fixed"][
        "metrics"
    ]
    assert metrics["ndcg@1"]["mean"] == metrics["recall@1"]["mean"] == 0.25


def test_users_in_blocks_give_the_same(monkeypatch):
    train, _, test = thirds(world())
    scorer = Ease(2.0).fit(train, rng=np.random.default_rng(0))
    whole = ranking.judge(scorer, matrix_of(train), matrix_of(test), 5)[0]
    monkeypatch.setattr(ranking, "USER_BLOCK", 7)
    found, lists = ranking.judge(scorer, matrix_of(train), matrix_of(test), 5)
    assert lists.shape == (60, 5)
    for name, values in whole.items():
        assert np.array_equal(found[name], values, equal_nan=True)


def test_progress_names_each_model():
    named: list[str] = []
    grids = {"popularity": [Popularity()], "ease": [Ease(1.0)]}
    evaluate_ranking(grids, *thirds(world()), rng=np.random.default_rng(0), progress=named.append)
    assert named == ["popularity", "ease"]


def test_nothing_to_compare_is_an_error():
    train, validation, test = thirds(world())
    nothing = test.where(np.zeros(len(test.users), dtype=bool))
    with pytest.raises(OptionError, match=r"^there is no model to evaluate. Name at least one, such as popularity.$"):
        evaluate({}, train, validation, test)
    with pytest.raises(
        DataError, match=r"^the training part has 0 interactions that are for. Choose another split or give more"
    ):
        evaluate({"popularity": [Popularity()]}, nothing, None, test)
    with pytest.raises(DataError, match=r"^the test part has 0 items that its users have not seen before."):
        evaluate({"popularity": [Popularity()]}, train, None, train)


def test_one_user_and_one_item_are_enough():
    found = evaluate({"item-knn": [ItemKNN(3), ItemKNN(5)]}, rows([(0, 0)], 2, 1), None, rows([(1, 0)], 2, 1), k=3)
    assert found["without_history"]["models"]["item-knn"]["metrics"]["recall@3"]["mean"] == 1.0
    assert found["with_history"] is None


def test_movielens_as_measured_elsewhere(shared_data):
    """EASE has about .48 in Microsoft Recommenders' protocol, and popularity about .25."""
    table = np.loadtxt(shared_data("movielens-100k") / "original" / "u.data", dtype=np.int64)
    everyone = Interactions(
        table[:, 0] - 1, table[:, 1] - 1, table[:, 2].astype(float), table[:, 3].astype(float), 943, 1682
    )
    rank = np.random.default_rng(42).random(100_000)
    order = np.lexsort((rank, everyone.items))
    counts = np.bincount(everyone.items, minlength=1682)
    place = np.arange(100_000) - np.repeat(np.cumsum(counts) - counts, counts)
    train = np.zeros(100_000, dtype=bool)
    train[order] = place < np.round(0.75 * counts[everyone.items[order]])
    grids = {"popularity": [Popularity()], "ease": [Ease(400.0)]}
    found = evaluate(grids, everyone.where(train), None, everyone.where(~train), k=10)
    assert found["with_history"]["models"]["ease"]["metrics"]["ndcg@10"]["mean"] == pytest.approx(0.48, abs=0.01)
    assert found["with_history"]["models"]["popularity"]["metrics"]["ndcg@10"]["mean"] == pytest.approx(0.25, abs=0.01)
