"""Neural interactive collaborative filtering (NICF)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature import q_network
from palate.acquisition.literature.bandit_indices import as_rewards
from palate.acquisition.literature.q_learning import QLearningOptions, train
from palate.arrays import Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.population import Given, Population

LEVELS = 5  # channels of ratings at most; a finer scale is cut into as many equal parts
ITEMS = 2_000  # most rated, that are learnt of
WINDOW = 200  # newest answers that count
_SEED = 20_200_725


def nicf(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask by a network that has learnt, playing the fitted users, what earns most in the long run.

    .. math:: Q(s, i) = h(s)^\top e_i + a_i, \qquad
        Q(s, i) \approx E[r + \gamma \max_{i'} Q(s', i')], \qquad h(s) = f(u_0, u_1, \ldots, u_L)

    The rewards of asking the item and of the questions that follow, discounted, (I,) or (n, I). The answers of one
    level r, or the questions without one (r = 0), are a channel of self-attention; u_r is what it
    says at its latest item, f one layer. The lowest rating earns 1 / L, the highest 1, no answer 0: so the chance of an
    answer is in the score already. Learnt at the first question of a population from episodes of 20 questions with the
    fitted users (:mod:`palate.acquisition.literature.q_learning`), the same for the same population: half a minute of
    one core for 700 users and 1,700 items. Then O(D) an item and O(T²) a user with T answers. Needs torch.

    As in the original: a channel a level with embeddings of its own, rewards of ratings, exploration that fades, a
    replay memory, a discount that grows while it learns. Otherwise here: one block of attention, and no norms with
    gains; values begin at each item's mean reward, random questions are drawn by how often items were rated, and the
    next question is valued by an older copy of the network (double Q-learning), all because training is many times
    shorter; every question of an episode is learnt from at once; the discount ends at .5 and not at .8, with which
    values grew beyond what can be earned; the 2,000 most rated items are learnt of, others are worth their mean
    reward; scales of more than 5 levels are cut into 5.

    Raises:
        MissingExtra: If torch is not installed.
    References:
        Zou, Xia, Gu, Zhao, Liu, Huang, Yin, Neural interactive collaborative filtering, SIGIR 2020.
    """
    policy = candidates.population.once(("bandits", "nicf"), learn)
    scores = policy.score(candidates.given, candidates.columns)
    return np.array(np.broadcast_to(scores, (*belief.mean.shape[:-1], len(candidates))))


@dataclass(frozen=True, slots=True)
class Policy:
    """What training came to.

    Attributes:
        weights: Of the network.
        rows: Row of each item among the embeddings, from 1, (I,); 0 where it was not learnt of.
        alone: Mean reward of asking each item, (I,): what one that was not learnt of is worth.
        population: Whose scale the answers are on.
    """

    weights: dict[str, Array]
    rows: NDArray[np.int64]
    alone: Array
    population: Population

    def score(self, given: Given, columns: Positions) -> Array:
        """What each item is worth next to a user who was asked so much, (I,), or to n of them, (n, I)."""
        items, kinds = self._history(given)
        torch = q_network.import_torch()
        at_once = max(1, 2**20 // (items.shape[1] + 1) ** 2)
        tensors = {name: torch.from_numpy(array) for name, array in self.weights.items()}
        state = np.zeros((len(items), self.weights["state"].shape[1]))
        with torch.inference_mode():
            for first in range(0, len(items), at_once):
                part = slice(first, first + at_once)
                some = torch.from_numpy(items[part]), torch.from_numpy(kinds[part])
                state[part] = q_network.states(torch, tensors, *some)[:, -1].numpy()
        rows = self.rows[columns]
        learnt = rows > 0
        scores = np.tile(self.alone[columns], (len(items), 1))
        actions = rows[learnt] - 1
        scores[:, learnt] = state @ self.weights["actions"][actions].T + self.weights["actions.bias"][actions]
        return scores if given.columns.ndim == 2 else scores[0]

    def _history(self, given: Given) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and channels of the newest answers, those that were learnt of, padded in front, (n, T) each."""
        columns, values = np.atleast_2d(given.columns), np.atleast_2d(given.values)
        real = columns >= 0
        items = np.where(real, self.rows[np.where(real, columns, 0)], 0)
        kinds = np.where(items > 0, channels(values, self.population), -1)
        order = np.argsort(items > 0, axis=1, kind="stable")
        newest = order[:, -WINDOW:]
        return np.take_along_axis(items, newest, 1), np.take_along_axis(kinds, newest, 1)


def learn(population: Population, *, seed: int = _SEED, options: QLearningOptions | None = None) -> Policy:
    """A policy for these users; the same seed gives the same.

    Raises:
        MissingExtra: If torch is not installed.
    """
    learnt = np.sort(np.argsort(-population.counts, kind="stable")[:ITEMS])
    answers = population.answers[:, learnt]
    known = sparse.csr_matrix(
        (channels(answers.data, population), answers.indices, answers.indptr), shape=answers.shape
    )
    rewards = np.arange(_levels(population) + 1) / _levels(population)
    alone = _alone(population, rewards)
    weights = train(known, rewards, alone[learnt], np.random.default_rng(seed), options)
    rows = np.zeros(population.n_items, dtype=np.int64)
    rows[learnt] = np.arange(len(learnt)) + 1
    return Policy({name: array.astype(np.float64) for name, array in weights.items()}, rows, alone, population)


def channels(values: Array, population: Population) -> NDArray[np.int64]:
    """0 where there was no answer (NaN), from 1 the level of a rating; of any shape."""
    places = as_rewards(np.nan_to_num(values), population) * (_levels(population) - 1)
    return np.where(np.isnan(values), 0, 1 + np.rint(places).astype(np.int64))


def _levels(population: Population) -> int:
    return min(len(population.level_values), LEVELS)


def _alone(population: Population, rewards: Array) -> Array:
    of_answers = rewards[channels(population.answers.data, population)]
    totals = np.bincount(population.answers.indices, weights=of_answers, minlength=population.n_items)
    return np.asarray(totals / max(population.n_users, 1))
