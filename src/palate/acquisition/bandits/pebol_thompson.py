"""Preference elicitation over item descriptions, the item by Thompson sampling."""

from __future__ import annotations

import numpy as np

from palate.acquisition.bandits.pebol import item_beliefs
from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief


@each_user
def pebol_thompson(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """A draw of the item's chance of being liked, ``Beta(α_i, β_i)``, (I,) or (n, I). O(T E), T answers.

    The beliefs and how they differ from the source: :func:`palate.acquisition.bandits.pebol.item_beliefs`.

    References:
        Austin, Korikov, Toroghi, Sanner, Bayesian optimization with LLM-based acquisition functions for natural
        language preference elicitation, RecSys 2024. arXiv:2405.00981
    """
    return rng.beta(*item_beliefs(candidates))
