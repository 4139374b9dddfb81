"""Distance first, uncertainty later (ranked batch)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.geometry import distance, nearest
from palate.acquisition.pool.greedy import Chosen, greedy
from palate.acquisition.pool.pool import Pool, at_most
from palate.acquisition.pool.uncertainty import least_confidence
from palate.arrays import Array


def ranked_batch(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""Label what is far from everything labelled at first, and what is uncertain later.

    The first choice's score, (N,), from 0 to 1. O(L E).

    .. math:: \alpha \Big(1 - \frac{1}{1 + \min_l \lVert x - x_l \rVert}\Big) + (1 - \alpha)(1 - \max_c \bar p_c),
        \qquad \alpha = \frac{N}{N + L}

    References:
        Cardoso, Silva, Canuto, Moro, Gonçalves, Ranked batch-mode active learning, Information Sciences 379, 2017.
    """
    return _score(least_confidence(pool, rng=rng), nearest(pool.features, pool.labelled), len(pool), len(pool.labels))


def choose_ranked_batch(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Each choice counts as labelled for the next: distances shrink, α falls. O(E) a step."""
    uncertain = least_confidence(pool, rng=rng)
    apart = nearest(pool.features, pool.labelled)

    def gains(items: Chosen) -> Array:
        return _score(uncertain, apart, len(pool) - len(items), len(pool.labels) + len(items))

    def add(items: Chosen) -> None:
        np.minimum(apart, distance(pool.features, pool.features[items[-1]]), out=apart)

    return greedy(at_most(k, pool), gains, add, rng=rng)


def _score(uncertain: Array, apart: Array, open_: int, labelled: int) -> Array:
    alpha = open_ / (open_ + labelled)
    return np.asarray(alpha * (1.0 - 1.0 / (1.0 + apart)) + (1.0 - alpha) * uncertain)
