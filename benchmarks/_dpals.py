"""A private fit in the way of DPALS, to stand beside: noise on every item's Gram matrix and cross product.

After Chien, Jain, Krichene, Rendle, Song, Thakurta, Zhang, *Private alternating least squares*, ICML 2021, whose code
was not used: tastes are worked out by each user given the items and clipped, each user counts with at most so many
items, and items are solved from noisy sums, the Gram made positive. Here with a level of each item, ratings centred,
the same accountant as Palate's, and where there is text the ridge of all items on it as the centre of the solution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.federated.accounting import Budget
from palate.federated.text_prior import columns_of, fitted
from palate.posteriors.statistics import outer_products, unpack

Array = np.ndarray


@dataclass(frozen=True)
class Settings:
    """Found by RMSE on generated worlds of other seeds; see :data:`benchmarks.federated.DPALS`."""

    rounds: int
    items: int  # of a user that count in a round, drawn
    strength: float  # of the ridge, in answers
    length: float  # of a taste with its leading one, at most
    largest: float = 2.0  # rating from the centre, in stars, at most


def fit(
    answers: sparse.csr_matrix,
    text: Array | None,
    settings: Settings,
    *,
    budget: Budget,
    dim: int,
    noise: float,
    centre: float,
    rng: np.random.Generator,
) -> Array:
    """Level and factors of the items, (I, A), of ratings less ``centre``, (U, I) CSR."""
    n_items, size = answers.shape[1], dim + 1
    upper = np.triu_indices(size)
    weights = np.where(upper[0] == upper[1], 1.0, np.sqrt(2.0))  # so that the norm is that of the whole matrix
    factors = np.concatenate([np.zeros((n_items, 1)), 0.1 * rng.normal(size=(n_items, dim))], 1)
    columns = columns_of(text, n_items)
    most = np.sqrt(settings.items * (settings.length**4 + (settings.largest * settings.length) ** 2))
    std = most / np.sqrt(budget.mu_squared / settings.rounds)
    for _ in range(settings.rounds):
        tastes = beliefs(answers, factors, noise, centre)
        t = np.concatenate([np.ones((len(tastes), 1)), tastes], 1)
        t *= np.minimum(1.0, settings.length / np.linalg.norm(t, axis=1))[:, None]
        some = drawn(answers, settings.items, rng)
        ones = sparse.csr_matrix((np.ones(some.nnz), some.indices, some.indptr), some.shape)
        clipped = np.clip(some.data - centre, -settings.largest, settings.largest)
        cross = sparse.csr_matrix((clipped, some.indices, some.indptr), some.shape).T @ t
        gram = (ones.T @ (outer_products(t) * weights) + std * rng.normal(size=(n_items, len(weights)))) / weights
        cross += std * rng.normal(size=cross.shape)
        values, axes = np.linalg.eigh(unpack(gram))
        ridge = np.maximum(values, 0.0) + settings.strength
        middle = np.zeros_like(factors)
        if text is not None:
            own = np.einsum("iab,ib,icb,ic->ia", axes, 1.0 / ridge, axes, cross, optimize=True)
            doubt = (noise * ridge.mean(1) + std**2) / ridge.mean(1) ** 2
            middle = fitted(columns, own, doubt, np.full(size, 0.1), np.full(size, 1e-3)).means
        pulled = cross + settings.strength * middle
        factors = np.einsum("iab,ib,icb,ic->ia", axes, 1.0 / ridge, axes, pulled, optimize=True)
    return factors


def beliefs(answers: sparse.csr_matrix, factors: Array, noise: float, centre: float) -> Array:
    """Mean tastes, (U, D)."""
    ones = sparse.csr_matrix((np.ones(answers.nnz), answers.indices, answers.indptr), answers.shape)
    left = sparse.csr_matrix(
        (answers.data - centre - factors[answers.indices, 0], answers.indices, answers.indptr), answers.shape
    )
    precision = unpack(ones @ outer_products(factors[:, 1:])) / noise + np.eye(factors.shape[1] - 1)
    return np.linalg.solve(precision, (left @ factors[:, 1:])[:, :, None] / noise)[:, :, 0]


def drawn(answers: sparse.csr_matrix, most: int, rng: np.random.Generator) -> sparse.csr_matrix:
    """Of each user so many answers at most."""
    counts = np.diff(answers.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((rng.random(answers.nnz), rows))
    place = np.empty(answers.nnz)
    place[order] = np.arange(answers.nnz) - answers.indptr[:-1][rows]
    kept = place < most
    return sparse.csr_matrix((answers.data[kept], (rows[kept], answers.indices[kept])), shape=answers.shape)
