"""Label what is far from everything labelled at first, and what is uncertain later."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, best
from palate.acquisition.pool.geometry import distance, nearest
from palate.acquisition.pool.pool import Pool, at_most
from palate.acquisition.pool.uncertainty import least_confidence
from palate.arrays import Array


def ranked_batch(pool: Pool, *, rng: np.random.Generator) -> Array:
    r"""The first choice's score, (N,), from 0 to 1. O(L E).

    .. math:: \alpha \Big(1 - \frac{1}{1 + \min_l \lVert x - x_l \rVert}\Big) + (1 - \alpha)(1 - \max_c \bar p_c),
        \qquad \alpha = \frac{N}{N + L}

    References:
        Cardoso, Silva, Canuto, Moro, Gonçalves, Ranked batch-mode active learning, Information Sciences 379, 2017.
    """
    return _score(least_confidence(pool, rng=rng), nearest(pool.features, pool.labelled), len(pool), len(pool.labels))


def choose_ranked_batch(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """A batch in which each choice counts as labelled for the next: distances shrink, α falls. O(E) a step."""
    uncertain = least_confidence(pool, rng=rng)
    apart = nearest(pool.features, pool.labelled)
    items: list[int] = []
    chances: list[float] = []
    for step in range(at_most(k, pool)):
        scores = _score(uncertain, apart, len(pool) - step, len(pool.labels) + step)
        scores[items] = -np.inf
        item, chance = best(scores, rng=rng)
        items.append(item)
        chances.append(chance)
        apart = np.minimum(apart, distance(pool.features, pool.features[item]))
    return Batch.of(items, chances)


def _score(uncertain: Array, apart: Array, open_: int, labelled: int) -> Array:
    alpha = open_ / (open_ + labelled)
    return np.asarray(alpha * (1.0 - 1.0 / (1.0 + apart)) + (1.0 - alpha) * uncertain)
