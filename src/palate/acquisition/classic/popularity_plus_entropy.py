"""Ask about what many know or people disagree on."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.entropy import entropy
from palate.posteriors.taste import Belief


def popularity_plus_entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Sum of popularity and entropy, each as a share of the most there can be, in [0, 2], (I,) or (n, I). O(R).

    .. math:: n_i / \max_j n_j + H(i) / \log R

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    most = max(float(candidates.population.counts.max()), 1.0)
    levels = max(candidates.levels.shape[1], 2)
    return np.asarray(candidates.counts / most + entropy(belief, candidates, rng=rng) / np.log(levels))
