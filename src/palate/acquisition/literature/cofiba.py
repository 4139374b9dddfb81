"""Collaborative filtering bandits (COFIBA)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.bandit_indices import ALPHA
from palate.acquisition.literature.crowd import k_means
from palate.acquisition.per_user import each_user
from palate.arrays import Array, Positions
from palate.posteriors.belief import Belief, quadratic
from palate.posteriors.population import Population
from palate.posteriors.statistics import pack, unpack

CLUSTERS = 16
_ROUNDS = 10
_TINY = 1e-9


@dataclass(frozen=True)
class _Groups:
    """Clusters of items and what the fitted users bring to a pool.

    Attributes:
        of_item: Cluster of each item, (I,).
        centres: Mean factors, (G, D).
        scores, bounds: Mean and standard deviation of ``z · centre`` of each user, (U, G).
        precisions, pulls: What each user's answers add to the precision, packed, (U, P), and to precision times mean,
            (U, D).
    """

    of_item: Positions
    centres: Array
    scores: Array
    bounds: Array
    precisions: Array
    pulls: Array


@each_user
def cofiba(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask by the pooled belief of the users who agree with this one about the item's kind.

    .. math:: b_i + \bar m_g^\top w_i + \alpha \sqrt{w_i^\top \bar S_g w_i}, \qquad
        \bar S_g^{-1} = S^{-1} + \sum_{v \in N_g} (S_v^{-1} - S_0^{-1})

    The upper confidence bound under the pooled belief of the like-minded, in units of the answers, (I,) or (n, I). g is
    the item's cluster of 16, by k-means on the factors (seeded by the farthest points, so without a draw), and N_g
    the fitted users whose score of its centre lies within both confidence bounds of this user's. O(U D²) a user, O(D²)
    an item; the fitted users' precisions are kept, U D² / 2 numbers. The original grows both clusterings while it plays
    many users, from a graph it cuts; here the fitted users are known at the start, the items' clusters are fixed, and
    the users' clusters are cut anew for every user and question.

    References:
        Li, Karatzoglou, Gentile, Collaborative filtering bandits, SIGIR 2016.
    """
    groups = candidates.population.once(("bandits", "cofiba"), _group)
    score, bound = groups.centres @ belief.mean, np.sqrt(np.maximum(belief.variance(groups.centres), 0.0))
    agree = (np.abs(groups.scores - score) <= ALPHA * (groups.bounds + bound)).astype(np.float64)  # (U, G)
    own = np.linalg.inv(belief.covariance + _TINY * np.eye(belief.dim))  # a taste that is known has none
    covariance = np.linalg.inv(own + unpack(agree.T @ groups.precisions))
    mean = (covariance @ (own @ belief.mean + agree.T @ groups.pulls)[..., None])[..., 0]
    kind = groups.of_item[candidates.columns]
    factors = candidates.items.factors
    spread = np.zeros(len(factors))
    for group in np.unique(kind):  # a covariance an item would be the size of the catalogue times D²
        spread[kind == group] = quadratic(factors[kind == group], covariance[group])
    return np.asarray(candidates.items.level + (factors * mean[kind]).sum(1) + ALPHA * np.sqrt(np.maximum(spread, 0.0)))


def _group(population: Population) -> _Groups:
    factors = population.taste.items.factors
    middle = int(((factors - factors.mean(0)) ** 2).sum(1).argmin())
    centres, of_item = k_means(factors, factors[middle], CLUSTERS, rounds=_ROUNDS)
    users = population.taste.believe(population.answers)
    start = np.linalg.inv(population.taste.start.covariance)
    precisions = np.linalg.inv(users.covariance)
    pulls = np.einsum("ude,ue->ud", precisions, users.mean) - start @ population.taste.start.mean
    bounds = np.sqrt(np.maximum(users.variance(centres), 0.0))
    return _Groups(of_item, centres, users.score(centres), bounds, pack(precisions - start), pulls)
