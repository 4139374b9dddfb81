"""From scores to a batch: greedy, and drawn with a known probability."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.acquisition.draw import Batch, choose
from palate.errors import OptionError


def test_greedy_takes_the_highest_and_counts_equals() -> None:
    batch = choose(np.array([1.0, 3.0, 2.0, 3.0, 3.0]), 4, rng=np.random.default_rng(0))
    assert set(batch.items[:3].tolist()) == {1, 3, 4}
    assert batch.items[3] == 2
    assert batch.propensities.tolist() == pytest.approx([1 / 3, 1 / 2, 1, 1])


def test_greedy_breaks_ties_by_the_generator() -> None:
    first = [int(choose(np.zeros(3), 1, rng=np.random.default_rng(seed)).items[0]) for seed in range(60)]
    assert np.bincount(first).min() > 10


WEIGHTS = {
    "power": np.array([1.0, 4.0, 9.0]),  # beta 2
    "softmax": np.exp([2.0, 4.0, 6.0]),
    "softrank": np.array([1 / 9, 1 / 4, 1.0]),
}


@pytest.mark.parametrize("draw", WEIGHTS)
def test_draws_have_the_recorded_probability(draw: str) -> None:
    """Over all orders of two of three: how often each comes is the product of what it records."""
    scores, weights = np.array([1.0, 2.0, 3.0]), WEIGHTS[draw]
    runs = [choose(scores, 2, rng=np.random.default_rng(seed), draw=draw, beta=2.0) for seed in range(3000)]
    for order in permutations(range(3), 2):
        chance = weights[order[0]] / weights.sum() * weights[order[1]] / (weights.sum() - weights[order[0]])
        same = [run for run in runs if run.items.tolist() == list(order)]
        assert len(same) / 3000 == pytest.approx(chance, abs=0.03)
        for run in same[:1]:
            assert run.propensities.prod() == pytest.approx(chance)


def test_equal_scores_share_a_rank() -> None:
    batch = choose(np.array([5.0, 5.0]), 1, rng=np.random.default_rng(0), draw="softrank", beta=3.0)
    assert batch.propensities[0] == pytest.approx(0.5)


def test_power_of_nothing_is_uniform_after_the_rest() -> None:
    batch = choose(np.array([0.0, 2.0, 0.0]), 3, rng=np.random.default_rng(0), draw="power")
    assert batch.items[0] == 1
    assert batch.propensities.tolist() == pytest.approx([1.0, 0.5, 1.0])


def test_beta_zero_is_uniform() -> None:
    for draw in WEIGHTS:
        batch = choose(np.array([0.0, 1.0, 9.0, 4.0]), 4, rng=np.random.default_rng(0), draw=draw, beta=0.0)
        assert batch.propensities.tolist() == pytest.approx([1 / 4, 1 / 3, 1 / 2, 1])


@given(
    st.lists(st.floats(0, 700), min_size=1, max_size=20),
    st.integers(1, 25),
    st.sampled_from(["greedy", "power", "softmax", "softrank"]),
    st.integers(0, 5),
)
def test_all_different_with_probabilities_above_zero(scores: list[float], k: int, draw: str, seed: int) -> None:
    batch = choose(np.array(scores), k, rng=np.random.default_rng(seed), draw=draw)
    assert len(set(batch.items.tolist())) == len(batch) == min(k, len(scores))
    assert (batch.propensities >= 0).all()
    assert (batch.propensities <= 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ([1.0], {"k": 0}, "k is 0. Ask for at least 1 label."),
        ([0.0, np.nan], {}, "the score of candidate 1 is nan. A score must be finite."),
        ([-0.5, 1.0], {"draw": "power"}, "power draws meet the score -0.5. Use softmax or softrank below 0."),
        ([1.0], {"draw": "power", "beta": -1.0}, "beta is -1.0. Give a finite number of at least 0."),
        ([1.0], {"draw": "best"}, "draw 'best' is unknown. Use greedy, power, softmax or softrank."),
    ],
)
def test_bad_input(scores: list[float], options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as error:
        choose(np.array(scores), **{"k": 1, "rng": np.random.default_rng(0), **options})
    assert str(error.value) == message


def test_nothing_to_choose_from() -> None:
    for draw in ("greedy", *WEIGHTS):
        assert len(choose(np.zeros(0), 3, rng=np.random.default_rng(0), draw=draw)) == 0


def test_a_batch_of_a_part_names_the_whole() -> None:
    batch = Batch.of([1, 0], [1.0, 0.5]).within(np.array([7, 9]))
    assert batch.items.tolist() == [9, 7]
