"""A uniform draw."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def random(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask anything: what every strategy is measured against.

    A uniform draw, (I,) or (n, I).

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("random"))
        asks first: Simple Noodle Soup, Little Croissant
        5 questions: 18 seconds, 1.2 answers
        list: 0.52 before, 0.57 after, 0.57 after as many at random
        error: 1.06 before, 0.96 after, 0.96 after as many at random
    """
    return rng.random((*belief.mean.shape[:-1], len(candidates)))
