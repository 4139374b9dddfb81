"""Label what the model is least sure of, by all its guesses."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.information import entropy
from palate.acquisition.pool import Array, Pool


def predictive_entropy(pool: Pool, *, rng: np.random.Generator) -> Array:
    """``−Σ_c p̄_c log p̄_c`` in nats, (N,), with 0 log 0 = 0. O(C).

    References:
        Shannon, A mathematical theory of communication, 1948; as a rule for labelling: Settles, Craven, An analysis of
        active learning strategies for sequence labeling tasks, EMNLP 2008.
    """
    return entropy(pool.mean)
