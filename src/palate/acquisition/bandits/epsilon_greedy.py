"""Ask what is rated best, and now and then anything."""

from __future__ import annotations

import numpy as np

from palate.acquisition.bandits.rewards import mean_rewards
from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief

EPSILON = 0.1


@each_user
def epsilon_greedy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Mean reward of the item, in [0, 1]; with a chance of ε = 0.1 a uniform draw instead, (I,) or (n, I). O(1).

    The reward of a rating is its place on the scale, 0 the lowest and 1 the highest.

    References:
        Sutton, Barto, Reinforcement Learning, 1998, section 2.2; Auer, Cesa-Bianchi, Fischer, Finite-time analysis of
        the multiarmed bandit problem, Machine Learning 47, 2002.
    """
    return rng.random(len(candidates)) if rng.random() < EPSILON else mean_rewards(candidates)
