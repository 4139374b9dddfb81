"""The Laplace fit against a plain one in all weights, scikit-learn, an exact integral, and worlds from the prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from palate.classifiers import softmax as module
from palate.classifiers.softmax import Softmax
from palate.errors import AnswerError, DataError, LimitError, OptionError

Array = NDArray[np.float64]

FIVE = np.array([[1.0, x] for x in (1.0, 2.0, 3.0, 4.0, 5.0)])
LABELS = np.array([0, 0, 1, 1, 0])


def world(n: int, width: int, classes: int, seed: int = 0, variance: float = 1.0) -> tuple[Array, NDArray[np.intp]]:
    """Features, and labels that softmax weights from the prior give."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, width))
    logits = features @ rng.normal(0.0, np.sqrt(variance), (width, classes))
    return features, (logits + rng.gumbel(size=logits.shape)).argmax(1)


def plain_precision(features: Array, probabilities: Array, variance: float) -> Array:
    """The curvature in all weights, (E C, E C), class by class."""
    width, classes = features.shape[1], probabilities.shape[1]
    total = np.eye(width * classes) / variance
    for f, p in zip(features, probabilities, strict=True):
        total += np.kron(np.diag(p) - np.outer(p, p), np.outer(f, f))
    return total


# --- the mode ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "width", "classes"), [(40, 3, 2), (40, 3, 4), (5, 12, 3), (1, 2, 2)])
def test_the_gradient_is_zero_at_the_mode(n: int, width: int, classes: int) -> None:
    """Σ (1[y = c] − p_c) f = θ_c / s², for every class."""
    features, codes = world(n, width, classes)
    fitted = Softmax.fit(features, codes, range(classes), prior_variance=2.0)
    residual = np.eye(classes)[codes] - fitted.probabilities(features)
    np.testing.assert_allclose(features.T @ residual, fitted.weights / 2.0, atol=1e-5)
    np.testing.assert_allclose(fitted.weights.sum(1), 0.0, atol=1e-12)


def test_the_five_points_of_the_textbook() -> None:
    """Newton by hand, without a prior: θ = (−1.762045, 0.439499)."""
    fitted = Softmax.fit(FIVE, LABELS, (0, 1), prior_variance=1e8)
    np.testing.assert_allclose(fitted.weights[:, 1] - fitted.weights[:, 0], [-1.762045, 0.439499], atol=1e-6)
    yes = fitted.probabilities(FIVE)[:, 1]
    assert yes.argmax() == 4
    assert np.abs(yes - 0.5).argmin() == 3  # the most uncertain is another one


def test_two_classes_are_logistic_regression_with_twice_the_variance() -> None:
    features, codes = world(60, 4, 2)
    theirs = LogisticRegression(C=2 * 3.0, fit_intercept=False, tol=1e-10).fit(features, codes)
    ours = Softmax.fit(features, codes, (0, 1), prior_variance=3.0)
    np.testing.assert_allclose(ours.weights[:, 1] - ours.weights[:, 0], theirs.coef_[0], atol=1e-5)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 12),
    width=st.integers(1, 6),
    classes=st.integers(2, 4),
    power=st.floats(-3, 8),
)
def test_it_converges_whatever_the_labels(seed: int, n: int, width: int, classes: int, power: float) -> None:
    """Few points in many directions are separable; labels are drawn freely, so a class may be missing."""
    rng = np.random.default_rng(seed)
    features, codes = rng.normal(size=(n, width)), rng.integers(classes, size=n)
    fitted = Softmax.fit(features, codes, range(classes), prior_variance=10.0**power)
    assert np.isfinite(fitted.weights).all()
    assert (np.diff(fitted.path) >= 0).all()
    np.testing.assert_allclose(fitted.probabilities(features).sum(1), 1.0)


@pytest.mark.parametrize("n", [3, 500])
def test_separable_classes_under_a_prior_that_says_nothing(n: int) -> None:
    features, _ = world(n, 3, 3)
    codes = (features @ np.random.default_rng(1).normal(size=(3, 3))).argmax(1)
    fitted = Softmax.fit(features, codes, range(3), prior_variance=1e10)
    assert (fitted.probabilities(features).argmax(1) == codes).all()
    assert (np.diff(fitted.path) >= 0).all()


def test_a_full_step_that_overshoots_is_halved() -> None:
    """From the mode of two far points a full Newton step towards three others overshoots."""
    features = np.array([[1.0], [1.0], [-1.0]])
    fitted = Softmax.fit(np.array([[50.0], [-50.0]]), [1, 0], (0, 1), prior_variance=1e6)
    again = fitted.refit(features * 50.0, [0, 1, 1])
    assert (np.diff(again.path) >= 0).all()
    np.testing.assert_allclose(again.weights, Softmax.fit(features * 50.0, [0, 1, 1], (0, 1), 1e6).weights, atol=1e-7)


# --- the posterior ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "width", "classes"), [(30, 3, 2), (30, 3, 3), (4, 9, 3)])
def test_the_draws_have_the_covariance_of_the_plain_fit(n: int, width: int, classes: int) -> None:
    features, codes = world(n, width, classes)
    fitted = Softmax.fit(features, codes, range(classes), prior_variance=1.5)
    new = np.random.default_rng(1).normal(size=(3, width))
    draws = fitted.samples(new, 200_000, rng=np.random.default_rng(2))
    logits = np.log(draws[:, :, 1:]) - np.log(draws[:, :, :1])
    observed = np.cov(logits.reshape(len(draws), -1).T)
    contrast = np.hstack([-np.ones((classes - 1, 1)), np.eye(classes - 1)])
    towards = np.vstack([np.kron(c, f) for f in new for c in contrast])
    covariance = np.linalg.inv(plain_precision(features, fitted.probabilities(features), 1.5))
    expected = towards @ covariance @ towards.T
    np.testing.assert_allclose(observed, expected, atol=0.015 * expected.max())
    centre = (np.log(fitted.probabilities(new)[:, 1:]) - np.log(fitted.probabilities(new)[:, :1])).ravel()
    np.testing.assert_allclose(logits.reshape(len(draws), -1).mean(0), centre, atol=0.01 * np.sqrt(expected.max()))


def test_without_labels_it_is_the_prior() -> None:
    fitted = Softmax.fit(np.zeros((0, 2)), [], ("a", "b", "c"), prior_variance=2.0)
    feature = np.array([[3.0, 4.0]])
    np.testing.assert_allclose(fitted.probabilities(feature), 1 / 3)
    draws = fitted.samples(feature, 100_000, rng=np.random.default_rng(0))
    np.testing.assert_allclose(draws.mean((0, 1)), 1 / 3, atol=0.01)
    difference = np.log(draws[:, 0, 1]) - np.log(draws[:, 0, 0])
    assert difference.std() == pytest.approx(np.sqrt(2 * 2.0) * 5.0, rel=0.01)


def test_one_class_alone_leaves_the_others_possible() -> None:
    fitted = Softmax.fit(np.ones((4, 1)), ["yes"] * 4, ("no", "yes", "perhaps"))
    no, yes, perhaps = fitted.probabilities(np.ones((1, 1)))[0]
    assert no == pytest.approx(perhaps)
    assert yes > 0.5 > no > 0.05


def test_where_nothing_was_labelled_the_prior_is_left() -> None:
    """Labels along one axis say nothing about the other."""
    fitted = Softmax.fit([[1.0, 0.0]], [1], (0, 1), prior_variance=1.0)
    draws = fitted.samples([[0.0, 1.0]], 100_000, rng=np.random.default_rng(0))[:, 0]
    logits = np.log(draws[:, 1]) - np.log(draws[:, 0])
    assert logits.mean() == pytest.approx(0.0, abs=0.02)
    assert logits.var() == pytest.approx(2.0, rel=0.02)


def test_the_mean_of_the_draws_is_near_the_exact_integral_on_the_cautious_side() -> None:
    features, labels = np.ones((6, 1)), [1, 1, 1, 1, 0, 0]
    fitted = Softmax.fit(features, labels, (0, 1), prior_variance=2.0)
    grid = np.linspace(-15, 15, 20_001)
    yes = 1 / (1 + np.exp(-grid))
    posterior = np.exp(-0.5 * grid**2 / 4.0) * yes**4 * (1 - yes) ** 2
    exact = (yes * posterior).sum() / posterior.sum()
    mean = fitted.samples(features[:1], 100_000, rng=np.random.default_rng(0)).mean(0)[0, 1]
    assert 0.5 < exact - 0.02 < mean < exact


def test_over_worlds_from_the_prior_the_draws_are_calibrated_and_the_mode_is_not() -> None:
    """Five labels, four features: what is called 80 % happens 80 % of the time; the mode claims too much."""
    said: dict[str, list[Array]] = {"mode": [], "draws": []}
    happened = []
    for seed in range(300):
        features, codes = world(25, 4, 2, seed, variance=1.0)
        fitted = Softmax.fit(features[:5], codes[:5], (0, 1), prior_variance=1.0)
        rng = np.random.default_rng(seed)
        said["mode"].append(fitted.probabilities(features[5:])[:, 1])
        said["draws"].append(fitted.samples(features[5:], 200, rng=rng).mean(0)[:, 1])
        happened.append(codes[5:])
    truth = np.concatenate(happened)
    gap, loss = {}, {}
    for name, parts in said.items():
        yes = np.concatenate(parts)
        sure = np.maximum(yes, 1 - yes)
        gap[name] = sure.mean() - ((yes > 0.5) == truth).mean()
        loss[name] = -np.log(np.where(truth == 1, yes, 1 - yes)).mean()
    assert abs(gap["draws"]) < 0.02 < 0.04 < gap["mode"]
    assert loss["draws"] < loss["mode"]


def test_rows_of_a_draw_share_its_weights(rng: np.random.Generator) -> None:
    fitted = Softmax.fit(FIVE, LABELS, (0, 1))
    draws = fitted.samples(FIVE[[2, 2, 4]], 50, rng=rng)
    assert draws.shape == (50, 3, 2)
    np.testing.assert_allclose(draws[:, 0], draws[:, 1], rtol=1e-12)
    assert np.corrcoef(draws[:, 0, 1], draws[:, 2, 1])[0, 1] > 0.3


def test_the_same_seed_gives_the_same_draws() -> None:
    fitted = Softmax.fit(FIVE, LABELS, (0, 1))
    first, second = (fitted.samples(FIVE, 3, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_order_of_classes_and_rows_does_not_matter() -> None:
    features, codes = world(20, 3, 3)
    fitted = Softmax.fit(features, codes, (0, 1, 2))
    turned = Softmax.fit(features[::-1], codes[::-1], (2, 0, 1))
    np.testing.assert_allclose(turned.probabilities(features), fitted.probabilities(features)[:, [2, 0, 1]], atol=1e-6)


def test_curvature_in_chunks_is_the_curvature(monkeypatch: pytest.MonkeyPatch) -> None:
    features, codes = world(50, 3, 3)
    whole = Softmax.fit(features, codes, range(3))
    monkeypatch.setattr(module, "_CELLS", 7 * 3 * 4)  # seven rows at a time
    np.testing.assert_allclose(Softmax.fit(features, codes, range(3)).weights, whole.weights, atol=1e-9)


# --- online -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
def test_refitting_equals_fitting_at_once(classes: int) -> None:
    features, codes = world(60, 5, classes)
    scratch = Softmax.fit(features, codes, range(classes), prior_variance=100.0)
    online = Softmax.fit(features[:0], codes[:0], range(classes), prior_variance=100.0)
    for n in (3, 20, 55, 60):
        online = online.refit(features[:n], codes[:n])
    np.testing.assert_allclose(online.weights, scratch.weights, atol=1e-6)
    assert len(online.path) < len(scratch.path)  # Newton started nearby


# --- bad input --------------------------------------------------------------------------------------------------------


def fit(**changed: Any) -> Callable[[], Softmax]:
    given = {"features": FIVE, "labels": LABELS, "classes": (0, 1), "prior_variance": 1.0, **changed}
    return lambda: Softmax.fit(**given)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (fit(features=[1.0, 2.0]), DataError, "features have shape (2,). Give one row an item, shape (N, E)."),
        (fit(features=[["a"]] * 5), DataError, "features are not numbers (could not convert string to float: 'a')."),
        (fit(features=FIVE[:3]), DataError, "there are 3 rows of features and 5 labels. Give one label a row."),
        (fit(features=[[1.0], [np.nan]], labels=[0, 1]), DataError, "feature 0 of row 1 is nan. Give finite numbers."),
        (fit(features=FIVE * 1e9), DataError, "under the prior a logit has the standard deviation 5.1e+09."),
        (fit(prior_variance=1e14), DataError, "under the prior a logit has the standard deviation 5.1e+07."),
        (fit(labels=[0, 0, 1, 1, 2]), AnswerError, "label 2 of row 4 is not among the classes [0, 1]."),
        (fit(labels=[0, 0, 1, 1, np.nan]), AnswerError, "label nan of row 4 is not among the classes [0, 1]."),
        (fit(classes=(0,)), OptionError, "classes are [0]. Give at least two, each once."),
        (fit(classes=(0, 1, 0)), OptionError, "classes are [0, 1, 0]. Give at least two, each once."),
        (fit(prior_variance=0.0), OptionError, "prior_variance is 0.0. Give a positive number."),
        (fit(prior_variance=np.inf), OptionError, "prior_variance is inf. Give a positive number."),
        (fit(prior_variance=np.nan), OptionError, "prior_variance is nan. Give a positive number."),
        (
            lambda: fit()().probabilities(np.ones((1, 3))),
            DataError,
            "features have 3 columns, the model has 2. Give the same features.",
        ),
        (
            lambda: fit()().samples(FIVE, 0, rng=np.random.default_rng(0)),
            OptionError,
            "n is 0. Take at least 1 sample.",
        ),
        (
            fit(features=np.ones((900, 900)) / 30, labels=[0] * 900, classes=range(11)),
            LimitError,
            "9,000 weights are more than 8,192. Reduce the features, such as to 100 components.",
        ),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value).startswith(message)


def test_a_mode_that_is_not_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STEPS", 1)
    with pytest.raises(
        DataError, match=r"^no mode after 1 Newton steps\. Scale the features or lower prior_variance\.$"
    ):
        fit()()


def test_probabilities_are_the_softmax_of_the_weights() -> None:
    fitted = fit()()
    np.testing.assert_allclose(fitted.probabilities(FIVE), softmax(FIVE @ fitted.weights, axis=1))
