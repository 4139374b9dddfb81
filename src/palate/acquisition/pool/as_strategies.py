"""The general strategies on a recommender's belief: scored as such, chosen in batches where they choose batches."""

from __future__ import annotations

from functools import wraps

import numpy as np

from palate.acquisition.pool.of_belief import on_pool
from palate.acquisition.pool.pool import Pool, PoolScore, PoolStrategy
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.acquisition.strategy import Strategy
from palate.arrays import Array

SHORTLIST = 200  # a pool holds draws × candidates × rating levels
_OWN = ("random", "bald", "epig")  # of the belief itself, in closed form


def _entry(general: PoolStrategy) -> Strategy:
    return Strategy(
        general.name,
        on_pool(general.score or _first_pick(general)),
        general.cost,
        general.source,
        general.unit,
        weighs_answerability=False,
        shortlist=SHORTLIST,
        pool=general,
        idea="Any model: a score each" if general.choose is None else "Any model: batches",
        status=general.status,
    )


def _first_pick(general: PoolStrategy) -> PoolScore:
    """1 for what a batch would start with, 0 for all else."""
    assert general.choose is not None

    @wraps(general.choose)
    def score(pool: Pool, *, rng: np.random.Generator) -> Array:
        scores = np.zeros(len(pool))
        scores[general.pick(pool, 1, rng=rng).items] = 1.0
        return scores

    return score


ENTRIES: tuple[Strategy, ...] = tuple(_entry(one) for name, one in POOL_STRATEGIES.items() if name not in _OWN)
