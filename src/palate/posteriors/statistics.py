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
from safetensors.numpy import load, save

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
    return packed[..., _places(round((np.sqrt(8 * packed.shape[-1] + 1) - 1) / 2))]


def row_places(size: int, row: int) -> NDArray[np.intp]:
    """Where a packed matrix has the numbers of one of its rows, (A,)."""
    return np.asarray(_places(size)[row])


def _places(size: int) -> NDArray[np.intp]:
    rows, columns = np.triu_indices(size)
    place = np.empty((size, size), dtype=np.intp)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return place


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
class Head:
    """Expected sums over a group of users in which no item has a part.

    ``t`` is a user's taste with a leading one, ν the noise of a user's answers.

    Attributes:
        users: Number of users.
        gram: Sum of ``E[t tᵀ]``, packed, (P,); what every unseen item shares.
        log_determinants: Of the covariances of ``z``, summed.
        latent: Part of the bound beyond the weighted squares, in nats: of the likelihood, and of the users' noise.
        doubt: Sum of ``E[log ν] + E[1 / ν]``; 0 where no noise is learnt.
    """

    users: int
    gram: Array
    log_determinants: float
    latent: float
    doubt: float

    def __add__(self, other: Head) -> Head:
        return Head(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Block:
    """Expected sums over the answers of a group of users to each of some items.

    ``y`` is an answer, or the mean of its latent value.

    Attributes:
        answers: Number of answers, by weight, (I,).
        moment: Sum of ``weight E[t tᵀ]``, packed, (I, P).
        cross: Sum of ``weight y E[t]``, (I, A).
        squares: Sum of ``weight y²``, (I,).
    """

    answers: Array
    moment: Array
    cross: Array
    squares: Array

    @classmethod
    def zero(cls, n_items: int, dim: int) -> Block:
        """The sums over nobody."""
        size = dim + 1
        moment, cross = np.zeros((n_items, size * (size + 1) // 2)), np.zeros((n_items, size))
        return cls(np.zeros(n_items), moment, cross, np.zeros(n_items))

    def __add__(self, other: Block) -> Block:
        return Block(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def add(self, other: Block) -> Block:
        """With the sums over others; takes over the arrays of this one."""
        for field in fields(self):
            total = getattr(self, field.name)
            np.add(total, getattr(other, field.name), out=total)
        return self

    def cast(self, dtype: str) -> Block:
        """As it crosses a network: the same, or rounded to ``float32``; and back."""
        return Block(*(getattr(self, field.name).astype(dtype, copy=False) for field in fields(self)))

    def to_buffers(self) -> bytes:
        """As safetensors, for a file or a network."""
        return save({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def from_buffers(cls, buffers: bytes) -> Block:
        """What :meth:`to_buffers` gave."""
        return cls(**load(buffers))


@dataclass(frozen=True, slots=True)
class Statistics:
    """Expected sums over a group of users, under the current belief about each of them.

    Attributes:
        head: Those in which no item has a part.
        items: Those of each item.
    """

    head: Head
    items: Block

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(self.head + other.head, self.items + other.items)

    @classmethod
    def zero(cls, n_items: int, dim: int) -> Statistics:
        """The sum over nobody."""
        gram = np.zeros((dim + 1) * (dim + 2) // 2)
        return cls(Head(0, gram, 0.0, 0.0, 0.0), Block.zero(n_items, dim))


@dataclass(frozen=True, slots=True)
class Turn:
    """Other coordinates, in which tastes have mean 0 and E[z zᵀ] = I over the users; predictions stay as they are.

    Parameter expansion: Liu, Rubin, Wu, Biometrika 85(4), 1998.

    Attributes:
        forward: Takes t there, (A, A).
        backward: Takes an item's level and factors there, (A, A).
        gram: Sum of ``E[t tᵀ]`` over the users, there, (A, A).
        information: Sum of the users' divergences KL(q(z) ‖ N(0, I)), there, in nats.
    """

    forward: Array
    backward: Array
    gram: Array
    information: float

    @classmethod
    def of(cls, head: Head) -> Turn:
        """From the sums over all users."""
        gram, users = unpack(head.gram), head.users
        dim, residual = len(gram) - 1, gram[1:, 1:]
        centre = gram[0, 1:] / users
        lower = np.linalg.cholesky(residual / users - np.outer(centre, centre))
        forward = np.eye(dim + 1)
        forward[1:, 1:] = np.linalg.inv(lower)
        forward[1:, 0] = -forward[1:, 1:] @ centre
        information = users * float(np.log(np.diag(lower)).sum()) - 0.5 * head.log_determinants
        return cls(forward, np.asarray(np.linalg.inv(forward).T), forward @ gram @ forward.T, information)

    @classmethod
    def none(cls, head: Head) -> Turn:
        """The coordinates as they are."""
        gram = unpack(head.gram)
        information = 0.5 * float(np.trace(gram[1:, 1:]) - head.users * (len(gram) - 1) - head.log_determinants)
        return cls(np.eye(len(gram)), np.eye(len(gram)), gram, information)
