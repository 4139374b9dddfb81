"""The network of NICF against NumPy, and what it learns of users whose likes are planted."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

from palate.acquisition import Candidates, Given, Population
from palate.acquisition.literature import q_network
from palate.acquisition.literature.nicf import Policy, channels, learn, nicf
from palate.acquisition.literature.q_learning import QLearningOptions
from palate.errors import MissingExtra
from palate.posteriors.items import Items
from palate.posteriors.likelihoods import Gaussian
from palate.posteriors.taste import Taste
from palate.testing.strategies import make_world
from tests.acquisition.tables import offered

Array = np.ndarray
hf = pytest.mark.hf
HALF = 6  # items of each planted group
GROUPS = np.arange(2 * HALF) // HALF


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# ---- the network -----------------------------------------------------------------------------------------------------


def norm(x: Array) -> Array:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-6)


def by_hand(weights: dict[str, Array], items: list[int], kinds: list[int]) -> Array:
    """The state after these answers, channel by channel, in loops."""
    read = []
    for channel in range(len(weights["items"])):
        rows = [0, *(item for item, kind in zip(items, kinds, strict=True) if kind == channel)]
        x = weights["items"][channel][rows]
        query = norm(x[-1])  # only the latest item of a channel is read
        fit = np.array([query @ weights["query"][channel] @ (one @ weights["key"][channel]) for one in x])
        shares = np.exp(fit / np.sqrt(x.shape[1]))
        mixed = (shares / shares.sum()) @ (x @ weights["value"][channel])
        hidden = norm(mixed + query)
        up = np.maximum(hidden @ weights["up"][channel] + weights["up.bias"][channel, 0, 0], 0.0)
        read.append(norm(up @ weights["down"][channel] + weights["down.bias"][channel, 0, 0] + hidden))
    return np.maximum(np.concatenate(read) @ weights["state"] + weights["state.bias"], 0.0)


def small_weights(n_channels: int) -> dict[str, Array]:
    """Of 4 items and width 2; biases are not 0."""
    rng = rng_of(1)
    start = q_network.start(4, n_channels, 2, np.zeros(4), rng)
    return {name: array.astype(np.float64) + rng.normal(0.0, 0.3, array.shape) for name, array in start.items()}


@hf
@pytest.mark.parametrize(
    ("items", "kinds"),
    [([], []), ([2], [1]), ([2, 1], [1, 1]), ([2, 1], [1, 2]), ([4, 3, 1, 2], [0, 2, 0, 1])],
)
def test_the_state_is_that_of_a_computation_by_hand(items: list[int], kinds: list[int]) -> None:
    import torch

    weights = small_weights(3)
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    rows, of = (torch.tensor([values], dtype=torch.int64) for values in (items, kinds))
    found = q_network.states(torch, tensors, rows, of).numpy()[0]
    for length in range(len(items) + 1):
        np.testing.assert_allclose(found[length], by_hand(weights, items[:length], kinds[:length]), atol=1e-12)


@hf
def test_an_item_is_worth_the_state_times_its_embedding() -> None:
    """Of the items A to E, C was not learnt of, so it is worth its mean reward and says nothing."""
    candidates = offered(rated=[3, 2, 0, 1], given=[2.0, 4.0, np.nan, 1.0])
    weights = small_weights(5)
    rows = np.array([1, 2, 0, 3, 4])
    policy = Policy(weights, rows, np.full(5, 0.25), candidates.population)
    state = by_hand(weights, [3, 1, 2], [2, 0, 1])
    expected = weights["actions"] @ state + weights["actions.bias"]
    found = policy.score(candidates.given, np.arange(5))
    np.testing.assert_allclose(found, [expected[0], expected[1], 0.25, expected[2], expected[3]], atol=1e-12)


# ---- the answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "values", "expected"),
    [
        ([1, 2, 3, 4, 5], [np.nan, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        ([0, 1], [np.nan, 0, 1], [0, 1, 2]),
        (np.arange(0.5, 5.1, 0.5), [np.nan, 0.5, 1.5, 4.0, 5.0, 7.0], [0, 1, 2, 4, 5, 5]),
        ([1], [np.nan, 1], [0, 1]),
    ],
)
def test_each_level_has_a_channel(levels: list[float], values: list[float], expected: list[int]) -> None:
    population = replace(make_world().candidates.population, level_values=np.array(levels, dtype=np.float64))
    assert channels(np.array(values, dtype=np.float64), population).tolist() == expected


@hf
def test_before_training_an_item_is_worth_its_mean_reward() -> None:
    """Four users on a scale of four: A got 1, 2, 3 and 4, so 10 / 4 quarters on average; E got nothing."""
    population = offered().population
    untrained = learn(population, options=QLearningOptions(least=0, most=0))
    assert untrained.alone.tolist() == pytest.approx([10 / 16, 10 / 16, 3 / 16, 3 / 16, 0.0])
    np.testing.assert_allclose(untrained.weights["actions.bias"], untrained.alone, atol=1e-6)


@hf
def test_padded_rows_are_scored_as_those_without_padding() -> None:
    world = make_world()
    policy = learn(world.candidates.population, options=QLearningOptions(least=128, most=128))
    shared = Given(
        np.array([[3, 7, 9], [4, -1, -1], [-1, -1, -1]]), np.array([[1.0, 2.0, np.nan], [3.0, 0, 0], [0] * 3])
    )
    together = policy.score(shared, np.arange(12))
    for user in range(3):
        np.testing.assert_allclose(together[user], policy.score(shared.of(user), np.arange(12)), rtol=1e-12)
    assert np.abs(together[1] - together[2]).max() > 1e-3


# ---- what is learnt --------------------------------------------------------------------------------------------------


def two_groups(seed: int, users: int = 80) -> Population:
    """Half of the users like the first items and dislike the second, the other half the reverse; a fifth is missing."""
    rng = rng_of(seed)
    likes = (rng.permutation(users) % 2)[:, None] == GROUPS
    rated = np.nonzero(rng.random(likes.shape) < 0.8)
    answers = sparse.csr_matrix((np.where(likes, 5.0, 1.0)[rated], rated), shape=likes.shape)
    size = likes.shape[1]
    items = Items.build(np.full((size, 2), 3.0), np.zeros((size, 2, 2)), np.ones(size))
    return Population(answers, np.arange(1.0, 6.0), Taste.build(items, Gaussian()))


def share_right(policy: Policy) -> float:
    """After one like or one dislike of any item: how often the best other item is of the group that is liked."""
    right = []
    for item in range(2 * HALF):
        for rating in (1.0, 5.0):
            scores = policy.score(Given(np.array([item]), np.array([rating])), np.arange(2 * HALF))
            scores[item] = -np.inf
            right.append((GROUPS[scores.argmax()] == GROUPS[item]) == (rating == 5.0))
    return float(np.mean(right))


@hf
@pytest.mark.long
def test_after_one_answer_it_asks_what_will_be_liked() -> None:
    learnt, untrained = [], []
    for seed in range(4):
        population = two_groups(seed)
        learnt.append(share_right(learn(population)))
        untrained.append(share_right(learn(population, options=QLearningOptions(least=0, most=0))))
    assert min(learnt) >= 0.9
    assert max(untrained) <= 0.7


@hf
def test_the_value_is_the_discounted_reward() -> None:
    """Whose group is known earns 4 in 5 of 1 and, with the discount .5, as much again from there on: about 1.6."""
    policy = learn(two_groups(0))
    told = Given(np.array([0]), np.array([5.0]))
    best = policy.score(told, np.arange(1, HALF)).max()
    assert 1.3 < best < 2.0


@pytest.mark.long
@hf
def test_the_same_population_has_the_same_scores_whatever_the_threads() -> None:
    import torch

    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            world = make_world()
            found.append(nicf(world.one, world.offered, rng=rng_of(threads)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])


@hf
def test_it_is_learnt_once_a_population(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    first = nicf(world.one, world.offered, rng=rng_of())
    monkeypatch.setattr(q_network, "start", None)
    np.testing.assert_array_equal(nicf(world.one, world.offered, rng=rng_of()), first)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    candidates: Candidates = make_world().offered
    with pytest.raises(MissingExtra, match=r"^the strategy 'nicf' needs the library 'torch'.*\.\[hf\]"):
        nicf(make_world().one, candidates, rng=rng_of())
