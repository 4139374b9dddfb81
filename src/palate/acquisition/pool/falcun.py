"""Batches of uncertain and different predictions (Falcun)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.greedy import Chosen, draw_one, one_by_one
from palate.acquisition.pool.pool import Pool, at_most
from palate.acquisition.pool.uncertainty import margin
from palate.arrays import Array

GAMMA = 10.0


def falcun(pool: Pool, k: int, *, rng: np.random.Generator, gamma: float = GAMMA) -> Batch:
    r"""Draw what is uncertain and predicted otherwise than what was drawn before (Falcun).

    One by one, in the space of probabilities alone. O(C) a candidate and step.

    .. math:: p_i \propto (u_i + d_i)^\gamma, \qquad u_i = 1 - (\bar p_{i1} - \bar p_{i2}),
        \quad d_i \leftarrow \min(d_i, \lVert \bar p_i - \bar p_q \rVert_1) \text{ scaled to } [0, 1]

    with ``d = u`` at first.

    References:
        Gilhuber, Beer, Ma, Seidl, FALCUN: a simple and efficient deep active learning strategy, ECML PKDD 2024.
    """
    uncertain = margin(pool, rng=rng)
    apart, mean = uncertain, pool.mean

    def pick(items: Chosen) -> tuple[int, float]:
        relevance = uncertain + apart
        return draw_one((relevance / max(float(relevance.max()), 1e-300)) ** gamma, items, rng=rng)

    def add(items: Chosen) -> None:
        nonlocal apart
        apart = _scaled(np.minimum(apart, np.abs(mean - mean[items[-1]]).sum(1)))

    return one_by_one(at_most(k, pool), pick, add)


def _scaled(values: Array) -> Array:
    spread = float(values.max() - values.min())
    return np.asarray((values - values.min()) / (spread if spread > 0 else 1.0))
