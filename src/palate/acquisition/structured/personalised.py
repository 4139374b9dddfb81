"""Personalised active learning: what an answer tells, if there is one."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.structured.bayesian_aspect import bayesian_aspect
from palate.posteriors.taste import Belief


def personalised(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """P(the user can rate the item) times :func:`bayesian_aspect`, nats.

    Cost O(R K) per candidate.

    Harpale, Yang, *Personalized active learning for collaborative filtering*, SIGIR 2008.
    """
    return candidates.known * bayesian_aspect(belief, candidates, rng=rng)
