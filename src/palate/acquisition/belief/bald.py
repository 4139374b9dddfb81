"""Information about the taste (BALD)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def bald(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what tells most about the taste itself.

    .. math:: \tfrac12 \log(1 + w^\top S w / \sigma_i^2)

    for ratings, σ_i² the answer's variance given the taste; for likes ``H[E p] − E H[p]`` by Gauss-Hermite quadrature.
    The information between the answer and the taste, in nats, (I,) or (n, I); as a sum over a committee it is known as
    mean divergence.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("bald"))
        asks first: Simple Noodle Soup, Golden Swing
        5 questions: 18 seconds, 2.7 answers
        list: 0.52 before, 0.63 after, 0.57 after as many at random
        error: 1.06 before, 0.85 after, 0.96 after as many at random

    References:
        Houlsby et al., Bayesian active learning for classification and preference learning, 2011. arXiv:1112.5745;
        McCallum, Nigam, Employing EM and pool-based active learning for text classification, ICML 1998 (divergence).
    """
    items = candidates.items
    mean = items.level + belief.score(items.factors)
    return candidates.likelihood.information(mean, belief.variance(items.factors), candidates.noise)
