"""Ask about what people disagree on, where not having rated counts as an opinion."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import for_everybody
from palate.posteriors.taste import Belief

UNRATED = 0.5  # weight of "not rated" against 1 of a rating level, as in the paper


def entropy0(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Weighted entropy over the rating levels and "not rated", in nats, (I,) or (n, I). O(R).

    .. math:: -\frac{1}{\sum_r w_r} \sum_{r=0}^{R} w_r \, p_{ir} \log p_{ir}, \qquad w_0 = \tfrac12, \; w_{r>0} = 1

    p is a share of all users, level 0 those who did not rate the item, and 0 log 0 = 0: an item that lacks a level has
    a finite score, and one that nobody rated has 0, the lowest.

    References:
        Rashid, Karypis, Riedl, Learning preferences of new users in recommender systems: an information theoretic
        approach, SIGKDD Explorations 10(2), 2008.
    """
    share = candidates.counts / np.maximum(candidates.counts, max(candidates.population.n_users, 1))
    of_levels = entr(candidates.levels * share[:, None]).sum(1)
    weights = UNRATED + candidates.levels.shape[1]
    return for_everybody((UNRATED * entr(1.0 - share) + of_levels) / weights, belief)
