"""Ask about what moves predictions least."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.posteriors.taste import Belief


def min_norm(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``−‖w_i‖``, (I,) or (n, I). O(D).

    An item with small factors leaves the taste nearly as it was, for the sake of later questions. Where factors of
    rarely rated items are shrunk, as here, it asks about those first.

    References:
        Karimi, Freudenthaler, Nanopoulos, Schmidt-Thieme, Non-myopic active learning for recommender systems based on
        matrix factorization, IRI 2011 (MinNorm).
    """
    norms = np.linalg.norm(candidates.items.factors, axis=1)
    return np.broadcast_to(-norms, (*belief.mean.shape[:-1], len(candidates)))
