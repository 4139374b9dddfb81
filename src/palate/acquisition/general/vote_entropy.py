"""Label what a committee splits its votes over."""

from __future__ import annotations

import numpy as np

from palate.acquisition.general.information import entropy
from palate.acquisition.pool import Array, Pool


def vote_entropy(pool: Pool, *, rng: np.random.Generator) -> Array:
    """``−Σ_c (V_c / T) log (V_c / T)`` in nats, (N,): each draw votes for its most probable class. O(T C).

    Of equally probable classes the first has the vote.

    References:
        Dagan, Engelson, Committee-based sampling for training probabilistic classifiers, ICML 1995; Seung, Opper,
        Sompolinsky, Query by committee, COLT 1992.
    """
    votes = pool.samples.argmax(2)  # (T, N)
    shares = (votes[:, :, None] == np.arange(pool.n_classes)).mean(0)
    return entropy(shares)
