"""Ask what tells most about the taste itself."""

from __future__ import annotations

import numpy as np
from scipy.special import entr, ndtr

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def bald(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Information between the answer and the taste, in nats, (I,) or (n, I).

    .. math:: \tfrac12 \log(1 + w^\top S w / \sigma_i^2)

    for ratings, σ_i² the answer's variance given the taste; for likes ``H[E p] − E H[p]`` by Gauss-Hermite quadrature.

    References:
        Houlsby et al., Bayesian active learning for classification and preference learning, 2011. arXiv:1112.5745
    """
    items = candidates.items
    of_taste = belief.variance(items.factors)
    if candidates.likelihood.kind != "probit":
        return 0.5 * np.log1p(of_taste / candidates.noise)
    unit = np.sqrt(candidates.noise)
    mean, deviation = (items.level + belief.score(items.factors)) / unit, np.sqrt(of_taste) / unit
    given = sum(
        weight * _binary_entropy(ndtr(mean + node * deviation)) for node, weight in zip(_NODES, _WEIGHTS, strict=True)
    )
    return _binary_entropy(ndtr(mean / np.sqrt(1.0 + deviation**2))) - given


def _binary_entropy(yes: Array) -> Array:
    return np.asarray(entr(yes) + entr(1.0 - yes))
