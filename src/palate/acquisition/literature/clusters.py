"""Clusters of users, and the nearest users."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from scipy.special import xlogy

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import clusters, codes
from palate.acquisition.per_user import each_user
from palate.arrays import TINY, Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.population import Given, Population

CLUSTERS = 12
NEIGHBOURS = 100
PERSONAL = 5  # answers from which only the nearest users count
NOT_RATED = 0.5  # weight of "not rated" beside 1 of each level
_OF_PART = 5.0  # users at the common mean that every part holds in advance: a part of one says little
_IN_COMMON = 2.0  # ratings in common that an unknown difference counts for


@each_user
def igcn(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what tells most about the user's cluster (IGCN).

    The expected information of the answer about it, in nats, (I,) or (n, I): ``IG_i = H(C) - Σ_r p_ir H(C | i, r)``
    over the rating levels and r = "not rated", which counts half: ``p_ir = ω_r n_ir / Σ_s ω_s n_is`` of the users, H(C)
    under the same weights, so that nothing is below 0. Clusters are of the users' tastes (bisecting k-means). From five
    answers on only the nearest hundred users are counted. Cost per candidate O(R clusters) over the neighbours'
    ratings; an item that none of them rated has 0.

    References:
        Rashid, Karypis, Riedl, Learning preferences of new users in recommender systems: an information theoretic
        approach, SIGKDD Explorations 10(2), 2008.
    """
    population, given = candidates.population, candidates.given
    labels = population.once("igcn clusters", lambda crowd: clusters(crowd.tastes, CLUSTERS))
    if given.answered.sum() < PERSONAL:
        found = population.once("igcn", lambda crowd: gains(crowd, labels, np.arange(crowd.n_users)))
    else:
        found = gains(population, labels, nearest(population, given, NEIGHBOURS))
    return found[candidates.columns]


def gains(population: Population, labels: Positions, users: Positions) -> Array:
    """The information of each item about the cluster among some users, (I,)."""
    rated = population.answers[users]
    found = np.zeros(population.n_items)
    items, place = np.unique(rated.indices, return_inverse=True)
    n_levels, n_clusters = len(population.level_values), int(labels.max(initial=0)) + 1
    sizes = np.bincount(labels[users], minlength=n_clusters)
    cluster = np.repeat(labels[users], np.diff(rated.indptr))
    cells = (place * n_levels + codes(population.level_values, rated.data)) * n_clusters + cluster
    table = np.bincount(cells, minlength=len(items) * n_levels * n_clusters)
    table = table.reshape(len(items), n_levels, n_clusters).astype(np.float64)
    not_rated = NOT_RATED * (sizes - table.sum(1))
    found[items] = mutual_information(np.concatenate([not_rated[:, None], table], 1))
    return found


def mutual_information(weights: Array) -> Array:
    """Between the rows and the columns of joint weights (..., r, c), nats, (...); 0 where there is no weight."""
    total = np.maximum(weights.sum((-2, -1)), TINY)
    joint = weights / total[..., None, None]
    rows, columns = joint.sum(-1), joint.sum(-2)
    information = xlogy(joint, joint).sum((-2, -1)) - xlogy(rows, rows).sum(-1) - xlogy(columns, columns).sum(-1)
    return np.asarray(np.maximum(information, 0.0))


@each_user
def user_partitioning(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what best splits the users most like this one.

    In squared tastes, (I,) or (n, I): ``Σ_g n_g² ‖z̄_g - z̄‖² / (n_g + 5)``: the sum of squares between the parts into
    which an item's levels, and "not rated", divide the nearest hundred users (everybody before the first answer), z
    their tastes. It grows with the item's popularity and its controversy within the community, the two that the source
    multiplies. Cost O(R D) per candidate over the neighbours' ratings; an item that none of them rated has 0.

    References:
        Teixeira, de Carvalho, Ramalho, Corruble, ActiveCP: a method for speeding up user preferences acquisition in
        collaborative filtering systems, SBIA 2002.
    """
    population, given = candidates.population, candidates.given
    if given.answered.any():
        found = splits(population, nearest(population, given, NEIGHBOURS))
    else:
        found = population.once("user partitioning", lambda crowd: splits(crowd, np.arange(crowd.n_users)))
    return found[candidates.columns]


def splits(population: Population, users: Positions) -> Array:
    """The sum of squares between the parts of some users, by item, (I,)."""
    rated, found = population.answers[users], np.zeros(population.n_items)
    tastes = population.tastes[users]
    centred = tastes - tastes.mean(0) if len(users) else tastes
    items, place = np.unique(rated.indices, return_inverse=True)
    n_levels = len(population.level_values)
    rows = np.repeat(np.arange(len(users)), np.diff(rated.indptr))
    parts = place * n_levels + codes(population.level_values, rated.data)
    shape = (len(items) * n_levels, len(users))
    sums = sparse.csr_matrix((np.ones(len(parts)), (parts, rows)), shape=shape) @ centred
    counts = np.bincount(parts, minlength=shape[0])
    of_levels = ((sums**2).sum(1) / (counts + _OF_PART)).reshape(len(items), n_levels).sum(1)
    rest = sums.reshape(len(items), n_levels, tastes.shape[1]).sum(1)  # those who did not rate it sum to minus this
    others = len(users) - counts.reshape(len(items), n_levels).sum(1)
    found[items] = of_levels + (rest**2).sum(1) / (others + _OF_PART)
    return found


def nearest(population: Population, given: Given, count: int) -> Positions:
    """Rows of the ``count`` nearest users, nearest first; everybody, in order, where nothing was answered.

    The distance is the mean squared difference of the ratings in common. It is shrunk to that of two strangers, twice
    the variance of all ratings, since an agreement on one item may be chance; equal ones stay in the order of the rows.
    Cost O(ratings of the answered items).
    """
    columns, values = given.rated()
    if len(columns) == 0 or population.n_users <= count:
        return np.arange(population.n_users)
    rated = population.by_item[columns]
    differences = rated.data - np.repeat(values, np.diff(rated.indptr))
    shared = np.bincount(rated.indices, minlength=population.n_users)
    squares = np.bincount(rated.indices, differences**2, minlength=population.n_users)
    strangers = 2.0 * float(population.answers.data.var()) if population.answers.nnz else 0.0
    distance = (squares + _IN_COMMON * strangers) / (shared + _IN_COMMON)
    return np.argsort(distance, kind="stable")[:count]
