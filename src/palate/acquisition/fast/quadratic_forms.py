"""The two forms in which a belief is put to a whole catalogue (:mod:`palate.acquisition.fast.scorer`).

Eigenvalues come from LAPACK's plain QR iteration (``driver="ev"``). NumPy's divide and conquer is a little faster where
nothing else runs, but hands parts of a 64 × 64 matrix to the threads of BLAS: beside another process it now and then
took 80 ms.

Shapes: ``D`` taste dimensions, ``T`` answers; S is a belief's covariance, Q the targets' second moment, (D, D) each.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from palate.arrays import Array

_LEAST = 1e-7  # of an eigenvalue of I − S: below it lies rounding
_LEFT = 0.01  # share of the targets' variance; with less the low-rank form would cancel


def low_rank(covariance: Array) -> Array | None:
    """V, (D, T), with ``S = I − V Vᵀ``; None where there is none, or 2 T columns are no saving worth the rounding."""
    values, vectors = eigh(np.eye(len(covariance)) - covariance, driver="ev")
    used = np.abs(values) > _LEAST
    if values[used].min(initial=0.0) < 0 or 4 * used.sum() > len(covariance):
        return None
    return np.asarray(vectors[:, used] * np.sqrt(values[used]))


def cancels(covariance: Array, moment: Array) -> bool:
    """Whether so little of the targets' variance is left that it would be lost in the difference of two large sums."""
    return bool(np.trace(covariance @ moment @ covariance) <= _LEFT * np.trace(moment))


def paired(low: Array, moment: Array) -> Array:
    """V and 2 R in turn by twos, (D, 2 T'), T' even: with ``R = Q V − ½ V (VᵀQV)``, ``SQS = Q − V Rᵀ − R Vᵀ``."""
    moved = moment @ low
    rest = 2.0 * moved - low @ (low.T @ moved)
    even = np.zeros((2, len(low), low.shape[1] + low.shape[1] % 2))
    even[:, :, : low.shape[1]] = low, rest
    return np.ascontiguousarray(even.reshape(2, len(low), -1, 2).transpose(1, 2, 0, 3).reshape(len(low), -1))


def diagonalised(covariance: Array, moment: Array | None) -> tuple[Array, Array]:
    """X, (D, D), and γ, (D,), with ``S = X Xᵀ`` and ``SQS = X diag(γ) Xᵀ``; γ is 0 without Q."""
    values, vectors = eigh(covariance, driver="ev")
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    if moment is None:
        return root, np.zeros(len(values))
    gains, rotation = eigh(root.T @ moment @ root, driver="ev")
    return root @ rotation, np.maximum(gains, 0.0)
