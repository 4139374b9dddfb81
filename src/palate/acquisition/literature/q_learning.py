"""Deep Q-learning on the ratings of the fitted users, for :mod:`palate.acquisition.literature.nicf`.

An episode is a user and what they would have answered, question after question; what they have not rated is a question
without an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.acquisition.literature import q_network
from palate.arrays import Array

Codes = NDArray[np.int64]
Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class QLearningOptions:
    """Settings of the training.

    Attributes:
        width: Of embeddings and states.
        horizon: Questions of an episode; all items where there are fewer.
        discount: Of the reward one question later, at the end; it grows from 0, so that near rewards are learnt first.
        passes: Episodes of each user.
        least, most: Bounds of the number of episodes.
        at_once: Episodes played together, and episodes an update learns from.
        updates: After each round of episodes.
        memory: Episodes kept to learn from, the newest.
        explore: Share of questions drawn at random at the start and, from the middle on, at the end.
        refresh: Updates between two copies of the network that next questions are valued by.
        rate: Of learning (Adam) at the start; it falls to 0.
    """

    width: int = 32
    horizon: int = 20
    discount: float = 0.5
    passes: int = 12
    least: int = 1_000
    most: int = 12_000
    at_once: int = 64
    updates: int = 3
    memory: int = 2_000
    explore: tuple[float, float] = (1.0, 0.1)
    refresh: int = 20
    rate: float = 2e-3


def train(
    known: sparse.csr_matrix,
    rewards: Array,
    alone: Array,
    rng: np.random.Generator,
    options: QLearningOptions | None = None,
) -> Weights:
    """The network's weights after training on one thread, so that the same ``rng`` gives the same everywhere.

    Args:
        known: Channel of each rating from 1, (U, A) CSR; what is not there has channel 0, no answer.
        rewards: Of an answer in each channel, (C,).
        alone: Mean reward of each item, (A,), where the values begin.
    Raises:
        MissingExtra: If torch is not installed.
    """
    torch = q_network.import_torch()
    given = options or QLearningOptions()
    n_users, n_items = known.shape
    counts = np.bincount(known.indices, minlength=n_items).astype(np.float64)
    weights = q_network.start(n_items, len(rewards), given.width, alone, rng)
    rounds = min(max(given.passes * n_users, given.least), given.most) // given.at_once
    with _one_thread(torch):
        learner = _Learner(torch, weights, rewards, given)
        memory = _Memory.empty(given.memory, min(given.horizon, n_items))
        for turn in range(rounds if n_items and known.nnz else 0):
            done = turn / rounds
            users = rng.integers(n_users, size=given.at_once)
            share = np.interp(done, [0.0, 0.5], given.explore)
            memory.keep(*_play(learner, known[users].toarray(), counts, float(share), memory.length, rng))
            for _ in range(given.updates):
                learner.update(*memory.draw(given.at_once, rng), done=done)
        return learner.arrays()


class _Learner:
    """The network as it is learnt, and its older copy."""

    def __init__(self, torch: Any, weights: Weights, rewards: Array, options: QLearningOptions) -> None:
        self.torch, self._options, self._updates = torch, options, 0
        self.weights = {name: torch.from_numpy(array).requires_grad_() for name, array in weights.items()}
        self._optimizer = torch.optim.Adam(self.weights.values(), options.rate)
        self._rewards = torch.from_numpy(rewards.astype(np.float32))
        self._copy()

    def values(self, items: Codes, channels: Codes) -> NDArray[np.float32]:
        """What each item is worth next, (B, A)."""
        with self.torch.inference_mode():
            tensors = self.torch.from_numpy(items), self.torch.from_numpy(channels)
            state = q_network.states(self.torch, self.weights, *tensors)[:, -1]
            worth: NDArray[np.float32] = (state @ self.weights["actions"].T + self.weights["actions.bias"]).numpy()
        return worth

    def update(self, items: Codes, channels: Codes, *, done: float) -> None:
        """One step on all questions of some episodes, (B, T) each, after this share of the training."""
        torch, functional = self.torch, self.torch.nn.functional
        rows, kinds = torch.from_numpy(items), torch.from_numpy(channels)
        goal = self._rewards[kinds]
        goal[:, :-1] += self._options.discount * done * self._next(rows, kinds)
        state = q_network.states(torch, self.weights, rows[:, :-1], kinds[:, :-1])
        actions = self.weights["actions"][rows - 1]
        loss = functional.mse_loss((state * actions).sum(-1) + self.weights["actions.bias"][rows - 1], goal)
        self._optimizer.param_groups[0]["lr"] = self._options.rate * (1.0 - done)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._updates += 1
        if self._updates % self._options.refresh == 0:
            self._copy()

    def _next(self, rows: Any, kinds: Any) -> Any:
        """What the question that now seems best is worth to the older copy, after each but the last, (B, T - 1).

        The best by one and the same network would be the most overrated (van Hasselt, Guez, Silver, *Deep
        reinforcement learning with double Q-learning*, AAAI 2016).
        """
        torch = self.torch
        with torch.inference_mode():
            before, after = rows[:, :-1], kinds[:, :-1]
            worth, older = (
                q_network.states(torch, weights, before, after)[:, 1:] @ weights["actions"].T + weights["actions.bias"]
                for weights in (self.weights, self._older)
            )
            for turn in range(before.shape[1]):  # no question comes twice
                asked = before[:, turn, None, None] - 1
                worth[:, turn:].scatter_(2, asked.expand(-1, worth.shape[1] - turn, -1), -torch.inf)
            return older.gather(2, worth.argmax(-1, keepdim=True))[..., 0].clone()

    def _copy(self) -> None:
        self._older = {name: tensor.detach().clone() for name, tensor in self.weights.items()}

    def arrays(self) -> Weights:
        return {name: tensor.detach().numpy().copy() for name, tensor in self.weights.items()}


@dataclass(slots=True)
class _Memory:
    """The newest episodes: rows of the items asked, and channels of the answers, (M, T) each."""

    items: Codes
    channels: Codes
    seen: int = 0

    @classmethod
    def empty(cls, size: int, length: int) -> _Memory:
        return cls(np.zeros((size, length), dtype=np.int64), np.zeros((size, length), dtype=np.int64))

    @property
    def length(self) -> int:
        return int(self.items.shape[1])

    def keep(self, items: Codes, channels: Codes) -> None:
        places = (self.seen + np.arange(len(items))) % len(self.items)
        self.items[places], self.channels[places] = items, channels
        self.seen += len(items)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Codes, Codes]:
        places = rng.integers(min(self.seen, len(self.items)), size=n)
        return self.items[places], self.channels[places]


def _play(
    learner: _Learner, answers: NDArray[Any], counts: Array, explore: float, length: int, rng: np.random.Generator
) -> tuple[Codes, Codes]:
    """Rows of the items asked of some users and channels of their answers, (B, T) each.

    Random questions are drawn by how many rated them: uniform ones are hardly ever answered. Never by what this user
    rated: whom an item is asked of would then say how they answer.
    """
    everyone = np.arange(len(answers))
    items, channels = np.zeros((2, len(answers), length), dtype=np.int64)
    asked = np.zeros(answers.shape, dtype=np.bool_)
    for turn in range(length):
        worth = learner.values(items[:, :turn], channels[:, :turn])
        drawn = rng.random(len(answers)) < explore
        worth[drawn] = np.log(counts + 1e-3) + rng.gumbel(size=(int(drawn.sum()), len(counts)))
        picks = np.where(asked, -np.inf, worth).argmax(1)
        asked[everyone, picks] = True
        items[:, turn], channels[:, turn] = picks + 1, answers[everyone, picks]
    return items, channels


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
