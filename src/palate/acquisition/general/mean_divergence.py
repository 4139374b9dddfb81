"""Label where the members of a committee are far from their consensus."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.information import divergence
from palate.acquisition.pool import Array, Pool


def mean_divergence(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""``(1/T) Σ_t KL(p_t ‖ p̄)`` in nats, (N,). O(T C).

    The same number as :func:`~palate.acquisition.general.bald.bald`, as ``H(p̄) − mean H(p_t)`` is what the sum comes
    to; it has its own place because it came first and people look for it.

    References:
        McCallum, Nigam, Employing EM and pool-based active learning for text classification, ICML 1998.
    """
    return np.asarray(divergence(pool.samples, pool.mean).mean(0))
