"""Ask what leaves the smallest expected error over the whole catalogue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.acquisition.a_optimal import a_optimal
from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief


def mf_optimal(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Minus the mean squared error expected once the answer is in, in squared units of the answers, (I,) or (n, I).

    .. math:: -\frac{1}{J} \sum_j \left(w_j^\top S_i w_j + \sigma_j^2\right), \qquad
        S_i = S - \frac{S w_i w_i^\top S}{w_i^\top S w_i + \sigma_i^2}

    The paper approximates the error after an update by the predicted rating; of a Gaussian belief it is known exactly
    and does not depend on the answer (for likes, whose units are those of the latent value, its expectation is). It is
    ``a-optimal`` for items shown with equal chance, whether or not the user can answer.

    With the sides exchanged, candidates being users and the belief being about a new item, it is the choice of Anava et
    al., ``min tr((Σ_S u uᵀ + λI)⁻¹ W)``, one user at a time, λ being the noise over the prior's variance.

    O(D²) a candidate.

    References:
        Karimi, Freudenthaler, Nanopoulos, Schmidt-Thieme, Towards optimal active learning for matrix factorization in
        recommender systems, ICTAI 2011; Anava et al., Budget-constrained item cold-start handling in collaborative
        filtering recommenders via optimal design, WWW 2015. arXiv:1406.2431
    """
    shown = candidates.shown
    uniform = np.full(len(shown), 1.0 / len(shown))
    moment = shown.factors.T @ shown.factors / len(shown)
    noise = float(candidates.likelihood.answer_noise(shown.answer_noise).mean())
    before = np.einsum("...de,ed->...", belief.covariance, moment) + noise
    return np.asarray(a_optimal(belief, replace(candidates, targets=uniform), rng=rng) - before[..., None])
