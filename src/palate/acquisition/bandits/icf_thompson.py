"""Interactive collaborative filtering by Thompson sampling: user and item are both drawn."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.targets import draw_tastes
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief


@each_user
def icf_thompson(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Answer without noise for one drawn taste and drawn items, in units of the answers, (I,) or (n, I). O(D²).

    .. math:: \tilde t^\top \tilde w_i, \qquad \tilde t = (1, \tilde z), \; \tilde z \sim N(m, S), \;
        \tilde w_i \sim N((b_i, w_i), C_i)

    Given the taste the score of an item is Gaussian, so it is drawn in place of the item. As in the original, with
    full covariances on both sides in place of the item's own of a Gibbs sampler.

    References:
        Zhao, Zhang, Wang, Interactive collaborative filtering, CIKM 2013.
    """
    items = candidates.items
    taste = draw_tastes(belief, 1, rng=rng)[0]
    drawn = np.append(1.0, taste)
    spread = np.sqrt(np.maximum(items.spread.expected(np.outer(drawn, drawn)), 0.0))
    return np.asarray(items.level + items.factors @ taste + spread * rng.standard_normal(len(items)))
