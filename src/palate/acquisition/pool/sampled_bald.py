"""Draw a batch by its information, not the best: cheap diversity, and the chance of each label is known."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch, choose
from palate.acquisition.pool.pool import Pool
from palate.acquisition.pool.uncertainty import bald

COLDNESS = 8.0  # of softmax, in units of the scores' standard deviation, which a score in nats does not come in


def power_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """A batch drawn without replacement with ``p ∝ BALD``. O(T C) a candidate.

    References:
        Kirsch et al., Stochastic batch acquisition, TMLR 2023. arXiv:2106.12059.
    """
    return choose(bald(pool, rng=rng), k, rng=rng, draw="power")


def softmax_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """A batch drawn without replacement with ``p ∝ exp(β BALD)``, β = 8 over the scores' standard deviation ("Gibbs").

    References:
        As :func:`power_bald`; the paper's β is 1 on scores that are scaled to the model, here to the pool.
    """
    scores = bald(pool, rng=rng)
    spread = float(scores.std())
    return choose(scores, k, rng=rng, draw="softmax", beta=COLDNESS / spread if spread > 1e-12 else 0.0)


def softrank_bald(pool: Pool, k: int, *, rng: np.random.Generator) -> Batch:
    """A batch drawn without replacement with ``p ∝ 1 / rank`` of BALD: the scale of the scores does not matter.

    References:
        As :func:`power_bald`.
    """
    return choose(bald(pool, rng=rng), k, rng=rng, draw="softrank")
