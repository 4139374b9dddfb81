"""What a history says by way of factors: weighted least squares of who met what, fitted by turns.

    Σ_ui met (1 − x_u · v_i)² + ratio Σ_ui (x_u · v_i)² + λ Σ_u a |x_u|² + λ Σ_i b_i |v_i|²

``a`` is the mean of ``n_u + ratio I`` over the people, and ``b_i`` is ``n_i + ratio U`` or, without ``frequency``, its
mean over the items: what was met often holds its factors back as often. That of people is the same for all, which
costs nothing measurable and makes a person of a history alone: with the factors whitened by what all people share,

    x = (1 + Σ_j v_j v_jᵀ)⁻¹ Σ_j v_j over the history,        s_i = v_i · x

so it is the same whether a history comes at once or one by one, and each item of it has a share of every score.

Hu, Koren, Volinsky, *Collaborative filtering for implicit feedback datasets*, ICDM 2008; frequency: Rendle, Krichene,
Zhang, Koren, *Revisiting the performance of iALS on item recommendation benchmarks*, RecSys 2022; conjugate gradients:
Takács, Pilászy, Tikk, *Applications of the conjugate gradient method for implicit feedback collaborative filtering*,
RecSys 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array, Vectors
from palate.errors import OptionError
from palate.machine import on_threads
from palate.posteriors.symmetric import shares
from palate.ranking.histories import Histories, evidence

SWEEPS, STEPS = 12, 3  # turns, and steps of conjugate gradients in each: more change no list
_EXACT = 64  # steps at most where a person is made of a history; after twenty nothing is left
_WORTH_THREADS = 2_000_000  # numbers that are read in a step, of fewer starting threads takes longer
_BLOCK = 4096  # people whose scores are made at once


@dataclass(frozen=True, slots=True)
class FactorSettings:
    """Settings of the factors.

    Attributes:
        dim: D, how many.
        ratio: Weight of an item not met, as a share of that of one met.
        ridge: λ.
        frequency: Whether an item's factors are held back by how often it was met.
    """

    dim: int = 64
    ratio: float = 0.1
    ridge: float = 0.02
    frequency: bool = True

    def __post_init__(self) -> None:
        if self.dim < 1 or not 0.0 < self.ratio < np.inf or not 0.0 < self.ridge < np.inf:
            raise OptionError(
                f"dim {self.dim}, ratio {self.ratio} and ridge {self.ridge} of the factors must be above 0 and finite."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Fitted factors, whitened.

    Attributes:
        items: v, (I, D); 0 of an item that nobody met.
        settings: What they were fitted with.
    """

    items: Vectors
    settings: FactorSettings

    def people(self, histories: sparse.csr_array) -> Vectors:
        """The x of who met what, (n, I) of 0 and 1 to (n, D); 0 without a history."""
        found = np.zeros((histories.shape[0], self.items.shape[1]), np.float32)
        ones = np.ones(len(found), np.float32)
        _solve(sparse.csr_array(histories), self.items, np.zeros((0, 0), np.float32), ones, _EXACT, found)
        return found

    def score(self, histories: sparse.csr_array) -> Vectors:
        """s, (n, I); 0 without a history."""
        return np.asarray(self.people(histories) @ self.items.T)

    def evidence(self, histories: Histories) -> Vectors:
        return evidence(self.score(histories.matrix()))

    def shares(self, items: NDArray[np.intp], item: int) -> Array:
        """What each of the items met adds to the score of an item, (n,): ``v_i · (1 + Σ v vᵀ)⁻¹ v_j``."""
        of_met = self.items[items].astype(np.float64)
        precision = np.eye(of_met.shape[1]) + of_met.T @ of_met
        return np.asarray(of_met @ np.linalg.solve(precision, self.items[item].astype(np.float64)))


def fit_factors(
    met: sparse.csr_array, settings: FactorSettings, *, sweeps: int = SWEEPS, rng: np.random.Generator
) -> Factors:
    """Factors of who met what.

    Args:
        met: (U, I), each pair once; only where an entry is counts.
        sweeps: Turns of people and items.
        rng: Source of the start.
    """
    by_person = sparse.csr_array(met)
    by_item = sparse.csr_array(by_person.T)
    (n_users, n_items), ratio = by_person.shape, settings.ratio
    of_people = np.diff(by_person.indptr).mean() + ratio * n_items
    of_items = np.diff(by_item.indptr) + ratio * n_users
    if not settings.frequency:
        of_items = np.full(n_items, of_items.mean())
    a = np.full(n_users, settings.ridge * of_people, np.float32)
    b = (settings.ridge * of_items).astype(np.float32)
    size = 0.1 / np.sqrt(settings.dim)
    items = rng.standard_normal((n_items, settings.dim), dtype=np.float32) * np.float32(size)
    items[np.diff(by_item.indptr) == 0] = 0.0
    people = np.zeros((n_users, settings.dim), np.float32)
    for _ in range(sweeps):
        _solve(by_person, items, _gram(items, ratio), a, STEPS, people)
        _solve(by_item, people, _gram(people, ratio), b, STEPS, items)
    return Factors(_whitened(items, ratio, float(a[0])), settings)


def _gram(factors: Vectors, ratio: float) -> Vectors:
    return np.asarray(np.float32(ratio) * (factors.T @ factors))


def _whitened(items: Vectors, ratio: float, ridge: float) -> Vectors:
    """Where ``ratio Σ v vᵀ + ridge`` is the identity."""
    whole = np.zeros((items.shape[1],) * 2)
    for rows in _runs(len(items)):
        some = items[rows].astype(np.float64)
        whole += some.T @ some
    lower = np.linalg.cholesky(ratio * whole + ridge * np.eye(len(whole)))
    turn = np.linalg.inv(lower).T
    out = np.empty_like(items)
    for rows in _runs(len(items)):
        out[rows] = items[rows] @ turn
    return out


def _runs(n: int) -> Iterator[slice]:
    return (slice(first, first + _BLOCK) for first in range(0, n, _BLOCK))


def _solve(rows: sparse.csr_array, others: Vectors, gram: Vectors, ridge: Vectors, steps: int, out: Vectors) -> None:
    """Rows of one side given the other, into ``out``, shared among threads (:func:`factor_kernels.solve_rows`)."""
    from palate.ranking.experts.factor_kernels import solve_rows

    start = rows.indptr.astype(np.int64)
    bounds = shares((start + len(others.T) * np.arange(len(start))).astype(float))

    def part(first: int, last: int) -> None:
        solve_rows(start, rows.indices, others, gram, ridge, steps, first, last, out)

    if len(out) * (len(gram) + 1) + len(rows.indices) < _WORTH_THREADS:
        part(0, len(out))
    else:
        on_threads(part, bounds[:-1], bounds[1:])
