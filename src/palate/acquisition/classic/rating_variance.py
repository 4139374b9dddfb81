"""Ask about what ratings differ on."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import for_everybody, rating_variances
from palate.posteriors.taste import Belief


def rating_variance(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Variance of an item's ratings, in squared units of the ratings, (I,) or (n, I). O(1) after one pass.

    .. math:: s_i^2 = \frac{1}{n_i} \sum_u (r_{ui} - \bar r_i)^2

    0 for an item with one rating or none. Not the predictive variance of :mod:`palate.acquisition.variance`.

    References:
        Kohrs, Merialdo, Improving collaborative filtering for new users by smart object selection, ICMF 2001.
    """
    of_items = candidates.population.once("rating-variance", rating_variances)
    return for_everybody(of_items[candidates.columns], belief)
