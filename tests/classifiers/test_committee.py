"""Ensembles as Gaussian beliefs, by hand and by every strategy's formula; committees of scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from palate.acquisition import STRATEGIES, Candidates, Population, select
from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.bald import bald
from palate.acquisition.belief.epig import epig
from palate.acquisition.belief.variance import variance
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.uncertainty import bald as pool_bald
from palate.classifiers.committee import Committee, answer_noise, ensemble_belief
from palate.errors import AnswerError, DataError, OptionError
from palate.posteriors.belief import Belief
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste

Array = NDArray[np.float64]
NOISE = 0.3


def predictions(members: int = 6, rows: int = 5, seed: int = 0) -> Array:
    """Correlated ones: members differ along two directions and a little everywhere."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(members, 2)) @ rng.normal(size=(2, rows)) + 0.1 * rng.normal(size=(members, rows))


def candidates(predicted: Array, noise: float = NOISE) -> tuple[Belief, Candidates]:
    belief, items = ensemble_belief(predicted, noise)
    rows = len(items)
    nobody = Population(sparse.csr_matrix((0, rows)), np.array([0.0, 1.0]), Taste.build(items, Gaussian()))
    return belief, Candidates.of_all(nobody, np.zeros((rows, 2)), targets=np.full(rows, 1.0 / rows))


# --- an ensemble is a Gaussian belief ---------------------------------------------------------------------------------


def test_two_members_by_hand() -> None:
    """Predictions 1 and 3 of one row, 3 and 5 of another: means 2 and 4, variances 2, covariance 2."""
    belief, items = ensemble_belief([[1.0, 3.0], [3.0, 5.0]], 0.5)
    np.testing.assert_array_equal(items.level, [2.0, 4.0])
    np.testing.assert_array_equal(items.factors, [[-1.0, 1.0], [-1.0, 1.0]])
    mean, total = items.predict(belief)
    np.testing.assert_array_equal(mean, [2.0, 4.0])
    np.testing.assert_array_equal(total, [2.5, 2.5])


@given(seed=st.integers(0, 2**32 - 1), members=st.integers(2, 9), rows=st.integers(1, 6))
def test_mean_and_covariance_are_those_of_the_members(seed: int, members: int, rows: int) -> None:
    predicted = predictions(members, rows, seed)
    belief, items = ensemble_belief(predicted, NOISE)
    np.testing.assert_allclose(items.level, predicted.mean(0))
    covariance = items.factors @ belief.covariance @ items.factors.T
    np.testing.assert_allclose(covariance, np.cov(predicted.T).reshape(rows, rows), atol=1e-12)
    np.testing.assert_array_equal(items.answer_noise, np.full(rows, NOISE))


def test_an_answer_moves_every_row_as_gaussian_conditioning_does() -> None:
    predicted = predictions()
    belief, items = ensemble_belief(predicted, NOISE)
    moved = belief.update(items.factors[1], 2.0 - items.level[1], items.answer_noise[1])
    covariance = np.cov(predicted.T)
    gain = covariance[:, 1] / (covariance[1, 1] + NOISE)
    mean, total = items.predict(moved)
    np.testing.assert_allclose(mean, predicted.mean(0) + gain * (2.0 - predicted.mean(0)[1]))
    np.testing.assert_allclose(total - NOISE, np.diag(covariance) - gain * covariance[1])


def test_strategies_score_an_ensemble_by_its_covariance(rng: np.random.Generator) -> None:
    predicted = predictions()
    belief, offered = candidates(predicted)
    covariance = np.cov(predicted.T)
    total = np.diag(covariance) + NOISE
    np.testing.assert_allclose(variance(belief, offered, rng=rng), total)
    np.testing.assert_allclose(bald(belief, offered, rng=rng), 0.5 * np.log1p(np.diag(covariance) / NOISE))
    np.testing.assert_allclose(a_optimal(belief, offered, rng=rng), (covariance**2).mean(1) / total)
    information = -0.5 * np.log1p(-(covariance**2) / (total[:, None] * total))
    found = epig(belief, offered, rng=rng, n_targets=100_000)
    np.testing.assert_allclose(found, information.mean(1), rtol=0.02)


@pytest.mark.parametrize("name", ["random", "variance", "bald", "a-optimal", "epig"])
def test_every_strategy_builds_a_batch_from_an_ensemble(name: str, rng: np.random.Generator) -> None:
    belief, offered = candidates(predictions(rows=8))
    choices = select(STRATEGIES[name], belief, offered, k=8, rng=rng)
    assert sorted(choice.item for choice in choices) == list(range(8))
    assert np.isfinite([choice.value for choice in choices]).all()


def test_a_batch_does_not_ask_the_same_twice(rng: np.random.Generator) -> None:
    """Rows 0 and 1 are copies and vary most: after one of them the other tells little, and row 2 comes next."""
    predicted = np.array([[-3.0, -3.0, 1.0], [0.0, 0.0, -2.0], [3.0, 3.0, 1.0]])
    belief, offered = candidates(predicted, noise=0.01)
    first, second = select(STRATEGIES["variance"], belief, offered, k=2, rng=rng)
    assert first.item in (0, 1)
    assert second.item == 2


def test_members_that_agree_leave_nothing_to_ask(rng: np.random.Generator) -> None:
    belief, offered = candidates(np.ones((4, 3)))
    np.testing.assert_array_equal(bald(belief, offered, rng=rng), 0.0)
    np.testing.assert_array_equal(a_optimal(belief, offered, rng=rng), 0.0)


# --- the noise of the answers -----------------------------------------------------------------------------------------


def test_noise_by_hand() -> None:
    """Means 0 and 0 of two members each, variances 2 and 0; errors 3 and 1: (9 + 1) / 2 − (2 · 1.5 + 0) / 2 = 3.5.

    The third row is unseen by one member only, and does not count.
    """
    predicted = np.array([[-1.0, 0.0, 7.0], [1.0, 0.0, np.nan], [np.nan, np.nan, np.nan]])
    assert answer_noise(predicted, [3.0, 1.0, 0.0]) == pytest.approx(3.5)


def test_some_noise_is_left_however_much_the_members_differ() -> None:
    assert answer_noise([[-9.0], [9.0]], [1.0]) == pytest.approx(0.01)
    assert answer_noise([[2.0], [2.0]], [2.0]) > 0.0


def test_noise_that_is_known_is_found(rng: np.random.Generator) -> None:
    features = rng.normal(size=(400, 3))
    values = features @ [1.0, -2.0, 0.5] + rng.normal(0.0, 0.7, 400)
    committee = Committee.fit_values(LinearRegression(), features, values, members=20, rng=rng)
    assert committee.noise == pytest.approx(0.49, rel=0.15)


@pytest.mark.parametrize(
    ("estimator", "margin"), [(LinearRegression(), 0.02), (DecisionTreeRegressor(min_samples_leaf=3), 0.06)]
)
def test_a_committee_of_regressors_is_as_sure_as_it_should_be(
    estimator: Any, margin: float, rng: np.random.Generator
) -> None:
    """On average the variance is the squared error; row by row the trees' varies too much, and intervals pay for it."""
    inside, squared, claimed = [], [], []
    for _ in range(20):
        features = rng.uniform(-2.0, 2.0, (160, 2))
        values = features[:, 0] - 0.5 * features[:, 1] + rng.normal(0.0, 0.5, 160)
        committee = Committee.fit_values(estimator, features[:60], values[:60], members=20, rng=rng)
        belief, items = committee.belief(features[60:])
        mean, total = items.predict(belief)
        squared.append((values[60:] - mean) ** 2)
        claimed.append(total)
        inside.append(np.abs(values[60:] - mean) <= 1.96 * np.sqrt(total))
    assert np.mean(claimed) == pytest.approx(np.mean(squared), rel=0.12)
    assert np.mean(inside) == pytest.approx(0.95, abs=margin)


# --- committees of classifiers ----------------------------------------------------------------------------------------


def blobs(rng: np.random.Generator, n: int = 40) -> tuple[Array, NDArray[np.str_]]:
    labels = rng.choice(["left", "right"], n)
    return rng.normal(size=(n, 2)) + np.where(labels == "left", -1.5, 1.5)[:, None], labels


def test_a_committee_learns_and_disagrees_between_the_classes(rng: np.random.Generator) -> None:
    features, labels = blobs(rng)
    committee = Committee.fit(LogisticRegression(), features, labels, ("left", "right"), members=7, rng=rng)
    draws = committee.samples([[-3.0, -3.0], [0.0, 0.0], [3.0, 3.0]])
    assert draws.shape == (7, 3, 2)
    np.testing.assert_allclose(draws.sum(2), 1.0)
    assert draws.mean(0)[0, 0] > 0.9 < draws.mean(0)[2, 1]
    assert draws[:, 1, 0].std() > draws[:, 0, 0].std()
    pool = Pool.unlabelled(draws, np.array([[-3.0, -3.0], [0.0, 0.0], [3.0, 3.0]]))
    assert pool_bald(pool, rng=rng).argmax() == 1


def test_a_member_is_the_estimator_by_the_rule_of_succession(rng: np.random.Generator) -> None:
    """40 labels, two classes: (40 p + 1) / 42."""
    features, labels = blobs(rng)
    committee = Committee.fit(LogisticRegression(), features, labels, ("left", "right"), members=3, rng=rng)
    own = committee.members[1].predict_proba(features)
    np.testing.assert_allclose(committee.samples(features)[1], (40 * own + 1) / 42)


def test_a_class_that_no_label_names_keeps_its_column(rng: np.random.Generator) -> None:
    features, labels = blobs(rng, 18)
    draws = Committee.fit(
        LogisticRegression(), features, labels, ("right", "other", "left"), members=4, rng=rng
    ).samples(features)
    assert draws.shape == (4, 18, 3)
    np.testing.assert_allclose(draws[:, :, 1], 1 / 21)  # (18 · 0 + 1) / (18 + 3)


def test_a_draw_that_lacks_a_class_votes_for_the_others(rng: np.random.Generator) -> None:
    """One label in ten is "rare": a third of the draws lack it."""
    features, labels = rng.normal(size=(10, 2)), ["rare"] + ["common"] * 9
    committee = Committee.fit(DecisionTreeClassifier(), features, labels, ("rare", "common"), members=60, rng=rng)
    lacking = np.flatnonzero(committee.counts[:, 0] == 0)
    assert 10 <= len(lacking) <= 32  # 60 · 0.9¹⁰ = 21
    assert all(committee.members[t] is None for t in lacking)
    np.testing.assert_allclose(committee.samples(features)[lacking, :, 0], 1 / 12)


@pytest.mark.parametrize(("labels", "expected"), [([], [0.5, 0.5]), (["b"] * 3, [0.2, 0.8])])
def test_no_label_or_one_class(labels: list[str], expected: list[float], rng: np.random.Generator) -> None:
    features = np.zeros((len(labels), 2))
    committee = Committee.fit(LogisticRegression(), features, labels, ("a", "b"), members=3, rng=rng)
    np.testing.assert_allclose(committee.samples(np.ones((2, 2))), np.broadcast_to(expected, (3, 2, 2)))


def test_members_have_seeds_of_their_own_and_the_given_estimator_is_left_alone(rng: np.random.Generator) -> None:
    features, labels = blobs(rng)
    given_one = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=3))
    committee = Committee.fit(given_one, features, labels, ("left", "right"), members=3, rng=rng)
    seeds = {member[-1].random_state for member in committee.members}
    assert len(seeds) == 3
    assert given_one[-1].random_state == 3
    assert not hasattr(given_one[-1], "tree_")


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_the_same_seed_gives_the_same_committee(kind: str, rng: np.random.Generator) -> None:
    features, labels = blobs(rng)

    def draw() -> Array:
        own = np.random.default_rng(4)
        if kind == "classes":
            estimator = DecisionTreeClassifier(max_features=1)
            return Committee.fit(estimator, features, labels, ("left", "right"), rng=own).samples(features)
        tree = DecisionTreeRegressor(max_features=1)
        return Committee.fit_values(tree, features, features[:, 0], rng=own).predictions(features)

    np.testing.assert_array_equal(draw(), draw())


# --- bad input --------------------------------------------------------------------------------------------------------


def classifiers(**changed: Any) -> Committee:
    given = {"features": np.eye(4), "labels": [0, 1, 0, 1], "classes": (0, 1), "members": 3, **changed}
    return Committee.fit(given.pop("estimator", LogisticRegression()), **given, rng=np.random.default_rng(0))


def regressors(**changed: Any) -> Committee:
    given = {"features": np.eye(4), "values": np.arange(4.0), "members": 9, **changed}
    return Committee.fit_values(LinearRegression(), **given, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ensemble_belief([[1.0, 2.0]], 1.0), DataError, "1 member cannot disagree. Give the predictions of"),
        (lambda: ensemble_belief([[1.0], [np.nan]], 1.0), DataError, "feature 0 of row 1 is nan. Give finite"),
        (lambda: ensemble_belief([[1.0], [2.0]], 0.0), OptionError, "noise is 0.0. Give a positive variance."),
        (lambda: ensemble_belief([[1.0], [2.0]], np.inf), OptionError, "noise is inf. Give a positive variance."),
        (
            lambda: ensemble_belief([[1.0, 1.0], [2.0, 2.0]], [1.0, -2.0]),
            OptionError,
            "noise is -2.0. Give a positive variance.",
        ),
        (
            lambda: answer_noise([[1.0], [np.nan]], [1.0]),
            DataError,
            "none of 1 rows is unseen by 2 of 2 members. Give more rows or members.",
        ),
        (lambda: classifiers(members=1), OptionError, "members is 1. A committee needs at least 2."),
        (lambda: classifiers(labels=[0, 1, 0, 2]), AnswerError, "label 2 of row 3 is not among the classes [0, 1]."),
        (lambda: classifiers(labels=[0, 1]), DataError, "there are 4 rows of features and 2 labels."),
        (lambda: classifiers(estimator=LinearSVC()), OptionError, "LinearSVC has no predict_proba. Wrap it in"),
        (lambda: classifiers().predictions(np.eye(4)), OptionError, "this committee predicts classes. Use samples("),
        (lambda: regressors().samples(np.eye(4)), OptionError, "this committee predicts values. Use predictions("),
        (lambda: regressors(values=[1.0, 2.0, 3.0, np.inf]), AnswerError, "value inf of row 3 is not a finite number."),
        (lambda: regressors(features=np.eye(4)[:0], values=[]), DataError, "there is no value to learn from: 0 rows."),
        (lambda: regressors(features=np.eye(4)[:1], values=[1.0]), DataError, "none of 1 rows is unseen by 2 of 9"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value).startswith(message)
