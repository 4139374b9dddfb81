"""Ask about what was rated by those who rated what this user rated."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import over_raters
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief


def item_item(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Similarity to the items the user has rated, summed over them, (I,) or (n, I).

    .. math:: \sum_{j \text{ rated}} \frac{n_{ij}}{\sqrt{n_i n_j}}

    n_ij users rated both, whatever their ratings: the aim is an item the user knows. Before the first rating, the share
    of users who rated the item; 0 for an item that nobody rated. O(n_i), in one pass over the ratings.

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return for_each(belief, candidates, _of_one)


def _of_one(belief: Belief, candidates: Candidates) -> Array:
    population, columns = candidates.population, candidates.columns
    counts = np.maximum(population.counts, 1.0)
    rated, _ = candidates.given.rated()
    if not len(rated):
        return population.counts[columns] / max(population.n_users, 1)
    theirs = population.by_item[rated]
    weights = np.repeat(1.0 / np.sqrt(counts[rated]), np.diff(theirs.indptr))
    likeness = np.bincount(theirs.indices, weights=weights, minlength=population.n_users)
    return (over_raters(population, likeness) / np.sqrt(counts))[columns]
