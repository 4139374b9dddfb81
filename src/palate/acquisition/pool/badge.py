"""Draw a batch whose gradients are large and point in different directions (BADGE)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, best
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array


def badge(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    r"""k-means++ on the gradients of the loss at the predicted label. O(N (C + E)) a step, never N × C·E.

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
    item, chance = best(lengths, rng=rng)
    items, chances = [item], [chance]
    apart = np.full(len(pool), np.inf)
    while len(items) < at_most(k, pool):
        product = (errors @ errors[item]) * (pool.features @ pool.features[item])
        apart = np.minimum(apart, np.maximum(lengths + lengths[item] - 2.0 * product, 0.0))
        shares = _shares(apart, items)
        item = int(rng.choice(len(pool), p=shares))
        items.append(item)
        chances.append(float(shares[item]))
    return Batch.of(items, chances)


def _shares(squared: Array, taken: list[int]) -> Array:
    """Uniform among the rest where all of it lies on what is taken."""
    weights = squared.copy()
    weights[taken] = 0.0
    if weights.sum() <= 0:
        weights = np.ones(len(weights))
        weights[taken] = 0.0
    return np.asarray(weights / weights.sum())
