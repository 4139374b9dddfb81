"""Distances and similarities between features, a slice at a time: nothing of N × N is ever held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from palate.acquisition.pool import Array, Positions

CELLS = 1 << 22  # of a slice of a matrix of pairs: 32 MiB of float64


def slices(n: int, width: int) -> Iterator[slice]:
    """Slices of ``n`` rows such that ``width`` columns of each stay within :data:`CELLS`."""
    rows = max(1, CELLS // max(1, width))
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def unit(features: Array) -> Array:
    """Rows of length one, (N, E); a row of zeros stays."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(norms > 0, norms, 1.0))


def distance(features: Array, point: Array) -> Array:
    """From each row to a point, (N,): by difference, as a product would lose what near ones differ by."""
    return np.asarray(np.linalg.norm(features - point, axis=1))


def squared_distances(rows: Array, columns: Array) -> Array:
    """Of every pair, (n, m); the caller sees to it that this fits."""
    both = (rows**2).sum(1)[:, None] + (columns**2).sum(1) - 2.0 * rows @ columns.T
    return np.asarray(np.maximum(both, 0.0))


def nearest(features: Array, others: Array) -> Array:
    """Distance from each row to the nearest of the others, (N,); infinite where there are none."""
    if not len(others):
        return np.full(len(features), np.inf)
    parts = [np.sqrt(squared_distances(features[rows], others).min(1)) for rows in slices(len(features), len(others))]
    return np.concatenate(parts) if parts else np.zeros(0)


def neighbours(features: Array, of: Array, k: int) -> tuple[Array, Positions]:
    """Distances to and positions of the ``k`` nearest rows of ``features``, nearest first, (n, k) each."""
    k = min(k, len(features))
    distances, positions = np.zeros((len(of), k)), np.zeros((len(of), k), dtype=np.intp)
    for rows in slices(len(of), len(features)):
        squared = squared_distances(of[rows], features)
        near = np.argpartition(squared, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(squared, near, axis=1)
        order = np.argsort(found, axis=1, kind="stable")
        positions[rows] = np.take_along_axis(near, order, axis=1)
        distances[rows] = np.sqrt(np.take_along_axis(found, order, axis=1))
    return distances, positions
