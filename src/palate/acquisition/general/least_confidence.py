"""Label what the model is least sure of, by its first guess."""

from __future__ import annotations

import numpy as np

from palate.acquisition.pool import Array, Pool


def least_confidence(pool: Pool, *, rng: np.random.Generator) -> Array:
    """``1 − max_c p̄_c``, (N,), the chance that the first guess is wrong. O(C).

    References:
        Lewis, Gale, A sequential algorithm for training text classifiers, SIGIR 1994.
    """
    return np.asarray(1.0 - pool.mean.max(1))
