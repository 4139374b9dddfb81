"""A bandit of nearest neighbours."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.bandit_indices import liked
from palate.acquisition.per_user import each_user
from palate.arrays import Array
from palate.posteriors.belief import Belief

NEIGHBOURS = 50


@each_user
def knn_bandit(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what the neighbours liked, whose nearness is drawn from what is known of it.

    .. math:: \sum_{v \in N} \theta_v \, 1[v \text{ liked } i], \qquad
        \theta_v \sim \mathrm{Beta}(1 + \text{hits}_v, \, 1 + \text{misses}_v)

    The drawn nearness of the nearest users who liked the item, summed, (I,) or (n, I). O(U) a user, O(1) an item. Of
    what v liked and the user has rated, hits the user liked and misses not; N are the 50 users of the largest draws.
    Liked is a rating at or above the mean of all. The original also learns from users it meets on the way; here the
    fitted users stand still, and only the user's own answers move the draws.

    References:
        Sanz-Cruzado, Castells, López, A simple multi-armed nearest-neighbor bandit for interactive recommendation,
        RecSys 2019.
    """
    population = candidates.population
    likes = liked(population)
    columns, ratings = candidates.given.rated()
    yes = (ratings >= population.mean).astype(np.float64)
    asked = population.once(("bandits", "liked by"), lambda own: liked(own).T.tocsr())[columns]  # (T, U)
    theta = rng.beta(1.0 + yes @ asked, 1.0 + (1.0 - yes) @ asked)
    nearest = np.argsort(-theta, kind="stable")[:NEIGHBOURS]
    return np.asarray(theta[nearest] @ likes[nearest])[candidates.columns]
