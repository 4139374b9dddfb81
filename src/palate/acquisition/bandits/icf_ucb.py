"""Interactive collaborative filtering by upper confidence bound: user and item are both uncertain."""

from __future__ import annotations

import numpy as np

from palate.acquisition.bandits.lin_ucb import ALPHA
from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.statistics import augmented_moments
from palate.posteriors.taste import Belief


def icf_ucb(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Upper confidence bound of the answer without its noise, in units of the answers, (I,) or (n, I). O(D²).

    .. math:: b_i + m^\top w_i + \alpha \sqrt{w_i^\top S w_i + \mathrm{tr}(C_i \, E[t t^\top])}, \qquad t = (1, z)

    The original's probabilistic matrix factorisation takes item factors as known when it bounds a user's rating and
    draws them only for Thompson sampling. Here the covariance C_i of the item counts in both, and both covariances are
    full where the memory budget keeps them so (:class:`palate.posteriors.taste.Spread`).

    References:
        Zhao, Zhang, Wang, Interactive collaborative filtering, CIKM 2013.
    """
    items = candidates.items
    of_item = items.spread.expected(augmented_moments(belief.mean, belief.covariance))
    spread = np.sqrt(np.maximum(belief.variance(items.factors) + of_item, 0.0))
    return items.level + belief.score(items.factors) + ALPHA * spread
