"""Distances and similarities between features, a slice at a time: nothing of N × N is ever held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from palate.arrays import Array, Positions

CELLS = 1 << 22  # of a slice of a matrix of pairs: 32 MiB of float64
CACHED = 1 << 17  # of a slice that is gone through several times: 1 MiB of float64 stays near the core


def slices(n: int, width: int, cells: int = CELLS) -> Iterator[slice]:
    """Slices of ``n`` rows such that ``width`` columns of each stay within so many cells."""
    rows = max(1, cells // max(1, width))
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def unit(features: Array) -> Array:
    """Rows of length one, (N, E); a row of zeros stays."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(norms > 0, norms, 1.0))


def distance(features: Array, point: Array) -> Array:
    """From each row to a point, (N,): by difference, as a product would lose what near ones differ by."""
    apart = np.empty(len(features), np.result_type(features, point, np.float32))
    for rows in slices(len(features), features.shape[1], CACHED):
        between = features[rows] - point
        np.einsum("ne,ne->n", between, between, out=apart[rows])
    return np.sqrt(apart, out=apart)


def squared_distances(rows: Array, columns: Array) -> Array:
    """Of every pair, (n, m); the caller sees to it that this fits."""
    both = (rows**2).sum(1)[:, None] + (columns**2).sum(1) - 2.0 * rows @ columns.T
    return np.asarray(np.maximum(both, 0.0))


def nearest(features: Array, others: Array) -> Array:
    """Distance from each row to the nearest of the others, (N,); infinite where there are none. O(N) memory.

    A distance is ``|x|² + (|y|² − 2 x · y)``: the smallest bracket is found first, a slice of rows and one of others at
    a time, and the row's own square is added once.
    """
    least = np.full(len(features), np.inf, np.result_type(features, others, np.float32))
    for some in slices(len(others), features.shape[1], CACHED):
        _nearer(features, others[some], least)
    for rows in slices(len(features), features.shape[1], CACHED):
        least[rows] += np.einsum("ne,ne->n", features[rows], features[rows])
    return np.sqrt(np.maximum(least, 0.0, out=least), out=least)


def _nearer(features: Array, others: Array, least: Array) -> None:
    """Lowers the least ``|y|² − 2 x · y`` so far, (N,), to that of some others."""
    own, turned = np.einsum("me,me->m", others, others), np.ascontiguousarray(-2.0 * others.T)
    for rows in slices(len(features), max(len(others), features.shape[1]), CACHED):
        products = features[rows] @ turned
        products += own
        np.minimum(least[rows], products.min(1), out=least[rows])


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
