"""Ask what a user of a taste drawn from the belief would like best."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.targets import draw_tastes
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief


@each_user
def thompson(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Expected answer for one drawn taste, in units of the answers, (I,) or (n, I). O(D).

    .. math:: b_i + \tilde z^\top w_i, \qquad \tilde z \sim N(m, S)

    References:
        Thompson, Biometrika 25, 1933; Chapelle, Li, An empirical evaluation of Thompson sampling, NIPS 2011. The
        particles of Kawale et al. (NIPS 2015) are not needed: this belief can be drawn from exactly.
    """
    return np.asarray(candidates.items.level + candidates.items.factors @ draw_tastes(belief, 1, rng=rng)[0])
