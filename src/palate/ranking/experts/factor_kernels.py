"""The compiled loops of :mod:`palate.ranking.experts.factors`: one row of factors after the other.

As those of :mod:`palate.posteriors.matrix_kernels`, which says what holds for them. Importing this imports Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Vectors
from palate.posteriors.matrix_kernels import compiled

_Places = NDArray[np.integer[Any]]
_NOTHING_LEFT = 1e-11  # of the square of what is to be reached: single precision has no more


@compiled
def solve_rows(
    start: _Places,
    columns: _Places,
    others: Vectors,
    gram: Vectors,
    ridge: Vectors,
    steps: int,
    first: int,
    last: int,
    rows: Vectors,
) -> None:
    """Rows ``first`` to ``last − 1`` of one side given the other, by conjugate gradients from where they are.

    Each solves ``(gram + ridge + Σ_j v_j v_jᵀ) x = Σ_j v_j`` over its entries; one without an entry is 0.

    Args:
        start: Where the entries of each row begin, (n + 1,).
        columns: Of the entries, (N,).
        others: v, (J, D).
        gram: What all columns add, (D, D); (0, 0) for nothing.
        ridge: Of each row, (n,).
        steps: Of conjugate gradients, at most.
        rows: (n, D), overwritten.
    """
    dim, most = others.shape[1], 0
    for row in range(first, last):
        most = max(most, start[row + 1] - start[row])
    own = np.empty((most, dim), np.float32)
    residual, direction, along = np.empty(dim, np.float32), np.empty(dim, np.float32), np.empty(dim, np.float32)
    for row in range(first, last):
        n, x, strength = start[row + 1] - start[row], rows[row], ridge[row]
        if n == 0:
            x[:] = 0.0
            continue
        residual[:] = 0.0
        for k in range(n):
            one = others[columns[start[row] + k]]
            for d in range(dim):
                own[k, d] = one[d]
                residual[d] += one[d]
        least, square = np.float32(0.0), np.float32(0.0)
        for d in range(dim):
            least += residual[d] * residual[d]
        _times(gram, own, n, strength, x, along)
        for d in range(dim):
            residual[d] -= along[d]
            direction[d] = residual[d]
            square += residual[d] * residual[d]
        for _ in range(steps):
            if square <= _NOTHING_LEFT * least:
                break
            _times(gram, own, n, strength, direction, along)
            bent = np.float32(0.0)
            for d in range(dim):
                bent += direction[d] * along[d]
            length, before = square / bent, square
            square = np.float32(0.0)
            for d in range(dim):
                x[d] += length * direction[d]
                residual[d] -= length * along[d]
                square += residual[d] * residual[d]
            share = square / before
            for d in range(dim):
                direction[d] = residual[d] + share * direction[d]


@compiled
def _times(gram: Vectors, own: Vectors, n: int, ridge: np.float32, x: Vectors, out: Vectors) -> None:
    """``out = (gram + ridge + Σ_k own[k] own[k]ᵀ) x``, of the first n rows."""
    dim = len(x)
    for d in range(dim):
        out[d] = ridge * x[d]
    for e in range(len(gram)):
        number, row = x[e], gram[e]
        for d in range(dim):
            out[d] += number * row[d]
    for k in range(n):
        row, number = own[k], np.float32(0.0)
        for d in range(dim):
            number += row[d] * x[d]
        for d in range(dim):
            out[d] += number * row[d]
