"""Label what would move the model most, by the length of the gradient of its loss."""

from __future__ import annotations

import numpy as np

from palate.acquisition.pool import Array, Pool


def expected_gradient_length(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Of a linear softmax model, (N,), in features. O(C² + E).

    .. math:: \sum_y \bar p_y \lVert \nabla_W \ell(x, y) \rVert
        = \lVert x \rVert \sum_y \bar p_y \lVert \bar p - e_y \rVert

    References:
        Settles, Craven, Ray, Multiple-instance active learning, NIPS 2007.
    """
    mean = pool.mean
    # ‖p − e_y‖² = Σ p² − 2 p_y + 1
    lengths = np.sqrt(np.maximum((mean**2).sum(1, keepdims=True) - 2.0 * mean + 1.0, 0.0))
    return np.asarray((mean * lengths).sum(1) * np.linalg.norm(pool.features, axis=1))
