"""Preference elicitation over item descriptions (PEBOL): beliefs about items, moved by what is like them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.bandit_indices import as_rewards
from palate.acquisition.per_user import each_user
from palate.arrays import Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.population import Population

QUANTILE = 0.9


def item_beliefs(candidates: Candidates) -> tuple[Array, Array]:
    r"""Parameters of a Beta belief about each item's chance of being liked, by one user's answers, each (I,).

    .. math:: \alpha_i = 1 + \sum_t s_{i t} r_t, \qquad \beta_i = 1 + \sum_t s_{i t} (1 - r_t)

    r_t in [0, 1] is the rating as a reward and s the cosine of two items' content, at least 0. In the original a
    language model asks about an aspect of the item, and an entailment model says how far the answer applies to every
    other; the cosine stands in for it, and where the original counts what does not apply as a dislike, here it counts
    as nothing. Items without content are like nothing but themselves, so an answer says nothing of others.
    """
    columns, ratings = candidates.given.rated()
    rewards = as_rewards(ratings, candidates.population)
    alike = _likeness(candidates, columns)
    return 1.0 + alike @ rewards, 1.0 + alike @ (1.0 - rewards)


def _likeness(candidates: Candidates, columns: Positions) -> Array:
    """Of each candidate to each column, (I, T)."""
    same = (candidates.columns[:, None] == columns).astype(np.float64)
    unit = candidates.population.once(("bandits", "unit-content"), _unit)
    return np.asarray(same if unit is None else np.maximum(same, unit[candidates.columns] @ unit[columns].T))


def _unit(population: Population) -> NDArray[np.float32] | None:
    if population.content is None:
        return None
    length = np.linalg.norm(population.content, axis=1, keepdims=True)
    return np.asarray(population.content / np.where(length > 0, length, 1.0), dtype=np.float32)


@each_user
def pebol_thompson(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what may be liked by its description, in a draw (PEBOL).

    A draw of the item's chance of being liked, ``Beta(α_i, β_i)``, (I,) or (n, I). O(T E), T answers. The beliefs and
    how they differ from the source: :func:`item_beliefs`.

    References:
        Austin, Korikov, Toroghi, Sanner, Bayesian optimization with LLM-based acquisition functions for natural
        language preference elicitation, RecSys 2024. arXiv:2405.00981
    """
    return rng.beta(*item_beliefs(candidates))


@each_user
def pebol_ucb(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what may be liked by its description, at best (PEBOL).

    The 0.9 quantile of the item's chance of being liked, ``Beta(α_i, β_i)``, (I,) or (n, I). O(T E), T answers. The
    beliefs and how they differ from the source: :func:`item_beliefs`.

    References:
        Austin, Korikov, Toroghi, Sanner, Bayesian optimization with LLM-based acquisition functions for natural
        language preference elicitation, RecSys 2024. arXiv:2405.00981
    """
    return np.asarray(betaincinv(*item_beliefs(candidates), QUANTILE))
