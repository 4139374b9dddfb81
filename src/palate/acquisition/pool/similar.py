"""Batches like a set of examples (SIMILAR)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.geometry import unit
from palate.acquisition.pool.greedy import Chosen, greedy
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array

MOST_EXAMPLES = 256


def similar(pool: Pool, k: int, *, rng: np.random.Generator, examples: Array | None = None, eta: float = 1.0) -> Batch:
    r"""Label what is like a set of examples, and different among itself (SIMILAR).

    Greedy facility-location mutual information between the batch A and the examples Q. O(N J) a step.

    .. math:: \sum_{q \in Q} \max_{a \in A} s_{qa} + \eta \sum_{a \in A} \max_{q \in Q} s_{qa},
        \qquad s = \tfrac{1 + \cos}{2}

    Args:
        examples: Features of what is looked for, (J, E). If None, the labelled of the class with fewest labels, which
            is the paper's use for rare classes; without labels the batch is a uniform draw.
        eta: Weight of being like an example at all against covering the examples.
    References:
        Kothawade, Beck, Killamsetty, Iyer, SIMILAR: submodular information measures based active learning in realistic
        scenarios, NeurIPS 2021. arXiv:2107.00717.
    """
    examples = _rarest(pool) if examples is None else examples
    if len(examples) > MOST_EXAMPLES:
        examples = examples[rng.choice(len(examples), MOST_EXAMPLES, replace=False)]
    likeness = (1.0 + unit(pool.features) @ unit(examples).T) / 2.0  # (N, J)
    own = eta * likeness.max(1, initial=0.0)
    covered = np.zeros(len(examples))

    def gains(_: Chosen) -> Array:
        return np.asarray(np.maximum(likeness - covered, 0.0).sum(1) + own)

    return greedy(at_most(k, pool), gains, lambda items: np.maximum(covered, likeness[items[-1]], out=covered), rng=rng)


def _rarest(pool: Pool) -> Array:
    counts = np.bincount(pool.labels, minlength=pool.n_classes)
    present = np.flatnonzero(counts)
    if not len(present):
        return pool.labelled
    return np.asarray(pool.labelled[pool.labels == present[counts[present].argmin()]])
