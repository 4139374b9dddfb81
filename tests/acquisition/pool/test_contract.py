"""What every general strategy must keep, run over all of them."""

from __future__ import annotations

import numpy as np
import pytest

from palate.acquisition.pool.pool import Pool, PoolStrategy
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.errors import DataError, OptionError
from tests.acquisition.pools import blobs, drawn, three

EVERY = pytest.mark.parametrize("strategy", POOL_STRATEGIES.values(), ids=POOL_STRATEGIES)
SCORES = [strategy for strategy in POOL_STRATEGIES.values() if strategy.score is not None]
EVERY_SCORE = pytest.mark.parametrize("strategy", SCORES, ids=lambda strategy: strategy.name)


def same(n: int = 6, labelled: int = 0) -> Pool:
    """All candidates alike, and so certain that nothing varies."""
    certain = np.zeros((2, n + labelled, 3))
    certain[:, :, 0] = 1.0
    rows = np.ones((n + labelled, 4))
    return Pool(certain[:, :n], rows[:n], rows[n:], np.zeros(labelled, dtype=np.intp), certain[:, n:])


DEGENERATE = {
    "all alike and certain": same(),
    "all alike with labels": same(labelled=3),
    "one candidate": drawn(n=1),
    "one candidate and no label": drawn(n=1, labelled=0),
    "no label": drawn(labelled=0),
    "one label": drawn(labelled=1),
    "one draw": drawn(draws=1),
    "one class": drawn(classes=1),
    "features of zeros": Pool.unlabelled(drawn(n=5).samples, np.zeros((5, 2))),
    "two groups": blobs(labelled=4),
    "by hand": three(2),
}


@EVERY
def test_picks_are_different_and_have_probabilities(strategy: PoolStrategy) -> None:
    for what, pool in DEGENERATE.items():
        for k in (1, 4, len(pool) + 5):
            batch = strategy.pick(pool, k, rng=np.random.default_rng(0))
            assert len(batch) == len(set(batch.items.tolist())) == min(k, len(pool)), what
            assert batch.items.min() >= 0 and batch.items.max() < len(pool), what
            assert np.isfinite(batch.propensities).all(), what
            assert (batch.propensities > 0).all() and (batch.propensities <= 1 + 1e-12).all(), what


@EVERY_SCORE
def test_scores_are_finite_one_per_candidate(strategy: PoolStrategy) -> None:
    for what, pool in DEGENERATE.items():
        with np.errstate(divide="raise", invalid="raise"):
            scores = strategy.score(pool, rng=np.random.default_rng(0))
        assert scores.shape == (len(pool),), what
        assert np.isfinite(scores).all(), what


@EVERY_SCORE
def test_shuffled_candidates_have_shuffled_scores(strategy: PoolStrategy) -> None:
    if strategy.name == "random":
        return  # its scores are drawn
    pool = drawn()
    order = np.random.default_rng(1).permutation(len(pool))
    straight = strategy.score(pool, rng=np.random.default_rng(0))
    shuffled = strategy.score(pool.take(order), rng=np.random.default_rng(0))
    np.testing.assert_allclose(shuffled, straight[order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["batch-bald", "core-set", "max-herding", "ranked-batch", "similar"])
def test_shuffled_candidates_give_the_same_batch(name: str) -> None:
    """Of the batches that draw nothing while no two candidates are equal."""
    pool = drawn()
    order = np.random.default_rng(1).permutation(len(pool))
    rng = np.random.default_rng
    straight = POOL_STRATEGIES[name].pick(pool, 4, rng=rng(0))
    shuffled = POOL_STRATEGIES[name].pick(pool.take(order), 4, rng=rng(0))
    np.testing.assert_array_equal(order[shuffled.items], straight.items)


@EVERY
def test_the_same_seed_gives_the_same_choice_of_a_pool_that_is_left_as_it_was(strategy: PoolStrategy) -> None:
    pool, untouched = drawn(), drawn()
    first, second = (strategy.pick(pool, 5, rng=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_array_equal(first.propensities, second.propensities)
    for name in ("samples", "features", "labelled", "labels", "labelled_samples"):
        np.testing.assert_array_equal(getattr(pool, name), getattr(untouched, name))


@EVERY
def test_nothing_to_ask_is_an_empty_batch_and_no_question_a_mistake(strategy: PoolStrategy) -> None:
    assert len(strategy.pick(drawn().take(np.zeros(0, dtype=np.intp)), 3, rng=np.random.default_rng(0))) == 0
    with pytest.raises(OptionError, match=r"^k is 0\. Ask for at least 1 label\.$"):
        strategy.pick(drawn(), 0, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": np.zeros((2, 3))}, r"samples have the shape \(2, 3\)\. Give \(draws, candidates, classes\)\."),
        ({"features": np.zeros(3)}, r"features have the shape \(3,\)\. Give \(candidates, features\)\."),
        ({"features": np.zeros((2, 2))}, r"features have the shape \(2, 2\)\. Give \(3, 2\), to fit .*"),
        ({"labels": np.array([2])}, r"a label is 2 or 2\. Give classes 0 to 1\."),
        ({"features": np.full((3, 2), np.nan)}, r"features hold a value that is not finite\. Give finite numbers\."),
    ],
)
def test_a_pool_that_does_not_fit_together(change: dict[str, np.ndarray], message: str) -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match=f"^{message}$"):
        replace(three(1), **change)


def test_taking_candidates_keeps_what_is_to_be_predicted() -> None:
    pool = three(1)
    part = pool.take(np.array([2, 0]))
    np.testing.assert_array_equal(part.features, pool.features[[2, 0]])
    np.testing.assert_array_equal(part.wanted, pool.samples)
