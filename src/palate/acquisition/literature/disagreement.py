"""By how much users disagree about an item."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import rating_variances, squared_errors
from palate.acquisition.per_user import for_everybody
from palate.arrays import Array
from palate.posteriors.belief import Belief


def rating_variance(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what ratings differ on.

    .. math:: s_i^2 = \frac{1}{n_i} \sum_u (r_{ui} - \bar r_i)^2

    The variance of an item's ratings, in squared units of them, (I,) or (n, I); 0 for an item with one rating or none.
    Not the predictive variance of :mod:`palate.acquisition.belief.variance`. O(1) after one pass.

    References:
        Kohrs, Merialdo, Improving collaborative filtering for new users by smart object selection, ICMF 2001.
    """
    of_items = candidates.population.once("rating-variance", rating_variances)
    return for_everybody(of_items[candidates.columns], belief)


def gini(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what two people would rate differently.

    .. math:: 1 - \sum_r p_{ir}^2

    The chance that two of an item's ratings are of different levels, (I,) or (n, I). 0 for an item without ratings:
    nobody disagrees. O(R).

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    rated = candidates.levels.sum(1) > 0
    return for_everybody(np.where(rated, 1.0 - (candidates.levels**2).sum(1), 0.0), belief)


def error(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what the model has wrong.

    .. math:: \frac{1}{n_i} \sum_u (r_{ui} - \hat r_{ui})^2

    The mean squared error of the fitted model on an item's ratings, in squared units of them, (I,) or (n, I), over the
    users the model was fitted on, never over those who are asked; 0 for an item without ratings, of which no error is
    known. O(1) after one pass, O(D) a rating.

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    of_items = candidates.population.once("error", squared_errors)
    return for_everybody(of_items[candidates.columns], belief)
