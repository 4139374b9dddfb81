"""Ask what would move the predictions of everything else most."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief

SHORTLIST = 200
_BLOCK = 2**22  # predictions at once


def influence(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""By how much predictions move, summed over the items that may be shown, in units of the answers, (I,) or (n, I).

    .. math:: \sqrt{v_i} \sum_j \left|\hat r_j(r_i = \hat r_i \pm 1) - \hat r_j\right|
        = \sum_j \frac{|w_j^\top S w_i|}{\sqrt{v_i}}, \qquad v_i = w_i^\top S w_i + \sigma_i^2

    The change from an answer one unit off, times the uncertainty of the answer: together the standard deviation of the
    prediction's move. For likes likewise, of the latent value. O(J D) a candidate, so of a shortlist.

    References:
        Rubens, Sugiyama, Influence-based collaborative active learning, RecSys 2007.
    """
    return for_each(belief, candidates, _of_one)


def _of_one(belief: Belief, candidates: Candidates) -> Array:
    moves = (candidates.items.factors @ belief.covariance) * np.sqrt(candidates.gain(belief))[:, None]
    shown = candidates.shown.factors
    rows = max(1, _BLOCK // max(len(shown), 1))
    blocks = [np.abs(moves[start : start + rows] @ shown.T).sum(1) for start in range(0, len(moves), rows)]
    return np.concatenate(blocks)
