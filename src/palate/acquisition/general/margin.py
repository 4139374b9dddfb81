"""Label what the model is torn about, between its first two guesses."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.information import top_two
from palate.acquisition.pool import Array, Pool


def margin(pool: Pool, *, rng: np.random.Generator) -> Array:
    """``1 − (p̄₁ − p̄₂)``, (N,), of the two most probable classes; from 0 to 1. O(C).

    References:
        Scheffer, Decomain, Wrobel, Active hidden Markov models for information extraction, IDA 2001.
    """
    first, second = top_two(pool.mean)
    return np.asarray(1.0 - (first - second))
