"""User partitioning."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population
from palate.acquisition.structured.crowd import Positions, codes
from palate.acquisition.structured.neighbours import nearest
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief

NEIGHBOURS = 100
_SHRINK = 5.0  # users at the common mean that every part holds in advance: a part of one says little


def user_partitioning(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """How well the answer splits the users most like this one, squared tastes.

    ``Σ_g n_g² ‖z̄_g - z̄‖² / (n_g + 5)``: the sum of squares between the parts into which an item's levels, and "not
    rated", divide the nearest hundred users (everybody before the first answer), z their tastes. It grows with the
    item's popularity and its controversy within the community, the two that the source multiplies. Cost O(R D) per
    candidate over the neighbours' ratings; an item that none of them rated has 0.

    Teixeira, de Carvalho, Ramalho, Corruble, *ActiveCP: a method for speeding up user preferences acquisition in
    collaborative filtering systems*, SBIA 2002.
    """
    population = candidates.population
    everybody = population.once("user partitioning", lambda crowd: splits(crowd, np.arange(crowd.n_users)))

    def score(one: Candidates) -> Array:
        if not one.given.answered.any():
            return everybody[one.columns]
        return splits(population, nearest(population, one.given, NEIGHBOURS))[one.columns]

    return for_each(belief, candidates, lambda _, one: score(one))


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
    of_levels = ((sums**2).sum(1) / (counts + _SHRINK)).reshape(len(items), n_levels).sum(1)
    rest = sums.reshape(len(items), n_levels, tastes.shape[1]).sum(1)  # those who did not rate it sum to minus this
    others = len(users) - counts.reshape(len(items), n_levels).sum(1)
    found[items] = of_levels + (rest**2).sum(1) / (others + _SHRINK)
    return found
