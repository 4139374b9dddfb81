"""Information gain through clustered neighbours."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population
from palate.acquisition.structured.crowd import Positions, clusters, codes
from palate.acquisition.structured.neighbours import nearest
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief

CLUSTERS = 12
NEIGHBOURS = 100
PERSONAL = 5  # answers from which only the nearest users count
NOT_RATED = 0.5  # weight of "not rated" beside 1 of each level


def igcn(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Expected information of the answer about the user's cluster, nats.

    ``IG_i = H(C) - Σ_r p_ir H(C | i, r)`` over the rating levels and r = "not rated", which counts half:
    ``p_ir = ω_r n_ir / Σ_s ω_s n_is`` of the users, H(C) under the same weights, so that nothing is below 0. Clusters
    are of the users' tastes (bisecting k-means). From five answers on only the nearest hundred users are counted.
    Cost per candidate O(R clusters) over the neighbours' ratings; an item that none of them rated has 0.

    Rashid, Karypis, Riedl, *Learning preferences of new users in recommender systems: an information theoretic
    approach*, SIGKDD Explorations 10(2), 2008.
    """
    population = candidates.population
    labels = population.once("igcn clusters", lambda crowd: clusters(crowd.tastes, CLUSTERS))
    everybody = population.once("igcn", lambda crowd: gains(crowd, labels, np.arange(crowd.n_users)))

    def score(one: Candidates) -> Array:
        answered = int(one.given.answered.sum())
        if answered < PERSONAL:
            return everybody[one.columns]
        return gains(population, labels, nearest(population, one.given, NEIGHBOURS))[one.columns]

    return for_each(belief, candidates, lambda _, one: score(one))


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
    total = np.maximum(weights.sum((-2, -1)), np.finfo(np.float64).tiny)
    joint = weights / total[..., None, None]
    rows, columns = joint.sum(-1), joint.sum(-2)
    information = xlogy(joint, joint).sum((-2, -1)) - xlogy(rows, rows).sum(-1) - xlogy(columns, columns).sum(-1)
    return np.asarray(np.maximum(information, 0.0))
