"""Who gets on the list: nothing twice, nothing forbidden, each share by its own measure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.acquisition.belief.epig import epig
from palate.acquisition.shortlist import most_promising, shortlist
from palate.errors import OptionError
from palate.posteriors.belief import Belief
from tests.acquisition.large import belief_after, catalogue


@given(items=st.integers(1, 300), m=st.integers(1, 80), seed=st.integers(0, 50))
def test_different_allowed_candidates_in_order(items: int, m: int, seed: int) -> None:
    candidates = catalogue(items, 5, seed=seed)
    allowed = np.random.default_rng(seed).random(items) < 0.6
    belief = belief_after(2, candidates)
    chosen = shortlist(belief, candidates, m, allowed=allowed, rng=np.random.default_rng(seed))
    assert len(chosen) == min(m, int(allowed.sum()))
    assert (np.diff(chosen) > 0).all()
    assert allowed[chosen].all()
    again = shortlist(belief, candidates, m, allowed=allowed, rng=np.random.default_rng(seed))
    assert np.array_equal(chosen, again)


def test_each_share_by_its_own_measure() -> None:
    """64 places: 32 and what is left by score, 16 along axes, 8 by popularity, 8 drawn."""
    candidates = catalogue(2000, 4)
    factors = candidates.items.factors.copy()
    factors[:] *= 0.01
    factors[100:132] *= 100  # by score
    factors[500] = [0.0, 0.0, 0.0, 0.05]  # little, but along the widest axis
    items = replace(candidates.items, factors=factors)
    counts = np.zeros(2000)
    counts[700:708] = 9.0
    candidates = replace(candidates, items=items, shown=items, counts=counts, reach=np.ones(2000))
    belief = Belief(np.zeros(4), np.diag([0.1, 0.1, 0.1, 1.0]))
    chosen = set(shortlist(belief, candidates, 64, rng=np.random.default_rng(0)).tolist())
    assert set(range(100, 132)) <= chosen
    assert 500 in chosen
    assert set(range(700, 708)) <= chosen
    others = [
        set(shortlist(belief, candidates, 64, rng=np.random.default_rng(seed)).tolist()) - chosen for seed in (1, 2, 3)
    ]
    assert all(0 < len(other) <= 8 for other in others)


@pytest.mark.parametrize("from_items", [1, 10_000], ids=["one pass", "plain"])
def test_the_best_by_epig_is_on_it(from_items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palate.acquisition.fast.moments.FROM_ITEMS", from_items)
    candidates = catalogue(400, 16)
    belief = belief_after(3, candidates)
    worth = epig(belief, candidates, rng=np.random.default_rng(0), n_targets=10_000) * candidates.reach
    assert int(worth.argmax()) in shortlist(belief, candidates, 16, rng=np.random.default_rng(0))


def test_scores_of_the_list_are_those_of_the_whole() -> None:
    candidates = catalogue(300, 16)
    belief = belief_after(3, candidates)
    chosen = shortlist(belief, candidates, 32, rng=np.random.default_rng(0))
    of_list = epig(belief, candidates.take(chosen), rng=np.random.default_rng(1))
    np.testing.assert_allclose(of_list, epig(belief, candidates, rng=np.random.default_rng(1))[chosen])


@pytest.mark.parametrize("covariance", [np.zeros((3, 3)), np.eye(3)], ids=["certain", "prior"])
def test_all_alike(covariance: np.ndarray) -> None:
    twins = catalogue(1, 3).take(np.zeros(200, dtype=np.intp))
    twins = replace(twins, shown=twins.items, targets=np.full(200, 1 / 200))
    chosen = shortlist(Belief(np.zeros(3), covariance), twins, 20, rng=np.random.default_rng(0))
    assert len(chosen) == len(set(chosen.tolist())) == 20


def test_nothing_to_choose_from() -> None:
    candidates = catalogue(50, 3)
    nothing = np.zeros(50, dtype=bool)
    assert (
        len(shortlist(belief_after(0, candidates), candidates, 8, allowed=nothing, rng=np.random.default_rng(0))) == 0
    )


def test_no_place_at_all() -> None:
    candidates = catalogue(5, 3)
    with pytest.raises(OptionError) as error:
        shortlist(belief_after(0, candidates), candidates, 0, rng=np.random.default_rng(0))
    assert str(error.value) == "m is 0. Give at least 1 candidate."


def test_the_most_promising_are_the_largest_and_of_equal_ones_some() -> None:
    worth = np.array([1.0, 3.0, 1.0, 2.0, 1.0, 1.0])
    assert most_promising(worth, 2, rng=np.random.default_rng(0)).tolist() == [1, 3]
    drawn = {tuple(most_promising(worth, 3, rng=np.random.default_rng(seed)).tolist()) for seed in range(60)}
    assert drawn == {(1, 3, last) for last in (0, 2, 4, 5)}
    assert sorted(most_promising(np.zeros(5), 5, rng=np.random.default_rng(0)).tolist()) == [0, 1, 2, 3, 4]
