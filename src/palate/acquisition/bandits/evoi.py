"""Ask what is expected to better the best item most."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from palate.acquisition.bandits.knowledge_gradient import expected_rise
from palate.acquisition.bandits.slate import contenders
from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.users import each_user
from palate.posteriors.likelihoods import assumed_density
from palate.posteriors.taste import Belief, Items


@each_user
def evoi(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Expected value of the information in an answer, in units of the answers, (I,) or (n, I). O(D J) for J = 100.

    .. math:: E_y\left[\max_j E[u_j \mid y]\right] - \max_j E[u_j], \qquad u_j = b_j + w_j^\top z

    over the 100 items that may come out best for the user. A rating moves every ``E[u_j]`` along a line in one normal
    variable, so its value is the knowledge gradient, exactly; a like has two answers.

    References:
        Boutilier, A POMDP formulation of preference elicitation problems, AAAI 2002; Guo, Sanner, Real-time
        multiattribute Bayesian preference elicitation with pairwise comparison queries, AISTATS 2010; Viappiani,
        Boutilier, Optimal Bayesian recommendation sets and myopically optimal choice query sets, NIPS 2010.
    """
    return value_of_answers(belief, candidates, candidates.shown.take(contenders(belief, candidates)))


def value_of_answers(belief: Belief, candidates: Candidates, shown: Items) -> Array:
    """The same over these items, for one user, (I,)."""
    items, noise = candidates.items, candidates.noise
    means = shown.level + belief.score(shown.factors)
    along = items.factors @ belief.covariance @ shown.factors.T  # (I, J)
    variance = np.maximum(belief.variance(items.factors), 0.0)
    if candidates.likelihood.kind != "probit":
        return expected_rise(means, along / np.sqrt(np.maximum(variance + noise, _TINY))[:, None])
    unit = np.sqrt(noise)
    mean = (items.level + belief.score(items.factors)) / unit
    yes = ndtr(mean / np.sqrt(1.0 + variance / noise))
    best = np.zeros(len(items))
    for liked, chance in ((1.0, yes), (0.0, 1.0 - yes)):
        step, _ = assumed_density(mean, variance / noise, np.full_like(mean, liked))
        best += chance * (means + along * (step / unit)[:, None]).max(1)
    return np.asarray(np.maximum(best - means.max(), 0.0))


_TINY = np.finfo(np.float64).tiny
