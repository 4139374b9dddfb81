"""Items of which a few have moved: everything that is asked of them is as if all were built anew."""

from __future__ import annotations

import numpy as np
import pytest

from palate.posteriors.items import Form, Items, MovedItems, Spread

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


@pytest.mark.parametrize("form", ["full", "diagonal", "isotropic"])
def test_items_that_are_lent_are_those_that_moved_and_lie_where_they_lay_after_it(form: Form) -> None:
    rng = np.random.default_rng(0)
    before = Items.build(rng.normal(size=(ITEMS, SIZE)), positive(rng, ITEMS), rng.uniform(1, 2, ITEMS), form)
    lent = MovedItems(before)

    def same(one: Items, other: Items) -> None:
        for name in ("level", "factors", "answer_noise"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
        assert np.array_equal(one.spread.covariances(SIZE), other.spread.covariances(SIZE))

    for places in ([2, 5], [5, 8], []):
        to = np.array(places, dtype=np.intp)
        new = to, rng.normal(size=(len(to), SIZE)), Spread.build(positive(rng, len(to)), form)
        other = np.array([1, 2]), rng.normal(size=(2, SIZE)), Spread.build(positive(rng, 2), form)
        with lent.moved(*new) as items:
            same(items, before.moved(*new))
            with lent.moved(*other) as within:
                same(within, before.moved(*other))
            same(items, before.moved(*new))
    with pytest.raises(ZeroDivisionError), lent.moved(*new):
        raise ZeroDivisionError
    with lent.moved(*other) as items:
        same(items, before.moved(*other))
