"""Numbers that break arithmetic: degenerate data, features of any size, ten thousand answers of one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.acquisition import STRATEGIES, select
from palate.datasets import Dataset
from palate.entities import Answer, AnswerKind
from palate.errors import DataError
from palate.posteriors.answers import Answers
from palate.posteriors.belief import Belief
from palate.posteriors.fit import Fitted, fit
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Kind
from palate.posteriors.likelihoods import Gaussian, Implicit, Probit
from palate.posteriors.statistics import unpack
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.records import events
from palate.testing.strategies import make_world
from tests.registry import EVERY
from tests.worlds import Words, data, learner, words

Array = np.ndarray
LIKELIHOODS = {
    "gaussian": Gaussian(),
    "probit": Probit(),
    "implicit": Implicit(20.0, 5.0),
}
USERS, ITEMS = 40, 25


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def run(answers: Answers, kind: Kind = "gaussian", content: Array | None = None, sweeps: int = 40) -> Fitted:
    options = FitOptions(dim=5, sweeps=sweeps)
    return fit(answers, likelihood=LIKELIHOODS[kind], options=options, content=content, rng=np.random.default_rng(0))


def some(kind: Kind = "gaussian") -> Answers:
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(rng.random((USERS, ITEMS)) < 0.4)
    signal = rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, ITEMS))
    values = (signal + rng.normal(size=signal.shape))[rows, columns]
    values = {"gaussian": values, "probit": (values > 0).astype(float), "implicit": np.ones_like(values)}[kind]
    return Answers.build(rows, columns, values, (USERS, ITEMS))


def assert_sound(fitted: Fitted, answers: Answers, kind: Kind = "gaussian") -> None:
    """Everything finite, every covariance positive definite, every score of everybody finite."""
    for name in ("factors", "covariances", "noise"):
        assert np.isfinite(getattr(fitted, name)).all(), name
    assert np.isfinite(fitted.bounds).all()
    assert np.linalg.eigvalsh(unpack(fitted.covariances)).min() > 0.0 and fitted.noise.min() > 0.0
    items = Items.of_packed(fitted.factors, fitted.covariances, fitted.noise)
    mean, variance = items.predict(Taste.build(items, LIKELIHOODS[kind]).believe(answers.values))
    assert np.isfinite(mean).all() and np.isfinite(variance).all() and (variance > 0).all()


# ---- features -------------------------------------------------------------------------------------------------------

BASE = np.random.default_rng(1).normal(size=(ITEMS, 6))
CONTENT = {
    "constant": np.full((ITEMS, 6), 3.0),
    "constant to rounding": np.full((ITEMS, 6), 0.1) + 1e-17 * BASE,
    "zero": np.zeros((ITEMS, 6)),
    "collinear": BASE[:, :1] * np.arange(1.0, 7.0),
    "duplicate columns": np.repeat(BASE, 4, axis=1),
    "duplicate rows": np.tile(BASE[:5], (5, 1)),
    "one item stands out": np.where(np.arange(ITEMS)[:, None] == 3, 1e6 * BASE, BASE),
    "more than items": np.random.default_rng(2).normal(size=(ITEMS, 300)),
    "one-hot": np.eye(ITEMS),
    "no columns": np.zeros((ITEMS, 0)),
    "1e-300": 1e-300 * BASE,
    "1e-30": 1e-30 * BASE,
    "1e30": 1e30 * BASE,
    "1e38, the end of float32": 1e38 * BASE,
    "from 1e-38 to 1e38": BASE * 10.0 ** np.linspace(-38, 38, 6),
}


@pytest.mark.parametrize("content", CONTENT)
@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_IN_11_nasty_features(content: str, kind: Kind) -> None:
    answers = some(kind)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        fitted = run(answers, kind, CONTENT[content])
        assert_sound(fitted, answers, kind)
        assert np.isfinite(fitted.prior.predict(CONTENT[content])).all()
        covariances = fitted.prior.covariances(CONTENT[content])
    assert np.isfinite(covariances).all() and np.linalg.eigvalsh(covariances).min() > 0


@pytest.mark.parametrize("content", ["constant", "constant to rounding", "zero", "no columns", "1e-300"])
def test_IN_11_features_that_say_nothing_change_nothing(content: str) -> None:
    answers = some()
    with_content, without = run(answers, content=CONTENT[content]), run(answers)
    np.testing.assert_allclose(with_content.factors, without.factors, atol=1e-8)
    assert with_content.bounds == pytest.approx(without.bounds)


@pytest.mark.parametrize("size", [1e300, np.inf, np.nan])
def test_IN_11_features_whose_squares_overflow_are_refused(size: float) -> None:
    with pytest.raises(DataError, match=r"^25 of 25 encodings hold NaN or a number of 1e\+100 or more\. Scale them\.$"):
        run(some(), content=size * np.ones((ITEMS, 6)))


@pytest.mark.parametrize("size", [pytest.param(1e-30, marks=pytest.mark.long), 1e12])
def test_IN_11_an_encoder_of_any_size_serves_the_whole_loop(size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Words.encode
    monkeypatch.setattr(Words, "encode", lambda self, texts: (size * encode(self, texts)).astype(np.float32))
    monkeypatch.setattr(Words, "revision", f"of size {size}")
    of = Learner.fit(data("both"), encoder="words", dim=4).see(events("newcomer", ["i001", "i002"]))
    more = of.with_items(pl.DataFrame({"item_id": ["new"], "text": ["a jazz album"]}))
    for one in more.recommend("newcomer", k=121, diversity=0.3):
        assert np.isfinite(one.score) and np.isfinite(one.std) and one.std > 0.0
    assert np.isfinite([question.value for question in more.ask("newcomer", k=20, rng=np.random.default_rng(0))]).all()


# ---- answers --------------------------------------------------------------------------------------------------------


def grid(values: Array) -> Answers:
    rows, columns = np.nonzero(np.ones_like(values))
    return Answers.build(rows, columns, values.ravel().astype(float), values.shape)


EXACT = np.outer(np.arange(1.0, 13.0), np.arange(1.0, 9.0))
DEGENERATE: dict[str, tuple[Kind, Answers]] = {
    "one answer": ("gaussian", grid(np.array([[4.0]]))),
    "one user": ("gaussian", grid(np.arange(8.0)[None])),
    "one item": ("gaussian", grid(np.arange(8.0)[:, None])),
    "one level": ("gaussian", grid(np.full((12, 8), 3.0))),
    "zeros": ("gaussian", grid(np.zeros((12, 8)))),
    "exactly of rank one": ("gaussian", grid(EXACT)),
    "exactly additive": ("gaussian", grid(np.add.outer(np.arange(12.0), np.arange(8.0)))),
    "identical users": ("gaussian", grid(np.tile(np.arange(8.0), (12, 1)))),
    "one answer in a large table": (
        "gaussian",
        Answers.build(*(np.array([n]) for n in (30, 7)), np.array([4.0]), (90, 40)),
    ),
    "an outlier": ("gaussian", grid(np.where(np.arange(96).reshape(12, 8) == 5, 1e9, 3.0))),
    "1e6 times as large": ("gaussian", grid(1e6 * EXACT + np.random.default_rng(0).normal(size=(12, 8)))),
    "1e-150": ("gaussian", grid(1e-150 * np.random.default_rng(0).normal(size=(12, 8)))),
    "1e150": ("gaussian", grid(1e150 * np.random.default_rng(0).normal(size=(12, 8)))),
    "one like": ("probit", grid(np.array([[1.0]]))),
    "all liked": ("probit", grid(np.ones((12, 8)))),
    "all disliked": ("probit", grid(np.zeros((12, 8)))),
    "likes that taste tells apart": ("probit", grid((np.arange(96).reshape(12, 8) % 2 == 0).astype(float))),
    "one event": ("implicit", grid(np.array([[1.0]]))),
    "everything used": ("implicit", grid(np.ones((12, 8)))),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_IN_11_degenerate_answers(case: str) -> None:
    kind, answers = DEGENERATE[case]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        fitted = run(answers, kind)
        assert_sound(fitted, answers, kind)


def test_IN_11_one_level_is_what_everybody_is_expected_to_say() -> None:
    _, answers = DEGENERATE["one level"]
    fitted = run(answers)
    items = Items.of_packed(fitted.factors, fitted.covariances, fitted.noise)
    mean, variance = items.predict(Taste.build(items, Gaussian()).believe(answers.values))
    np.testing.assert_allclose(mean, 3.0, atol=1e-3)
    assert np.sqrt(variance.max()) < 0.2


def test_IN_11_a_hundred_thousand_duplicate_rows() -> None:
    """33,333 people who all said the same of the same three items."""
    n = 33_333
    columns = np.tile([0, 1, 2], n)
    answers = Answers.build(np.repeat(np.arange(n), 3), columns, np.array([1.0, 5.0, 3.0])[columns], (n, 3))
    fitted = run(answers, sweeps=10)
    assert_sound(fitted, answers)
    np.testing.assert_allclose(fitted.factors[:, 0], [1.0, 5.0, 3.0], atol=0.01)


@pytest.mark.long
def test_IN_11_a_hundred_thousand_rows_of_one_pair() -> None:
    """Of the same user and item the last row counts; the others change nothing."""
    n = 100_000
    again = pl.DataFrame({"user_id": ["u001"] * n, "item_id": ["i001"] * n, "rating": np.tile([1.0, 5.0], n // 2)})
    rows = pl.concat([data().interactions, again], how="diagonal")
    once = pl.concat([data().interactions, again[-1:]], how="diagonal")
    many, one = (Learner.fit(replace(data(), interactions=each), encoder="none", dim=3) for each in (rows, once))
    assert many.recommend("u001") == one.recommend("u001")


@pytest.mark.parametrize(
    "scale", [1e-100, pytest.param(1e-6, marks=pytest.mark.long), pytest.param(1e6, marks=pytest.mark.long), 1e100]
)
def test_IN_11_ratings_of_any_unit_give_the_same_lists(scale: float) -> None:
    rows = data().interactions.with_columns(pl.col("rating") * scale)
    of = Learner.fit(replace(data(), interactions=rows), encoder="none", dim=6, likelihood="gaussian")
    plain = learner("ratings", "none")
    # powers of ten round, so scores that nearly tie may change places
    best = {one.item_id: one for one in plain.recommend("u007", k=120)}
    same = []
    for one in of.recommend("u007", k=120):
        assert one.score / scale == pytest.approx(best[one.item_id].score, rel=1e-4)
        assert one.std / scale == pytest.approx(best[one.item_id].std, rel=1e-3)
        same.append(one.reason.rpartition("“")[2] == best[one.item_id].reason.rpartition("“")[2])
    assert np.mean(same) > 0.9  # two reasons that nearly tie may change places too
    for options in ({"diversity": 0.7}, {"min_certainty": 0.8}):
        shown, expected = ({one.item_id for one in which.recommend("u007", **options)} for which in (of, plain))
        assert len(shown) == len(expected) > 0 and len(shown & expected) >= len(shown) - 1, options


# ---- long runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [1.0, 1e-4, 1e-8])
@pytest.mark.parametrize("dim", [2, 16, 64])
def test_IN_11_ten_thousand_answers_of_one_person(noise: float, dim: int) -> None:
    """Against precisions that add, which no rounding of a covariance can harm."""
    rng = np.random.default_rng(0)
    factors, taste = rng.normal(size=(200, dim)), rng.normal(size=dim)
    asked = rng.integers(0, 200, 10_000)
    values = factors[asked] @ taste + np.sqrt(noise) * rng.normal(size=10_000)
    belief = Belief(np.zeros(dim), np.eye(dim))
    for item, value in zip(asked, values, strict=True):
        belief = belief.update(factors[item], value - factors[item] @ belief.mean, noise)
    precision = np.eye(dim) + factors[asked].T @ factors[asked] / noise
    exact = np.linalg.inv(precision)
    assert np.array_equal(belief.covariance, belief.covariance.T)
    assert np.linalg.eigvalsh(belief.covariance)[0] > 0.0
    assert np.linalg.norm(belief.covariance - exact) <= 1e-3 * np.linalg.norm(exact)
    mean = np.linalg.solve(precision, factors[asked].T @ values / noise)
    assert np.linalg.norm(belief.mean - mean) <= 1e-3 * np.linalg.norm(mean)


@pytest.mark.parametrize("dim", [1, 2, 16])
def test_IN_11_answers_without_noise(dim: int) -> None:
    """They pin the taste down, and the same again, ten thousand times, breaks nothing."""
    rng = np.random.default_rng(0)
    factors, taste = rng.normal(size=(50, dim)), rng.normal(size=dim)
    belief = Belief(np.zeros(dim), np.eye(dim))
    with np.errstate(all="raise", under="ignore"):
        for item in rng.integers(0, 50, 10_000):
            belief = belief.update(factors[item], factors[item] @ (taste - belief.mean), 0.0)
    np.testing.assert_allclose(belief.mean, taste, atol=1e-6)
    assert 0.0 < np.linalg.eigvalsh(belief.covariance)[0] <= np.linalg.eigvalsh(belief.covariance)[-1] < 1e-6


def test_IN_11_ten_thousand_likes_of_one_person() -> None:
    rng = np.random.default_rng(0)
    factors, taste = rng.normal(size=(100, 4)), 2.0 * rng.normal(size=4)
    belief = Belief(np.zeros(4), np.eye(4))
    for item in rng.integers(0, 100, 10_000):
        liked = float(factors[item] @ taste + rng.normal() > 0)
        belief = belief.update_probit(factors[item], 0.0, np.array(liked), 1.0)
    assert np.array_equal(belief.covariance, belief.covariance.T)
    assert np.linalg.eigvalsh(belief.covariance)[0] > 0.0
    deviation = np.sqrt(np.diag(belief.covariance))
    assert (np.abs(belief.mean - taste) < 6 * deviation + 0.1).all()


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_IN_11_answers_that_contradict_each_other(kind: Kind) -> None:
    """Whoever says the opposite of what is certain, over and over, is believed in the end and breaks nothing."""
    items = Items.build(np.array([[0.0, 30.0, 0.0], [0.0, -30.0, 0.1]]), np.zeros((2, 3, 3)), np.ones(2))
    taste = Taste.build(items, LIKELIHOODS[kind])
    belief = taste.start
    for turn in range(2_000):
        value = float(turn >= 1_000) if kind == "probit" else 1e9 * (-1.0) ** (turn >= 1_000)
        belief = taste.observe(belief, turn % 2, value)
        assert np.isfinite(belief.mean).all() and np.linalg.eigvalsh(belief.covariance)[0] > 0.0


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("size", [1e-150, 1e-12, 1e5])  # a fit keeps factors below 3e4 of an answer's noise
def test_IN_11_strategies_on_factors_of_any_size(name: str, kind: Kind, size: float) -> None:
    world = make_world(kind)
    items = world.offered.items
    huge = Items(items.level, size * items.factors, items.spread, items.noise)
    candidates = replace(world.offered, items=huge, shown=huge, likelihood=LIKELIHOODS[kind])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        chosen = select(STRATEGIES[name], world.one, candidates, k=3, rng=np.random.default_rng(0))
    assert len({choice.item for choice in chosen}) == 3
    assert np.isfinite([choice.value for choice in chosen]).all()


def test_IN_11_one_person_rates_everything_ten_times() -> None:
    of, rng = learner(), np.random.default_rng(0)
    for _ in range(10):
        of = of.tell(
            Answer("keen", item, AnswerKind.RATING, float(rng.integers(1, 6))) for item in of.model.catalogue.ids
        )
    state = of.state("keen")
    assert len(state.rated) == 120 and len(of.told["keen"]) == 1_200
    assert np.linalg.eigvalsh(state.belief.covariance)[0] > 0.0
    assert all(np.isfinite(one.score) for one in of.recommend("keen", k=120, include_seen=True))


def test_IN_11_a_catalogue_of_which_one_item_has_all_the_ratings() -> None:
    n = 500
    table = pl.DataFrame(
        {"user_id": [f"u{i}" for i in range(n)], "item_id": ["x"] * n, "rating": np.tile([1.0, 3.0, 5.0, 2.0], n // 4)}
    )
    items = pl.DataFrame({"item_id": ["x", *(f"y{i}" for i in range(50))]})
    of = Learner.fit(Dataset.from_tables(table, items), encoder="none", dim=4)
    for one in of.recommend("newcomer", k=51):
        assert np.isfinite(one.score) and np.isfinite(one.std)
    assert len(of.ask("newcomer", k=60, rng=np.random.default_rng(0))) == 51
