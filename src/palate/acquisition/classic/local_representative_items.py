"""Ask first about items that represent everybody's, then about those that represent what the user's like rate."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.maxvol import rectangular_maxvol
from palate.acquisition.classic.tables import in_order
from palate.acquisition.population import Population
from palate.posteriors.taste import Belief

GROUPS = 4
ROUNDS = 20  # of k-means


def local_representative_items(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Minus the place in the list of the group nearest to the user's expected taste, (I,) or (n, I).

    Every list begins with the same D representative items of all, whose answers tell the groups apart; then come the
    representative items of the group, by the factors ``Σ_{u in group} (r_ui − r̄_i) z_u`` of its own ratings, z a taste.
    Groups are k-means clusters of the fitted users' tastes, where the paper grows a decision tree jointly.

    Built once: O(D²) an item and group; then O(D) a group and O(1) an item.

    References:
        Shi, Zhao, Shen, Local representative-based matrix factorization for cold-start recommendation, ACM TOIS 36(2),
        2017.
    """
    centres, orders = candidates.population.once("local-representative-items", _build)
    lists = np.stack([in_order(order, candidates) for order in orders])
    return np.asarray(lists[cdist(np.atleast_2d(belief.mean), centres).argmin(1)].reshape(*belief.mean.shape[:-1], -1))


def _build(population: Population) -> tuple[Array, list[NDArray[np.intp]]]:
    """Centre of each group, (G, D), and its list of all items."""
    factors = population.taste.items.factors
    first = rectangular_maxvol(factors)[: factors.shape[1]]
    centres, groups = group_users(population.tastes)
    orders = []
    for group in range(len(centres)):
        own = rectangular_maxvol(_own_factors(population, groups == group))
        orders.append(np.concatenate([first, own[~np.isin(own, first)]]))
    return centres, orders


def _own_factors(population: Population, members: NDArray[np.bool_]) -> Array:
    """Factors of the items by the ratings of some users alone, (I, D); an item they did not rate has none.

    One step of subspace iteration from their tastes: the span of the leading right singular vectors of their ratings.
    """
    answers = population.answers[members]
    residuals = answers.data - population.means[answers.indices]
    centred = sparse.csr_matrix((residuals, answers.indices, answers.indptr), shape=answers.shape)
    return np.asarray(centred.T @ population.tastes[members])


def group_users(tastes: Array, n_groups: int = GROUPS) -> tuple[Array, NDArray[np.intp]]:
    """k-means without draws: centres (G, D) and the group of each user, (U,); G is 1 where nobody is known.

    The start is the mean, then each time the user farthest from all centres so far (Gonzalez, 1985).
    """
    centres = tastes.mean(0, keepdims=True) if len(tastes) else np.zeros((1, tastes.shape[1]))
    while len(centres) < n_groups and len(tastes):
        gaps = cdist(tastes, centres).min(1)
        if gaps.max() == 0:
            break
        centres = np.concatenate([centres, tastes[[gaps.argmax()]]])
    for _ in range(ROUNDS):
        groups = cdist(tastes, centres).argmin(1)
        for group in np.unique(groups):
            centres[group] = tastes[groups == group].mean(0)
    return centres, cdist(tastes, centres).argmin(1)
