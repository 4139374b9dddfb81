"""Label anything: the reference every strategy is measured against."""

from __future__ import annotations

import numpy as np

from palate.acquisition.pool import Array, Batch, Pool, choose


def random(pool: Pool, *, rng: np.random.Generator) -> Array:
    """A uniform draw, (N,). O(1)."""
    return rng.random(len(pool))


def choose_random(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Uniform draws without replacement, whose probabilities are 1 over how many were left."""
    return choose(np.zeros(len(pool)), k, rng=rng)
