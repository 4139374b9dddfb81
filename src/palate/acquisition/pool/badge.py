"""Batches of gradients (BADGE)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, first
from palate.acquisition.pool.greedy import Chosen, draw_one, one_by_one
from palate.acquisition.pool.pool import Pool, at_most


def badge(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""Draw a batch whose gradients are large and point in different directions (BADGE).

    k-means++ on the gradients of the loss at the predicted label. O(N (C + E)) a step, never N × C·E.

    .. math:: g_i = (\bar p_i - e_{\hat y_i}) \otimes x_i, \qquad
        \langle g_i, g_j \rangle = \langle a_i, a_j \rangle \langle x_i, x_j \rangle

    The first choice is the longest gradient; each later one has ``p ∝`` its squared distance to the nearest chosen.

    References:
        Ash, Zhang, Krishnamurthy, Langford, Agarwal, Deep batch active learning by diverse, uncertain gradient lower
        bounds, ICLR 2020. arXiv:1906.03671.
    """
    mean = pool.mean
    errors = mean - np.eye(pool.n_classes)[mean.argmax(1)]
    lengths = (errors**2).sum(1) * (pool.features**2).sum(1)
    apart = np.full(len(pool), np.inf)

    def add(items: Chosen) -> None:
        item = items[-1]
        product = (errors @ errors[item]) * (pool.features @ pool.features[item])
        np.minimum(apart, np.maximum(lengths + lengths[item] - 2.0 * product, 0.0), out=apart)

    def pick(items: Chosen) -> tuple[int, float]:
        return draw_one(apart, items, rng=rng) if items else first(lengths, rng=rng)

    return one_by_one(at_most(k, pool), pick, add)
