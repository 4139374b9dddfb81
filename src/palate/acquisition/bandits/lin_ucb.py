"""Ask what this user may like best, for all that is believed of the taste."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief

ALPHA = 1.0  # standard deviations of optimism


def lin_ucb(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Upper confidence bound of the expected answer, in units of the answers, (I,) or (n, I). O(D²).

    .. math:: b_i + m^\top w_i + \alpha \sqrt{w_i^\top S w_i}, \qquad \alpha = 1

    References:
        Li, Chu, Langford, Schapire, A contextual-bandit approach to personalized news article recommendation, WWW 2010.
    """
    items = candidates.items
    spread = np.sqrt(np.maximum(belief.variance(items.factors), 0.0))
    return items.level + belief.score(items.factors) + ALPHA * spread
