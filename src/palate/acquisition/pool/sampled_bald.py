"""Batches drawn by their information: cheap diversity, and the chance of each label is known."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, choose
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.uncertainty import bald

COLDNESS = 8.0  # of softmax, in units of the scores' standard deviation, which a score in nats does not come in


def power_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Draw a batch in proportion to its information.

    ``p ∝ BALD``, without replacement. O(T C) a candidate.

    References:
        Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron, Gal, Stochastic batch acquisition: a simple baseline
        for deep active learning, TMLR 2023. arXiv:2106.12059.
    """
    return choose(bald(pool, rng=rng), k, rng=rng, draw="power")


def softmax_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Draw a batch by its information, as a softmax ("Gibbs").

    ``p ∝ exp(β BALD)``, without replacement. O(T C) a candidate. β is 8 over the scores' standard deviation; the
    paper's is 1 on scores that are scaled to the model, here to the pool.

    References:
        Kirsch et al., Stochastic batch acquisition: a simple baseline for deep active learning, TMLR 2023.
        arXiv:2106.12059.
    """
    scores = bald(pool, rng=rng)
    spread = float(scores.std())
    return choose(scores, k, rng=rng, draw="softmax", beta=COLDNESS / spread if spread > 1e-12 else 0.0)


def softrank_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """Draw a batch by the rank of its information.

    ``p ∝ 1 / rank``, without replacement. O(T C) a candidate. The scale of the scores does not matter.

    References:
        Kirsch et al., Stochastic batch acquisition: a simple baseline for deep active learning, TMLR 2023.
        arXiv:2106.12059.
    """
    return choose(bald(pool, rng=rng), k, rng=rng, draw="softrank")
