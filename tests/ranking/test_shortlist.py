"""The best of a large catalogue, against scores of all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr

from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.ranking.shortlist import Blocks, Layout, Terms

WITH = ("linear", "evidence", "exposure", "taste")


class Catalogue:
    """A drawn catalogue, a drawn user, and the scores of all by the formula."""

    def __init__(self, rng: np.random.Generator, n: int, dim: int, parts: tuple[str, ...], scale: float) -> None:
        spread = Spread("isotropic", rng.uniform(0.02, 0.2, (n, 1)))
        self.items = Items(rng.normal(0, scale, n), rng.normal(0, scale, (n, dim)), spread, rng.uniform(0.1, 1.0, n))
        rate = np.maximum(0.6 / np.arange(1, n + 1) ** 0.8, 1e-5)
        loadings = 0.15 * rng.normal(size=(n, 5)) * np.sqrt(rate * (1 - rate))[:, None]
        self.answerability = Answerability(rate, loadings, np.maximum(rate * (1 - rate), 1e-3), 0.1)
        root = rng.normal(size=(dim, dim)) * np.sqrt(rng.exponential(size=dim)) / np.sqrt(max(dim, 1))
        taste, exposure = (Belief(scale * rng.normal(size=d), c) for d, c in ((dim, root @ root.T), (5, np.eye(5))))
        level, extra = self.items.level - 0.3, rng.normal(0, scale, (2, n))
        s = np.where(rng.random((2, n)) < 0.1, rng.exponential(size=(2, n)), 0.0)
        weights, over_mean = rng.uniform(0, 2, 5), 10.0 / np.maximum(s.mean(1), 1e-3)
        self.scores = np.zeros(n)
        if "linear" in parts:
            self.scores += weights[:2] @ extra
        if "evidence" in parts:
            self.scores += weights[2:4] @ np.log1p(s * over_mean[:, None])
        if "exposure" in parts:
            self.scores += weights[4] * np.log(self.answerability.probability(exposure))
        if "taste" in parts:
            shift = rng.normal(size=n)
            mean, variance = level + shift + taste.score(self.items.factors), taste.variance(self.items.factors)
            self.scores += log_ndtr(mean / np.sqrt(variance + self.items.answer_noise))
        single = [row.astype(np.float32) for row in (*extra, *s)]
        self.terms = Terms(
            [*zip(weights[:2], single[:2], strict=True)] if "linear" in parts else (),
            [*zip(weights[2:4], over_mean, single[2:], strict=True)] if "evidence" in parts else (),
            (weights[4], exposure) if "exposure" in parts else None,
            taste if "taste" in parts else None,
            shift if "taste" in parts else None,
        )
        self.layout = Layout.build(self.items, level, self.answerability)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3000),
    st.integers(0, 9),
    st.integers(1, 40),
    st.sets(st.sampled_from(WITH)),
    st.sampled_from([0.01, 1.0, 30.0]),
)
def test_the_best_are_those_of_all_scores(seed: int, n: int, dim: int, k: int, parts: set[str], scale: float) -> None:
    rng = np.random.default_rng(seed)
    of = Catalogue(rng, n, dim, tuple(parts), scale)
    allowed = rng.random(n) < rng.choice([0.05, 0.9])
    found, scores = of.layout.bounds(of.terms, allowed).best(k, lambda items: of.scores[items])
    assert (np.diff(found) > 0).all() and allowed[found].all()
    np.testing.assert_array_equal(scores, of.scores[found])
    best = sorted(np.flatnonzero(allowed), key=lambda item: -of.scores[item])[:k]
    order = np.argsort(-scores, kind="stable")[:k]
    assert found[order].tolist() == best


def test_few_are_scored_again() -> None:
    of = Catalogue(np.random.default_rng(0), 100_000, 16, WITH, 0.3)
    looked_at = []
    of.layout.bounds(of.terms, np.ones(100_000, bool)).best(
        10, lambda items: looked_at.append(len(items)) or of.scores[items]
    )
    assert sum(looked_at) < 10_000


@pytest.mark.parametrize("k", [1, 300])
def test_where_all_are_alike_all_are_found_and_none_where_none_is_allowed(k: int) -> None:
    n = 1000
    layout = Layout.build(
        Items(np.zeros(n), np.zeros((n, 1)), Spread("isotropic", np.zeros((n, 1))), np.ones(n)),
        np.zeros(n),
        Answerability(np.full(n, 0.1), np.zeros((n, 0)), np.full(n, 0.09)),
    )
    terms = Terms(exposure=(1.0, Belief(np.zeros(0), np.zeros((0, 0)))))
    found, _ = layout.bounds(terms, np.ones(n, bool)).best(k, lambda items: np.full(len(items), np.log(0.1)))
    assert found.tolist() == list(range(n))
    found, scores = layout.bounds(terms, np.zeros(n, bool)).best(k, lambda items: np.full(len(items), np.log(0.1)))
    assert len(found) == len(scores) == 0


def test_products_are_those_above_zero_and_their_sum() -> None:
    rng = np.random.default_rng(0)
    rows, numbers = rng.normal(size=(300, 6)), rng.normal(size=6)
    found, total = Blocks.of(rows).products(numbers)
    expected = np.maximum(rows @ numbers, 0.0)
    np.testing.assert_allclose(found[:300], expected, atol=1e-5)
    assert total == (pytest.approx(expected.sum())) and not found[300:].any()
