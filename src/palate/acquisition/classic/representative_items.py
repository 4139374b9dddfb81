"""Ask about a few items by which all others are expressed best."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.maxvol import rectangular_maxvol
from palate.acquisition.classic.tables import for_everybody, in_order
from palate.posteriors.taste import Belief


def representative_items(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Minus the place in a list of all items whose every beginning S has nearly the largest volume, (I,) or (n, I).

    .. math:: \max_S \det(W_S^\top W_S)

    W has the items' factors. A user is a least-squares fit to the answers about S, and the error of that fit for the
    other items falls with the volume. One list for everybody, built once: O(D²) an item to start and O(D) a place.

    References:
        Liu, Meng, Liu, Yang, Wisdom of the better few: cold start recommendation via representative based rating
        elicitation, RecSys 2011 (RBMF); Fonarev et al., Efficient rectangular maximal-volume algorithm for rating
        elicitation in collaborative filtering, ICDM 2016.
    """
    order = candidates.population.once("representative-items", lambda own: rectangular_maxvol(own.taste.items.factors))
    return for_everybody(in_order(order, candidates), belief)
