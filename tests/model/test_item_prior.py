from __future__ import annotations

import numpy as np
import pytest

from palate.model.item_prior import of_answers, promised
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.prior import Prior
from palate.posteriors.ridge import Design

ITEMS, SIZE = 60, 3
CONTENT = np.random.default_rng(0).normal(size=(ITEMS, 4))
FACTORS = CONTENT @ np.random.default_rng(1).normal(size=(4, SIZE)) + [3.0, 0.0, 1.0]


def learnt(start: Prior) -> Prior:
    for _ in range(4):
        start, _ = start.refit(FACTORS, 0.1 * ITEMS * np.eye(SIZE), CONTENT, 1e-9)
    return start


LINEAR = learnt(LinearPrior.start(np.zeros(SIZE), np.eye(SIZE), CONTENT))
FUSED = learnt(FusedPrior.start(np.zeros(SIZE), np.eye(SIZE), CONTENT, (4,)))
NEW = np.stack([np.full(4, np.nan), CONTENT[7], np.full(4, np.nan)])


def never() -> np.ndarray:
    raise AssertionError("read though not needed")


@pytest.mark.parametrize("prior", [LINEAR, FUSED], ids=["linear", "fused"])
def test_of_whole_items_it_is_what_the_prior_says(prior: Prior) -> None:
    means, covariances = promised(prior, CONTENT, never)
    np.testing.assert_array_equal(means, prior.predict(CONTENT))
    np.testing.assert_array_equal(covariances, prior.covariances(CONTENT))


def test_a_prior_without_blocks_takes_an_item_that_lacks_its_content_for_one_drawn_from_the_catalogue() -> None:
    means, covariances = promised(LINEAR, NEW, lambda: CONTENT)
    said = LINEAR.predict(CONTENT)
    for blank in (0, 2):
        np.testing.assert_allclose(means[blank], said.mean(0))
        np.testing.assert_allclose(covariances[blank], LINEAR.covariances(CONTENT).mean(0) + np.cov(said.T, bias=True))
    np.testing.assert_allclose(means[1], said[7])
    np.testing.assert_allclose(covariances[1], LINEAR.covariances(CONTENT[7:8])[0])


def test_a_prior_of_blocks_knows_what_a_missing_one_leaves_open() -> None:
    means, covariances = promised(FUSED, NEW, never)
    np.testing.assert_array_equal(means, FUSED.predict(NEW))
    assert np.trace(covariances[0]) > 2.0 * np.trace(covariances[1])


def test_without_any_content_all_items_are_the_same() -> None:
    nothing = np.zeros((2, 0))
    prior = LinearPrior.start(np.array([3.0, 0.0, 1.0]), np.eye(SIZE), nothing)
    means, covariances = promised(prior, nothing, never)
    assert means.tolist() == [[3.0, 0.0, 1.0]] * 2
    assert covariances.tolist() == [np.eye(SIZE).tolist()] * 2


def test_an_item_counts_as_often_as_it_is_answered_about() -> None:
    plain = LinearPrior.start(np.zeros(2), np.eye(2), np.zeros((3, 0)))
    factors = np.array([[4.0, 1.0], [2.0, 0.0], [2.0, -1.0]])
    found = of_answers(plain, factors, np.zeros((3, 0)), np.array([8.0, 1.0, 1.0]))
    np.testing.assert_allclose(found.mean, [3.6, 0.7])
    np.testing.assert_array_equal(plain.mean, 0.0)


def test_what_content_misses_is_as_if_the_item_had_not_been_fitted() -> None:
    design = Design(CONTENT.T @ CONTENT, (4,))
    strength = float(design.grids[0][30])
    targets = CONTENT @ [1.0, -1.0, 0.5, 0.0] + np.random.default_rng(2).normal(size=ITEMS)

    def ridge(rows: np.ndarray) -> np.ndarray:
        x = CONTENT[rows]
        return np.asarray(np.linalg.solve(x.T @ x + strength * np.eye(4), x.T @ targets[rows]))

    every = np.arange(ITEMS)
    prior = FusedPrior.build(
        mean=np.zeros(1),
        covariance=np.eye(1),
        coefficients=ridge(every)[:, None],
        centre=np.zeros(4),
        gram=design.gram,
        items=ITEMS,
        sizes=(4,),
        back=np.eye(1),
        strengths=np.array([[strength]]),
    )
    expected = [targets[row] - CONTENT[row] @ ridge(np.delete(every, row)) for row in every]
    np.testing.assert_allclose(prior.left_out(targets[:, None], CONTENT)[:, 0], expected, rtol=1e-9)
