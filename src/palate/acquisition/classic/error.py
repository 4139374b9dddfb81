"""Ask about what the model has wrong."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import for_everybody, squared_errors
from palate.posteriors.taste import Belief


def error(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Mean squared error of the fitted model on an item's ratings, in squared units of them, (I,) or (n, I).

    .. math:: \frac{1}{n_i} \sum_u (r_{ui} - \hat r_{ui})^2

    Over the users the model was fitted on, never over those who are asked; 0 for an item without ratings, of which no
    error is known. O(1) after one pass, O(D) a rating.

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    of_items = candidates.population.once("error", squared_errors)
    return for_everybody(of_items[candidates.columns], belief)
