from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from palate import Dataset, Learner
from palate.classifiers.softmax import Softmax
from palate.errors import OptionError, PalateError
from palate.integrations.scikit_learn import InvalidInput, PalateClassifier, PalateRecommender, list_ndcg
from tests.worlds import world

# Each fits a recommender several times: those of which the others are variants are in every run.
OFTEN = (
    "check_dict_unchanged",
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_1feature",
    "check_fit_idempotent",
    "check_n_features_in_after_fitting",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_regressor_data_not_an_array",
    "check_supervised_y_2d",
    "check_methods_sample_order_invariance",
)


def checks(estimator: Any) -> Iterator[Any]:
    """None is left out and none is expected to fail."""
    for one, check in estimator_checks_generator(estimator):
        name = getattr(check, "func", check).__name__
        rarely = isinstance(one, PalateRecommender) and name not in OFTEN
        yield pytest.param(one, check, id=f"{type(one).__name__}-{name}", marks=[pytest.mark.long] if rarely else [])


@pytest.mark.parametrize(
    ("estimator", "check"),
    [*checks(PalateRecommender(likelihood="gaussian", dim=2)), *checks(PalateClassifier())],
)
@pytest.mark.filterwarnings("default")
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


# --- the recommender ------------------------------------------------------------------------------


def table(rows: int = 600) -> tuple[pl.DataFrame, np.ndarray]:
    found = world(users=80, items=40).dataset.interactions.head(rows)
    return found.select(user="user_id", item="item_id", when="timestamp"), found["rating"].to_numpy()


@cache
def fitted() -> PalateRecommender:
    X, y = table()
    return PalateRecommender(likelihood="gaussian", dim=4).fit(X, y)


def test_predictions_are_those_of_the_learner_in_the_order_of_the_rows() -> None:
    X, _ = table()
    rows, learner = X[[500, 3, 41, 3]], fitted().learner_
    mean, std = fitted().predict(rows, return_std=True)
    for place, (user, item) in enumerate(zip(rows["user"], rows["item"], strict=True)):
        shown = {one.item_id: one for one in learner.recommend(user, 40, include_seen=True)}[item]
        assert (mean[place], std[place]) == (shown.score, shown.std)
    assert np.array_equal(std, fitted().predict_std(rows))
    assert fitted().score(*table()) > 0.3


def test_the_fit_is_that_of_the_same_ratings() -> None:
    X, y = table()
    data = Dataset.from_tables(X.select(user_id="user", item_id="item", rating=pl.Series(y)))
    same = Learner.fit(data, encoder="none", likelihood="gaussian", dim=4)
    assert same.recommend("u07", 5) == fitted().recommend("u07", 5)


def test_columns_are_found_by_name_or_else_by_place_and_ids_by_what_they_say() -> None:
    X, y = table(300)
    numbers = np.column_stack([X["user"].str.slice(1).cast(int), X["item"].str.slice(1).cast(int)])
    by_place = PalateRecommender(likelihood="gaussian", dim=2).fit(numbers.astype(float), y)
    named = pl.DataFrame({"item_id": numbers[:, 1], "more": y, "user_id": numbers[:, 0].astype(str)})
    by_name = PalateRecommender(likelihood="gaussian", dim=2).fit(named, y)
    assert np.array_equal(by_place.predict(numbers), by_name.predict(named))
    assert by_place.recommend(7.0, 3) == by_name.recommend("7", 3)


def test_who_or_what_is_unknown_is_like_the_others() -> None:
    mean, std = fitted().predict(pl.DataFrame({"user": ["u01", "new"], "item": ["new", "new"], "when": [0, 0]}), True)
    ratings = table()[1]
    assert np.isfinite(mean).all() and abs(mean[1] - ratings.mean()) < 0.7
    assert std[1] > np.median(fitted().predict_std(table()[0]))
    assert "new" not in fitted().learner_.model.catalogue  # predicting changes nothing


def test_without_ratings_what_was_done_is_learnt() -> None:
    X, _ = table(650)
    model = PalateRecommender(dim=2).fit(X[:500])
    assert model.learner_.model.taste.likelihood.events_only
    assert 0.0 < list_ndcg(model, X[500:]) < 1.0
    assert list_ndcg(model, X[:500]) == 0.0  # what somebody had is not shown again


def test_list_ndcg_is_that_of_the_lists_over_the_whole_catalogue() -> None:
    model = fitted()
    X = pl.DataFrame({"user": ["ann", "ann", "bob"], "item": ["", "gone", "i01"], "when": [0, 0, 0]})
    third = model.recommend("ann", 3)[2].item_id
    X[0, "item"] = third
    gain, best = 1 / np.log2(4), 1 + 1 / np.log2(3)
    assert list_ndcg(model, X, [5, 5, 1], k=3) == pytest.approx(gain / best)  # bob likes nothing, so counts not
    with pytest.raises(InvalidInput, match="3 rows none is liked"):
        list_ndcg(model, X, [1, 1, 1])


def test_it_works_in_a_pipeline_a_grid_and_cross_validation() -> None:
    X, y = table(300)
    frame, model = X.to_pandas(), PalateRecommender(likelihood="gaussian", dim=2)
    same = make_pipeline(FunctionTransformer(), model).fit(frame, y)
    assert np.array_equal(same.predict(frame), model.predict(X))
    grid = GridSearchCV(model, {"dim": [1]}, cv=2, scoring=list_ndcg, refit=False, error_score="raise").fit(frame, y)
    assert grid.cv_results_["mean_test_score"][0] > 0


def test_a_table_of_items_gives_titles_and_priors() -> None:
    X, y = table(300)
    items = world(users=80, items=40).dataset.items
    model = PalateRecommender(items=items, encoder="none", likelihood="gaussian", dim=2).fit(X, y)
    (first,) = model.recommend("u01", 1)
    assert first.title == items.filter(pl.col("item_id") == first.item_id)["title"].item()


# --- the classifier -------------------------------------------------------------------------------


def blobs() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(60, centers=3, n_features=4, cluster_std=4.0, random_state=0)
    return StandardScaler().fit_transform(X), np.array(["ant", "bee", "cat"])[y]


def test_probabilities_are_those_of_the_softmax_model() -> None:
    X, y = blobs()
    model = PalateClassifier(prior_variance=0.5).fit(X, y)
    own = Softmax.fit(np.column_stack([X, np.ones(len(X))]), y, ["ant", "bee", "cat"], 0.5)
    assert np.array_equal(model.predict_proba(X), own.probabilities(np.column_stack([X, np.ones(len(X))])))
    assert model.classes_.tolist() == ["ant", "bee", "cat"]
    plain = PalateClassifier(fit_intercept=False).fit(X, y)
    assert plain.softmax_.weights.shape == (4, 3)


def test_a_partial_fit_is_the_fit_to_all_labels() -> None:
    X, y = blobs()
    whole = PalateClassifier().fit(X, y)
    parts = PalateClassifier().partial_fit(X[:5], y[:5], classes=["cat", "ant", "bee"])
    parts.partial_fit(X[5:30], y[5:30]).partial_fit(X[30:], y[30:])
    assert np.allclose(parts.predict_proba(X), whole.predict_proba(X), atol=1e-6)
    assert PalateClassifier(classes=["ant", "bee", "cat"]).partial_fit(X[:1], y[:1]).classes_.size == 3
    assert parts.classes is None  # what the constructor was told stays
    with pytest.raises(InvalidInput, match="'dog' is none of the classes"):
        parts.partial_fit(X[:1], ["dog"])
    assert len(parts.labelled_) == 60  # nothing of a refused call is kept


def test_asked_rows_are_those_that_the_strategy_chooses(rng: np.random.Generator) -> None:
    X, y = blobs()
    model = PalateClassifier(prior_variance=10.0).fit(X[:30], y[:30])
    chosen = model.ask(X[30:], 3, strategy="margin", draws=500, rng=rng)
    probabilities = np.sort(model.predict_proba(X[30:]), axis=1)
    margin = probabilities[:, -1] - probabilities[:, -2]
    assert len(set(chosen.tolist())) == 3 and margin[chosen].max() < np.median(margin)
    seen = model.pool(X[30:], draws=7, rng=rng)
    assert seen.samples.shape == (7, 30, 3) and seen.labelled_samples.shape == (7, 30, 3)
    with pytest.raises(OptionError, match="Did you mean 'margin'"):
        model.ask(X, strategy="margn", rng=rng)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: PalateRecommender().fit([["ann"]], [1]), r"1 feature\(s\)"),
        (lambda: PalateRecommender().fit(pl.DataFrame({"who": ["a"], "item": ["b"]}), [1]), "no column 'user'"),
        (lambda: PalateRecommender().fit([["ann", None]], [1]), "item_id None"),
        (lambda: PalateRecommender().fit([["ann", "tea"]], [np.nan]), "NaN"),
        (lambda: PalateClassifier().fit([[1.0]], ["a"]), r"1 class\(es\): a"),
        (lambda: PalateClassifier().fit([[1.0], [np.inf]], ["a", "b"]), "infinity"),
        (lambda: PalateClassifier().fit(3, ["a", "b"]), "X is 3. Give a table"),
        (
            lambda: PalateClassifier().fit([[1.0], [2.0]], ["a", "b"]).partial_fit([[1.0]], ["a"], ["a"]),
            "others before",
        ),
    ],
)
def test_what_cannot_be_taken_is_an_error_of_one_line(call: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as found:
        call()
    assert "\n" not in str(found.value) and isinstance(found.value, (PalateError, ValueError))
    with pytest.raises(NotFittedError):
        PalateRecommender().predict([["ann", "tea"]])
