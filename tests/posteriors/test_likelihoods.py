from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from palate.entities import Form
from palate.errors import OptionError
from palate.posteriors import likelihoods
from palate.posteriors.belief import Belief
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit

SOURCE = Path(likelihoods.__file__).parents[1]
ALL = [Gaussian(), Probit(), Implicit(20.0, 5.0)]
EACH = pytest.mark.parametrize("likelihood", ALL, ids=lambda one: one.kind)
NOISE = np.array([0.8, 2.0])


@pytest.mark.parametrize("s", [-4.0, -1.3, 0.0, 2.1])
@pytest.mark.parametrize("liked", [0.0, 1.0])
@pytest.mark.parametrize("v", [1e-6, 0.3, 4.0])
def test_a_like_weighs_what_it_is_expected_to_tell(s: float, liked: float, v: float) -> None:
    """Weight and target are the expected curvature of log Φ(±u) and where its expected slope points, u ~ N(s, v)."""
    sign = 1.0 if liked else -1.0
    weights, targets, bound = Probit().entries(np.array([liked]), lambda: (np.array([s]), np.array([v])))

    def ratio(u: float) -> float:
        return float(np.exp(norm.logpdf(u) - norm.logcdf(sign * u)))

    def mean(of: Callable[[float], float]) -> float:
        return quad(lambda x: of(s + np.sqrt(v) * x) * norm.pdf(x), -9.0, 9.0, points=[0.0], limit=200)[0]

    curvature = mean(lambda u: ratio(u) * (ratio(u) + sign * u))
    assert weights[0] == pytest.approx(curvature, rel=2e-3)
    assert weights[0] * (targets[0] - s) == pytest.approx(sign * mean(ratio), rel=2e-3)
    squares = 0.5 * weights[0] * ((targets[0] - s) ** 2 + v)
    assert bound[0] - squares == pytest.approx(mean(lambda u: norm.logcdf(sign * u)), rel=2e-3)


def never() -> np.ndarray:
    raise AssertionError("computed though not needed")


@pytest.mark.parametrize("likelihood", [Gaussian(), Implicit()], ids=lambda one: one.kind)
def test_a_rating_and_an_event_are_seen_as_they_are(likelihood: Likelihood) -> None:
    values = np.array([1.0, 4.5])
    weights, seen, bound = likelihood.entries(values, never)  # type: ignore[arg-type]
    assert (weights.tolist(), seen.tolist(), bound.tolist()) == ([1.0, 1.0], [1.0, 4.5], [0.0, 0.0])
    assert likelihood.expected(values, never, values) is values


def test_an_event_adds_its_precision_to_the_background() -> None:
    assert Implicit(20.0, 5.0).answer_noise(NOISE).tolist() == [1 / 15, 1 / 15]
    assert Gaussian().answer_noise(NOISE) is NOISE
    assert Probit().answer_noise(NOISE) is NOISE


@EACH
def test_the_expected_answer_its_slope_and_its_variance_belong_together(likelihood: Likelihood) -> None:
    mean, variance, noise, step = np.array([-0.7, 0.4]), np.array([1.3, 2.9]), np.array(0.8), 1e-6
    higher, lower = (likelihood.expected(mean + by, lambda: variance, noise) for by in (step, -step))
    np.testing.assert_allclose(likelihood.slope(mean, variance, noise), (higher - lower) / (2 * step), rtol=1e-8)
    expected, spread = likelihood.expected(mean, variance, noise), likelihood.answer_variance(mean, variance)
    if likelihood.is_binary:
        np.testing.assert_allclose(expected, norm.cdf(mean / np.sqrt(variance)))
        np.testing.assert_allclose(spread, expected * (1 - expected))
    else:
        assert expected is mean and spread is variance


@EACH
def test_the_curvature_is_what_an_answer_takes_from_the_variance_on_average(likelihood: Likelihood) -> None:
    belief, factors, level, noise = Belief(np.array([0.3]), np.array([[1.7]])), np.array([1.2]), 0.4, np.array(0.8)
    mean, variance = np.array(level + 0.36), np.array(1.7 * 1.2**2)
    yes = likelihood.expected(mean, variance + noise, noise)
    outcomes = [(1.0, yes), (0.0, 1.0 - yes)] if likelihood.is_binary else [(3.0, 1.0)]
    after = sum(
        chance * likelihood.update(belief, factors, level, np.array(value), noise).covariance[0, 0]
        for value, chance in outcomes
    )
    fall = 1.7**2 * 1.2**2 * likelihood.curvature(mean, variance, noise)
    assert 1.7 - after == pytest.approx(float(fall))


@pytest.mark.parametrize("reliability", [1.0, 0.6])
@EACH
def test_an_unreliable_answer_tells_as_much_as_one_of_its_weight(likelihood: Likelihood, reliability: float) -> None:
    weight = reliability**likelihood.power
    unreliable = likelihood.curvature(np.zeros(2), np.array([1e-9, 1e-9]), NOISE, reliability)
    # to first order in the variance, of a taste that says nothing either way
    np.testing.assert_allclose(unreliable, weight * likelihood.curvature(np.zeros(2), np.array([1e-9, 1e-9]), NOISE))


@pytest.mark.parametrize("likelihood", [Gaussian(), Implicit(20.0, 5.0)], ids=lambda one: one.kind)
def test_the_information_of_a_rating_is_how_many_nats_the_variance_falls(likelihood: Likelihood) -> None:
    before, noise = Belief(np.array([0.3]), np.array([[1.7]])), np.array(0.8)
    after = likelihood.update(before, np.array([1.2]), 0.4, np.array(3.0), noise)
    told = likelihood.information(np.array(0.0), np.array(1.7 * 1.44), noise)
    assert told == pytest.approx(0.5 * np.log(1.7 / after.covariance[0, 0]))


@pytest.mark.parametrize("likelihood", [Gaussian(), Implicit(20.0, 5.0)], ids=lambda one: one.kind)
def test_answers_pull_a_flat_belief_to_where_they_point(likelihood: Likelihood) -> None:
    belief, level, value, noise = Belief(np.zeros(1), np.array([[1e9]])), 0.3, np.array(0.9), np.array(0.5)
    pull = likelihood.pull(value, np.array(level), noise)
    moved = likelihood.update(belief, np.array([1.0]), level, value, noise)
    assert moved.mean[0] == pytest.approx(float(pull * noise), rel=1e-6)


def test_a_like_pulls_up_and_a_dislike_down_whatever_the_level() -> None:
    assert Probit().pull(np.array([1.0, 0.0]), np.array([7.0, 7.0]), NOISE).tolist() == [1 / 0.8, -1 / 2.0]


def test_liking_begins_at_zero_where_the_taste_is_seen_through_a_threshold() -> None:
    assert (Gaussian().threshold(3.5), Implicit().threshold(0.5), Probit().threshold(0.5)) == (3.5, 0.5, 0.0)


@EACH
def test_it_is_made_again_from_what_a_model_folder_keeps(likelihood: Likelihood) -> None:
    assert likelihoods.named(**likelihoods.as_dict(likelihood)) == likelihood


def test_kinds_are_told_apart() -> None:
    assert len({likelihoods.named(kind, confidence=1.0, background=0.0) for kind in ("gaussian", "probit")}) == 2


@pytest.mark.parametrize(
    ("likelihood", "value", "said", "did"),
    [
        (Gaussian(), 3.5, "3.5", "gave 3.5 to"),
        (Probit(), 1.0, "like", "liked"),
        (Probit(), 0.0, "dislike", "did not like"),
        (Implicit(), 1.0, "like", "chose"),
    ],
)
def test_answers_in_words(likelihood: Likelihood, value: float, said: str, did: str) -> None:
    assert (likelihood.in_words(value), likelihood.as_deed(value)) == (said, did)


def test_an_unknown_likelihood_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^likelihood 'poisson' is unknown\. Use gaussian, "):
        likelihoods.named("poisson")


@pytest.mark.parametrize("form", Form)
def test_of_events_there_are_answers_to_some_forms_alone(form: Form) -> None:
    Gaussian().check_forms([form])
    Probit().check_forms([form])
    if form in (Form.RATE, Form.GROUP, Form.PAGE, Form.RECALL, Form.PICK, Form.SLATE):
        return Implicit().check_forms([form])
    with pytest.raises(OptionError, match=rf"^a model of events has no level of liking: a {form.value} cannot"):
        Implicit().check_forms([Form.RATE, form])


@pytest.mark.parametrize(
    ("event", "none", "said"),
    [
        (5.0, 5.0, "5, an item without one 5"),
        (1.0, -0.1, "1, an item without one -0.1"),
        (np.inf, 1.0, "inf, an item without one 1"),
        (np.nan, 0.0, "nan, an item without one 0"),
        ("a", 0.0, "'a', an item without one 0"),
    ],
)
def test_events_without_weight_are_refused(event: object, none: float, said: str) -> None:
    with pytest.raises(OptionError, match=rf"^an event has the precision {re.escape(said)}\. Give the event a number"):
        Implicit(event, none)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [None, 3, ["probit"], "normal"])
def test_a_name_that_is_none_is_refused(kind: object) -> None:
    with pytest.raises(OptionError, match=r"is unknown\. Use gaussian, probit, implicit or ordered\.$"):
        likelihoods.named(kind)  # type: ignore[arg-type]


# ---- nobody else asks which kind it is ------------------------------------------------------------------------------


def asks_the_kind(source: str) -> Iterator[int]:
    """Lines that compare, look up or match the kind of a likelihood, or its class."""
    kinds, classes = {one.kind for one in ALL}, {type(one).__name__ for one in ALL}
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            parts = [part for side in sides for part in getattr(side, "elts", [side])]
        elif isinstance(node, ast.Subscript):
            parts = [node.slice]
        elif isinstance(node, ast.Match):
            parts = [node.subject]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            parts = [part for part in ast.walk(node.args[1]) if ast.unparse(part) in classes]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            parts = list(node.args)
        for part in parts:
            is_name = isinstance(part, ast.Constant) and part.value in kinds
            if is_name or ast.unparse(part).endswith("likelihood.kind") or ast.unparse(part) in classes:
                yield node.lineno
                break


def test_no_other_module_asks_which_kind_a_likelihood_is() -> None:
    own = Path(likelihoods.__file__)
    found = {
        f"{path.relative_to(SOURCE)}:{line}"
        for path in SOURCE.rglob("*.py")
        if path != own
        for line in asks_the_kind(path.read_text(encoding="utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "taste.likelihood.kind == kind",
        "kind != 'probit'",
        "name in ('gaussian', 'probit')",
        "isinstance(likelihood, Probit)",
        "isinstance(likelihood, (int, Implicit))",
        "WORDS[likelihood.kind]",
        "WORDS.get(model.taste.likelihood.kind, 1)",
        "match likelihood.kind:\n    case _: pass",
    ],
)
def test_asking_is_found(source: str) -> None:
    assert list(asks_the_kind(source)) == [1]


def test_what_is_expected_on_a_scale_is_the_mean_of_what_the_scale_lets_through() -> None:
    mean, variance, noise = np.array([-0.5, 1.0, 3.0, 5.4]), np.array([0.6, 1.3, 0.5, 0.9]), np.array(0.4)
    on_scale = Gaussian().on_scale(1.0, 5.0)
    draws = mean + np.sqrt(variance - noise) * np.random.default_rng(0).normal(size=(400_000, 1))
    expected, slope = on_scale.expected(mean, variance, noise), on_scale.slope(mean, variance, noise)
    np.testing.assert_allclose(expected, np.clip(draws, 1.0, 5.0).mean(0), atol=0.005)
    by = 1e-5
    higher, lower = (on_scale.expected(mean + step, variance, noise) for step in (by, -by))
    np.testing.assert_allclose(slope, (higher - lower) / (2 * by), rtol=1e-6)
    assert on_scale.expected(np.array([3.0]), np.array([0.4]), noise)[0] == pytest.approx(3.0)
    assert np.isfinite(on_scale.expected(np.array([1e9, -1e9]), np.array([0.4, 0.4]), noise)).all()


@pytest.mark.parametrize("ends", [(5.0, 1.0), (1.0, None), (np.nan, 1.0), (0.0, np.inf), ("a", 2.0)])
def test_ends_that_are_no_scale(ends: tuple[object, object]) -> None:
    with pytest.raises(OptionError, match=r"^a scale goes from .* Give two numbers, the lower first\.$"):
        Gaussian(low=ends[0], high=ends[1])  # type: ignore[arg-type]
