"""What a comparison of two items is worth: functions over pairs, for questions of the form "A or B"."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from palate.acquisition.candidates import Candidates
from palate.arrays import Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.probit import information


def eubo_pairs(belief: Belief, candidates: Candidates, pairs: Positions) -> Array:
    r"""Expected utility of the better of two, in units of the answers, (P,) or (n, P). O(D²) a pair.

    .. math:: E \max(u_a, u_b) = \mu_a \Phi(\delta) + \mu_b \Phi(-\delta) + \theta \varphi(\delta), \qquad
        \delta = (\mu_a - \mu_b) / \theta, \; \theta^2 = (w_a - w_b)^\top S (w_a - w_b)

    Args:
        pairs: Positions among the candidates, (P, 2).
    References:
        Lin, Astudillo, Frazier, Bakshy, Preference exploration for efficient Bayesian optimization with multiple
        outcomes, AISTATS 2022; the expectation: Clark, The greatest of a finite set of random variables, Operations
        Research 9(2), 1961.
    """
    second = candidates.items.take(pairs[:, 1])
    gap, variance = _difference(belief, candidates, pairs)
    theta = np.sqrt(np.maximum(variance, _TINY))
    delta = gap / theta
    hinge = gap * ndtr(delta) + theta * np.exp(-0.5 * delta**2) / np.sqrt(2.0 * np.pi)  # E max(u_a − u_b, 0)
    return np.asarray(second.level + belief.score(second.factors) + hinge)


def pairwise_bald(belief: Belief, candidates: Candidates, pairs: Positions) -> Array:
    r"""Information between the answer to "A or B" and the taste, in nats, (P,) or (n, P). O(D²) a pair.

    .. math:: H\left[E\,\Phi\right] - E\,H\left[\Phi\right], \qquad
        \Phi = \Phi\left((b_a - b_b + (w_a - w_b)^\top z) / \sigma\right), \; \sigma^2 = \sigma_a^2 + \sigma_b^2

    where σ_i² is the variance of an answer about the item given the taste: who says A would have rated it higher.

    Args:
        pairs: Positions among the candidates, (P, 2).
    References:
        Houlsby et al., Bayesian active learning for classification and preference learning, 2011. arXiv:1112.5745
    """
    gap, variance = _difference(belief, candidates, pairs)
    return information(gap, variance, np.maximum(candidates.noise[pairs].sum(1), _TINY))


def _difference(belief: Belief, candidates: Candidates, pairs: Positions) -> tuple[Array, Array]:
    """Mean and variance of the first's expected answer less the second's, (P,) or (n, P)."""
    level, factors = candidates.items.level[pairs], candidates.items.factors[pairs]
    apart = factors[:, 0] - factors[:, 1]
    return level[:, 0] - level[:, 1] + belief.score(apart), belief.variance(apart)


_TINY = 1e-300
