"""Ask what may be rated best, for all that its ratings say."""

from __future__ import annotations

import numpy as np

from palate.acquisition.bandits.rewards import mean_rewards
from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief

_UNRATED = 0.25  # ratings an item without any counts for: its bonus then exceeds that of one rating by more than 1


def ucb1(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Optimism about the mean reward, the same for every user, (I,) or (n, I). O(1).

    .. math:: \bar r_i + \sqrt{2 \ln t / n_i}

    :math:`\bar r_i` in [0, 1] is the item's mean reward, n_i its ratings and t all ratings (at least 2). Items without
    a rating come first, as in the original, which plays every arm once.

    References:
        Auer, Cesa-Bianchi, Fischer, Finite-time analysis of the multiarmed bandit problem, Machine Learning 47, 2002.
    """
    total = max(candidates.population.counts.sum(), 2.0)
    bonus = np.sqrt(2.0 * np.log(total) / np.maximum(candidates.counts, _UNRATED))
    return np.broadcast_to(mean_rewards(candidates) + bonus, (*belief.mean.shape[:-1], len(candidates)))
