"""Ask what makes most predictions possible for a recommender that goes from user to item to user to item."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import over_raters
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief


def impact_analysis(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""New paths user – item – another user – unrated item in the graph of ratings, (I,) or (n, I).

    .. math:: \sum_{v \text{ rated } i} \left(n_v - 1 - |\{j \ne i \text{ rated by both}\}|\right)

    Neighbourhood methods need such a path to predict the item at its end. 0 for an item that the user has rated. The
    identity counts paths without walking them, so the whole catalogue is scored: O(n_i), in one pass over the ratings.

    References:
        Mello, Aufaure, Zimbrão, Active learning driven by rating impact analysis, RecSys 2010.
    """
    return for_each(belief, candidates, _of_one)


def _of_one(belief: Belief, candidates: Candidates) -> Array:
    population, columns = candidates.population, candidates.columns
    rated, _ = candidates.given.rated()
    shared = np.bincount(population.by_item[rated].indices, minlength=population.n_users)
    ends = np.diff(population.answers.indptr) - 1.0 - shared
    return np.where(np.isin(columns, rated), 0.0, over_raters(population, ends)[columns])
