"""A uniform draw."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def random(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask anything: what every strategy is measured against.

    A uniform draw, (I,) or (n, I).
    """
    return rng.random((*belief.mean.shape[:-1], len(candidates)))
