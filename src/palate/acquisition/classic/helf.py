"""Ask about what is both well known and disagreed on, neither making up for the other."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.entropy import entropy
from palate.posteriors.taste import Belief


def helf(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Harmonic mean of entropy and logarithm of frequency, both as shares, in [0, 1], (I,) or (n, I). O(R).

    .. math:: \frac{2 L_i H'_i}{L_i + H'_i}, \qquad L_i = \frac{\log n_i}{\log U}, \quad H'_i = \frac{H(i)}{\log R}

    0 where either is 0, so for an item with one rating or none.

    References:
        Rashid, Karypis, Riedl, Learning preferences of new users in recommender systems: an information theoretic
        approach, SIGKDD Explorations 10(2), 2008.
    """
    users, levels = max(candidates.population.n_users, 2), max(candidates.levels.shape[1], 2)
    known = np.log(np.maximum(candidates.counts, 1.0)) / np.log(users)
    disagreed = entropy(belief, candidates, rng=rng) / np.log(levels)
    both = known + disagreed
    return np.asarray(2.0 * known * disagreed / np.where(both > 0, both, 1.0))
