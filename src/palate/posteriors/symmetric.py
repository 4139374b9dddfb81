"""Many small symmetric matrices at once: by NumPy where they are few, else by compiled loops on all cores.

Either way the same up to rounding. Importing this does not import Numba; the first use with many does, and compiles,
once a machine. Shapes as in :mod:`palate.posteriors.statistics`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.arrays import Array
from palate.machine import on_threads
from palate.posteriors.statistics import blocks, inverse, outer_products, pack, second_moments, unpack

PARTS = 16  # that threads share; fixed, so that sums over parts do not hang on the number of threads
_MANY = 10**7  # products of a matrix with another, below which NumPy takes a few milliseconds


class Solved(NamedTuple):
    """Beliefs about n things with A numbers each.

    Attributes:
        means: (n, A).
        covariances: Packed, (n, P).
        log_determinants: Of the covariances, (n,).
        fitted: ``tr(E[x xᵀ] M)``, M what the answers say, (n,).
    """

    means: Array
    covariances: Array
    log_determinants: Array
    fitted: Array


def shares(costs: Array) -> list[int]:
    """Bounds of PARTS parts of about equal cost, from the sums of all costs before each, (n + 1,)."""
    bounds = np.searchsorted(costs, np.linspace(0.0, costs[-1], PARTS + 1))
    return [0, *bounds[1:-1].tolist(), len(costs) - 1]


def padded(matrix: Array) -> Array:
    """With columns of zeros up to a multiple of what a register holds."""
    from palate.posteriors.matrix_kernels import LANES

    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % LANES)))


def sound(log_determinants: Array) -> Array:
    """The same.

    Raises:
        numpy.linalg.LinAlgError: Where a matrix was not positive definite.
    """
    if np.isnan(log_determinants).any():
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    return log_determinants


def turned(packed: Array, matrix: Array) -> Array:
    """``F M Fᵀ`` of each symmetric M, (n, P) packed, and F (A', A); packed."""
    rows, size = matrix.shape
    out = np.empty((len(packed), rows * (rows + 1) // 2))
    if len(packed) * size**3 < _MANY:
        for some in blocks(len(packed)):
            out[some] = pack(matrix @ unpack(packed[some]) @ matrix.T)
        return out
    from palate.posteriors import matrix_kernels

    across, bounds = padded(np.ascontiguousarray(matrix.T)), shares(np.arange(len(packed) + 1.0))
    on_threads(lambda first, last: matrix_kernels.turned(packed, across, first, last, out), bounds[:-1], bounds[1:])
    return out


def moments_over_noise(means: Array, covariances: Array, noise: Array) -> Array:
    """``E[x xᵀ] / σ²`` of n things, from means (n, A), packed covariances (n, P) and (n,); packed."""
    n, size = means.shape
    out = np.empty((n, size * (size + 1) // 2))
    if n * size**3 < _MANY:
        for some in blocks(n):
            out[some] = (covariances[some] + outer_products(means[some])) / noise[some, None]
        return out
    from palate.posteriors import matrix_kernels

    bounds = shares(np.arange(n + 1.0))

    def part(first: int, last: int) -> None:
        matrix_kernels.item_moments(means, covariances, noise, first, last, out)

    on_threads(part, bounds[:-1], bounds[1:])
    return out


def solve(moment: Array, unseen: Array, relevance: Array, pull: Array, noise: Array) -> Solved:
    """Gaussian beliefs with precision ``Λ + M / σ²``, M the moment with what all share, and pull ``precision @ mean``.

    Args:
        moment: Packed, (n, P).
        unseen: Added to each, (A, A).
        relevance: Λ, (A, A).
        pull: (n, A).
        noise: σ², (n,).
    Raises:
        numpy.linalg.LinAlgError: Where a precision is not positive definite.
    """
    n, size = pull.shape
    found = Solved(np.empty((n, size)), np.empty((n, size * (size + 1) // 2)), np.empty(n), np.empty(n))
    if n * size**3 < _MANY:
        for some in blocks(n):
            whole = unpack(moment[some]) + unseen
            covariances, log_determinants = inverse(relevance + whole / noise[some, None, None])
            means = np.einsum("iab,ib->ia", covariances, pull[some])
            fitted = np.einsum("iab,iab->i", second_moments(means, covariances), whole)
            for array, values in zip(found, (means, pack(covariances), -log_determinants, fitted), strict=True):
                array[some] = values
        return found
    from palate.posteriors import matrix_kernels

    shared, bounds = (pack(unseen), pack(relevance)), shares(np.arange(n + 1.0))

    def part(first: int, last: int) -> None:
        matrix_kernels.item_beliefs(moment, *shared, pull, noise, first, last, *found)

    on_threads(part, bounds[:-1], bounds[1:])
    sound(found.log_determinants)
    return found
