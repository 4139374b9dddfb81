from __future__ import annotations

import numpy as np
import pytest

from palate.errors import OptionError
from palate.oracles.naming import TOP, Naming, naming_order

RATINGS = np.array([[5.0, 4.0, 2.0, np.nan, 4.0, 3.0]])
COUNTS = np.array([1.0, 2.0, 9.0, 9.0, 3.0, 4.0])
TIMES = np.array([[10.0, 30.0, 50.0, 60.0, 20.0, np.nan]])


def order(naming: Naming, seed: int = 0, **given: object) -> list[int]:
    rest = {"like": 4.0, "counts": COUNTS, "times": TIMES} | given
    named = naming_order(naming, RATINGS, **rest, rng=np.random.default_rng(seed))[0]  # type: ignore[arg-type]
    return [int(item) for item in named if item >= 0]


def test_the_favourite_comes_first_and_equals_in_any_order() -> None:
    assert {tuple(order(Naming.FAVOURITE, seed)) for seed in range(9)} == {(0, 1, 4), (0, 4, 1)}


def test_the_last_met_comes_first() -> None:
    assert order(Naming.RECENT) == [1, 4, 0]


def test_what_many_know_comes_to_mind_sooner() -> None:
    firsts = np.bincount([order(Naming.POPULAR, seed)[0] for seed in range(4000)], minlength=6) / 4000
    expected = np.where(RATINGS[0] >= 4, COUNTS + 0.5, 0.0)
    np.testing.assert_allclose(firsts, expected / expected.sum(), atol=0.03)


def test_any_liked_and_any_known_are_drawn_alike() -> None:
    liked, known = ([order(naming, seed)[0] for seed in range(4000)] for naming in (Naming.LIKED, Naming.KNOWN))
    np.testing.assert_allclose(np.bincount(liked, minlength=6) / 4000, [1 / 3, 1 / 3, 0, 0, 1 / 3, 0], atol=0.03)
    np.testing.assert_allclose(np.bincount(known, minlength=6) / 4000, [0.2, 0.2, 0.2, 0, 0.2, 0.2], atol=0.03)


def test_some_think_of_the_most_popular_alone() -> None:
    ratings, counts = np.full((1, TOP + 2), 5.0), np.arange(TOP + 2.0)
    named = naming_order(Naming.TOP_100, ratings, like=4.0, counts=counts, times=None, rng=np.random.default_rng(0))
    assert sorted(named[0]) == [-1, -1, *range(2, TOP + 2)]


@pytest.mark.parametrize(
    ("naming", "given", "message"),
    [
        (Naming.POPULAR, {"counts": None}, r"^the naming 'popular' goes by popularity, .* Give counts\.$"),
        (Naming.TOP_100, {"counts": None}, r"^the naming 'top-100' goes by popularity, .* Give counts\.$"),
        (Naming.RECENT, {"times": None}, r"^the naming 'recent' goes by time, .* Give data with timestamps\.$"),
        (
            Naming.RECENT,
            {"times": TIMES * np.nan},
            r"^the naming 'recent' goes by time, .* Give data with timestamps\.$",
        ),
    ],
)
def test_what_a_naming_hangs_on_must_be_given(naming: Naming, given: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        order(naming, **given)
