"""Items of which a few have moved: everything that is asked of them is as if all were built anew."""

from __future__ import annotations

import numpy as np
import pytest

from palate.posteriors.items import Form, Items, Spread

SIZE, ITEMS = 4, 9


def positive(rng: np.random.Generator, n: int) -> np.ndarray:
    half = rng.normal(size=(n, SIZE, SIZE))
    return half @ np.swapaxes(half, 1, 2)


@pytest.mark.parametrize("form", ["full", "diagonal", "isotropic"])
def test_some_items_move_without_a_copy_of_all_covariances(form: Form) -> None:
    rng = np.random.default_rng(0)
    means, covariances, noise = rng.normal(size=(ITEMS, SIZE)), positive(rng, ITEMS), rng.uniform(1, 2, ITEMS)
    before, places = Items.build(means, covariances, noise, form), np.array([2, 5, 8])
    level = before.level.copy()
    new = rng.normal(size=(3, SIZE)), positive(rng, 3)
    moved = before.moved(places, new[0], Spread.build(new[1], form))
    means[places], covariances[places] = new
    anew = Items.build(means, covariances, noise, form)
    assert moved.spread.values is before.spread.values and np.array_equal(before.level, level)
    for name in ("level", "factors", "answer_noise"):
        np.testing.assert_allclose(getattr(moved, name), getattr(anew, name), atol=1e-12)
    second = positive(rng, 2)
    np.testing.assert_allclose(moved.spread.expected(second), anew.spread.expected(second), atol=1e-12)
    np.testing.assert_allclose(moved.spread.total(SIZE), anew.spread.total(SIZE), atol=1e-12)
    some = np.array([5, 0, 8, 5])
    np.testing.assert_array_equal(moved.take(some).spread.whole, anew.take(some).spread.whole)
    np.testing.assert_array_equal(moved.spread.covariances(SIZE), anew.spread.covariances(SIZE))
    assert [np.trace(one) > 0 for one in anew.spread.covariances(SIZE)] == [True] * ITEMS
