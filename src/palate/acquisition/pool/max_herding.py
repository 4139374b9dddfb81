"""Batches that are like as many as possible (MaxHerding)."""

from __future__ import annotations

import numpy as np

from palate.acquisition.draw import Batch
from palate.acquisition.pool.geometry import slices, squared_distances, unit
from palate.acquisition.pool.greedy import lazy_greedy
from palate.acquisition.pool.pool import Pool, at_most
from palate.arrays import Array

WIDTH = 1.0  # of the kernel, on rows of length one


def max_herding(pool: Pool, k: int, *, rng: np.random.Generator, width: float = WIDTH) -> Batch:
    r"""Label the candidates that together are like as many as possible (MaxHerding).

    Greedy maximisation of the mean similarity of a candidate to the nearest label, within 1 − 1/e of the best:

    .. math:: \frac1N \sum_j \max_{c \in \text{labelled} \cup \text{chosen}} e^{-\lVert x_j - x_c \rVert^2 / \sigma^2}

    on features of length one. One pass over all pairs, O(N² E) in slices, then O(N E) for each candidate that leads.

    References:
        Bae, Noh, Sutherland, Generalized coverage for more robust low-budget active learning, ECCV 2024.
        arXiv:2407.12212.
    """
    rows = unit(pool.features)
    covered = _covered(rows, unit(pool.labelled), width)
    return lazy_greedy(
        _gains(rows, covered, width),
        lambda item: float(np.maximum(_kernel(rows, rows[[item]], width)[:, 0] - covered, 0.0).mean()),
        lambda item: np.maximum(covered, _kernel(rows, rows[[item]], width)[:, 0], out=covered),
        at_most(k, pool),
        rng=rng,
    )


def _kernel(rows: Array, others: Array, width: float) -> Array:
    return np.asarray(np.exp(-squared_distances(rows, others) / width**2))


def _covered(rows: Array, labelled: Array, width: float) -> Array:
    covered = np.zeros(len(rows))
    if len(labelled):
        for part in slices(len(rows), len(labelled)):
            covered[part] = _kernel(rows[part], labelled, width).max(1)
    return covered


def _gains(rows: Array, covered: Array, width: float) -> Array:
    gains = np.zeros(len(rows))
    for part in slices(len(rows), len(rows)):
        gains[part] = np.maximum(_kernel(rows[part], rows, width) - covered, 0.0).mean(1)
    return gains
