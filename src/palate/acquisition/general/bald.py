"""Label what tells most about the model's parameters."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.information import entropy
from palate.acquisition.pool import Array, Pool


def bald(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Information between the label and the parameters, in nats, (N,), at least 0. O(T C).

    .. math:: H[\bar p] - \frac1T \sum_t H[p_t]

    References:
        Houlsby et al., Bayesian active learning for classification and preference learning, 2011. arXiv:1112.5745;
        Gal, Islam, Ghahramani, Deep Bayesian active learning with image data, ICML 2017.
    """
    return np.asarray(np.maximum(entropy(pool.mean) - entropy(pool.samples).mean(0), 0.0))  # below 0 lies rounding
