"""The general strategies on a recommender's belief: scored as such, chosen in batches where they choose batches."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.draw import Batch
from palate.acquisition.pool.pool import Pool, PoolStrategy
from palate.acquisition.pool.registry import POOL_STRATEGIES, on_pool, pool_of
from palate.acquisition.strategy import Strategy
from palate.arrays import Array
from palate.posteriors.belief import Belief

SHORTLIST = 200  # a pool holds draws × candidates × rating levels
_OWN = ("random", "bald", "epig")  # of the belief itself, in closed form


def batch_of(
    strategy: PoolStrategy, belief: Belief, candidates: Candidates, k: int, *, rng: np.random.Generator
) -> Batch:
    """Up to ``k`` candidates for one user, chosen together."""
    return strategy.pick(pool_of(belief, candidates, rng=rng), k, rng=rng)


def _entry(general: PoolStrategy) -> Strategy:
    def first_pick(pool: Pool, *, rng: np.random.Generator) -> Array:
        """1 for what a batch would start with, 0 for all else."""
        scores = np.zeros(len(pool))
        scores[general.pick(pool, 1, rng=rng).items] = 1.0
        return scores

    return Strategy(
        general.name,
        on_pool(general.score or first_pick),
        general.cost,
        general.source,
        general.unit,
        weighs_answerability=False,
        shortlist=SHORTLIST,
        pool=general,
    )


ENTRIES: tuple[Strategy, ...] = tuple(_entry(one) for name, one in POOL_STRATEGIES.items() if name not in _OWN)
