"""What the batch fit needs to know of a group of users: sums that add.

One process adds them over chunks of users, a cluster over workers, a federation over clients; the fit is the same.

Shapes: ``I`` items, ``D`` taste dimensions, ``A = D + 1`` (a taste with a leading one, an item with its level first),
``P = A (A + 1) / 2`` the entries of a symmetric ``(A, A)`` matrix, packed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array

_BLOCK = 4_096


def blocks(n: int) -> Iterator[slice]:
    """Runs of items whose matrices are made together: those of a large catalogue would be the peak of memory."""
    return (slice(first, first + _BLOCK) for first in range(0, n, _BLOCK))


def pack(matrices: Array) -> Array:
    """Upper triangles of symmetric matrices, (..., A, A) to (..., P)."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.ascontiguousarray(matrices[..., rows, columns])


def used_columns(matrix: sparse.csr_matrix) -> tuple[NDArray[np.intp] | slice, sparse.csr_matrix]:
    """The columns with an entry, and the matrix of these alone; all where there are more entries than columns."""
    if matrix.nnz > matrix.shape[1]:
        return slice(None), matrix
    used, places = np.unique(matrix.indices, return_inverse=True)
    return used, sparse.csr_matrix((matrix.data, places, matrix.indptr), shape=(matrix.shape[0], len(used)))


def outer_products(vectors: Array) -> Array:
    """Upper triangles of ``x xᵀ``, (n, D) to (n, P), a block at a time."""
    rows, columns = np.triu_indices(vectors.shape[1])
    packed = np.empty((len(vectors), len(rows)))
    for some in blocks(len(vectors)):
        packed[some] = vectors[some][:, rows] * vectors[some][:, columns]
    return packed


def unpack(packed: Array) -> Array:
    """Symmetric matrices from their packed upper triangles, (..., P) to (..., A, A)."""
    size = round((np.sqrt(8 * packed.shape[-1] + 1) - 1) / 2)
    rows, columns = np.triu_indices(size)
    place = np.empty((size, size), dtype=np.intp)
    place[rows, columns] = place[columns, rows] = np.arange(packed.shape[-1])
    return packed[..., place]


def inverse(matrices: Array) -> tuple[Array, Array]:
    """Inverses and log determinants of symmetric positive definite matrices, (..., A, A) and (...)."""
    lower = np.linalg.cholesky(matrices)
    half = np.linalg.inv(lower)
    return np.swapaxes(half, -1, -2) @ half, 2.0 * np.log(np.einsum("...aa->...a", lower)).sum(-1)


def second_moments(means: Array, covariances: Array) -> Array:
    """E[x xᵀ], (..., A, A)."""
    return covariances + means[..., :, None] * means[..., None, :]


def augmented_moments(means: Array, covariances: Array) -> Array:
    """E[t tᵀ] for t = (1, z), from (..., D) and (..., D, D) to (..., A, A)."""
    size = means.shape[-1] + 1
    moments = np.empty((*means.shape[:-1], size, size))
    moments[..., 0, 0] = 1.0
    moments[..., 0, 1:] = moments[..., 1:, 0] = means
    moments[..., 1:, 1:] = second_moments(means, covariances)
    return moments


@dataclass(frozen=True, slots=True)
class Statistics:
    """Expected sums over a group of users, under the current belief about each of them.

    ``t`` is a user's taste with a leading one, ``y`` an answer (or the mean of its latent value), ``h`` a history.

    Attributes:
        users: Number of users.
        answers: Number of answers to each item, by weight, (I,).
        moment: Sum of ``weight E[t tᵀ]`` over each item's answers, packed, (I, P).
        cross: Sum of ``weight y E[t]`` over each item's answers, (I, A).
        squares: Sum of ``weight y²`` over each item's answers, (I,).
        gram: Sum of ``E[t tᵀ]`` over the users, (A, A); what every unseen item shares.
        residual: Sum of ``E[(z − G h)(z − G h)ᵀ]``, (D, D).
        centre: Sum of ``E[z − G h]``, (D,).
        information: Sum of the users' divergences KL(q(z) ‖ N(G h, I)), in nats.
        latent: Part of the bound beyond the weighted squares, in nats: of the likelihood, and of the users' noise.
        doubt: Sum of ``E[log ν] + E[1 / ν]`` over the users, ν their noise; 0 where none is learnt.
    """

    users: int
    answers: Array
    moment: Array
    cross: Array
    squares: Array
    gram: Array
    residual: Array
    centre: Array
    information: float
    latent: float
    doubt: float

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @classmethod
    def zero(cls, n_items: int, dim: int) -> Statistics:
        """The sum over nobody."""
        size = dim + 1
        moment, cross = np.zeros((n_items, size * (size + 1) // 2)), np.zeros((n_items, size))
        square, answers, squares = np.zeros((size, size)), np.zeros(n_items), np.zeros(n_items)
        return cls(0, answers, moment, cross, squares, square, np.zeros((dim, dim)), np.zeros(dim), 0.0, 0.0, 0.0)
