"""Label what would move a regression most, by what a committee says the answer could be."""

from __future__ import annotations

import numpy as np

from palate.acquisition.pool import Array, Pool


def expected_model_change(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Of a linear regression of the level, (N,), in levels times features. O(T C + E).

    .. math:: \frac1T \sum_t \lVert (\bar f - f_t)\, x \rVert, \qquad f_t = \sum_c c\, p_{tc}

    For classes that have an order, such as ratings: class c counts as the number c.

    References:
        Cai, Zhang, Zhou, Maximizing expected model change for active learning in regression, ICDM 2013.
    """
    levels = pool.samples @ np.arange(pool.n_classes, dtype=np.float64)  # (T, N)
    apart = np.abs(levels - levels.mean(0)).mean(0)
    return np.asarray(apart * np.linalg.norm(pool.features, axis=1))
