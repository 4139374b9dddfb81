from __future__ import annotations

import gc
import weakref
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import OptionError
from palate.runners import InProcess, tree, tree_sum
from tests.runners.work import add, nest, terms


def split_at_the_largest_power_of_two(places: range) -> object:
    """The tree as its definition says, by recursion over the places."""
    if len(places) == 1:
        return places[0]
    half = 1
    while 2 * half < len(places):
        half *= 2
    return split_at_the_largest_power_of_two(places[:half]), split_at_the_largest_power_of_two(places[half:])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 37])
def test_both_trees_are_the_one_of_the_definition(n: int) -> None:
    expected = split_at_the_largest_power_of_two(range(n))
    with InProcess() as runner:
        assert runner.get(tree(runner, [runner.submit(int, place) for place in range(n)], nest)) == expected
    assert tree_sum(iter(range(n)), n, nest) == expected


@given(n=st.integers(1, 70), k=st.integers(0, 4))
def test_aligned_groups_that_are_added_first_are_the_same_tree(n: int, k: int) -> None:
    groups = [range(first, min(first + 2**k, n)) for first in range(0, n, 2**k)]
    sums = [tree_sum(iter(group), len(group), nest) for group in groups]
    assert tree_sum(sums, len(sums), nest) == split_at_the_largest_power_of_two(range(n))


@pytest.mark.parametrize("n", [16, 13])
def test_groups_on_1_2_4_and_8_nodes_give_the_same_bits_and_a_left_fold_does_not(n: int) -> None:
    parts = [terms(number) for number in range(n)]
    whole = tree_sum(parts, n, add)
    for size in (2, 4, 8):
        groups = [parts[first : first + size] for first in range(0, n, size)]
        assert np.array_equal(tree_sum([tree_sum(group, len(group), add) for group in groups], len(groups), add), whole)
    assert not np.array_equal(reduce(add, parts), whole)


class Counted:
    """A part that can be counted while it is alive."""


@pytest.mark.parametrize("n", [1, 2, 8, 13, 64])
def test_no_more_parts_are_alive_at_once_than_the_logarithm(n: int) -> None:
    alive: weakref.WeakSet[Counted] = weakref.WeakSet()
    most = 0

    def parts() -> object:
        nonlocal most
        for _ in range(n):
            part = Counted()
            alive.add(part)
            most = max(most, len(alive))
            yield part
            del part  # a generator would hold it until the next

    def into_the_first(left: Counted, right: Counted) -> Counted:
        return left

    gc.collect()
    tree_sum(parts(), n, into_the_first)  # type: ignore[arg-type]
    assert most <= n.bit_length()  # log2(n) + 1


@pytest.mark.parametrize("n", [2, 4])
def test_another_number_of_parts_is_an_error(n: int) -> None:
    with pytest.raises(OptionError, match=f"there are 3 parts, not {n}"):
        tree_sum([1, 2, 3], n, add)


def test_a_tree_over_nothing_is_an_error() -> None:
    with InProcess() as runner, pytest.raises(OptionError, match="0 handles"):
        tree(runner, [], add)
