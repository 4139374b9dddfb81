"""Ask about what people rated together with much else."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import for_everybody, over_raters
from palate.acquisition.population import Population
from palate.posteriors.taste import Belief


def co_coverage(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Pairs of ratings by one user of which this item is one, (I,) or (n, I). O(1) after one pass over the ratings.

    .. math:: \sum_{j \ne i} n_{ij} = \sum_{u \text{ rated } i} (n_u - 1)

    n_ij users rated both, n_u is how many items a user rated. Called coverage in the paper.

    References:
        Golbandi, Koren, Lempel, On bootstrapping recommender systems, CIKM 2010.
    """
    of_items = candidates.population.once("co-coverage", co_ratings)
    return for_everybody(of_items[candidates.columns], belief)


def co_ratings(population: Population) -> Array:
    """Of each item, (I,): by the identity, so that the table of items by items is never made."""
    return over_raters(population, np.diff(population.answers.indptr) - 1.0)
