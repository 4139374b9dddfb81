"""Rows of a tall matrix that span the largest volume: of all subsets, those by which the others are best expressed."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr

from palate.arrays import Array, Positions

TOLERANCE = 1.01  # a swap must enlarge the volume by this factor, so that swaps end
MOST_SWAPS = 1_000
LENGTH = 200  # rows chosen one by one; beyond, they only follow by how much volume each would add


def column_basis(rows: Array) -> Array:
    """Orthonormal basis of the columns, (I, r) of (I, D), r the numerical rank: volumes need independent columns."""
    if not rows.size:
        return np.zeros((len(rows), 0))
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(left[:, singular > singular[0] * max(rows.shape) * np.finfo(np.float64).eps])


def square_maxvol(rows: Array) -> tuple[Positions, Array]:
    """The r rows of (I, r) with nearly the largest determinant, and all rows expressed by them, (I, r).

    Starts from the pivots of QR and swaps while a swap enlarges the volume: no coefficient ends above ``TOLERANCE``.
    O(I r) a swap.

    References:
        Goreinov et al., How to find a good submatrix, in Matrix Methods, 2010.
    """
    size = rows.shape[1]
    chosen = qr(rows.T, mode="r", pivoting=True)[1][:size].astype(np.intp)
    coefficients = np.linalg.solve(rows[chosen].T, rows.T).T
    for _ in range(MOST_SWAPS):
        new, old = divmod(int(np.abs(coefficients).argmax()), size)
        pivot = coefficients[new, old]
        if abs(pivot) <= TOLERANCE:
            break
        change = coefficients[new].copy()
        change[old] -= 1.0
        coefficients -= coefficients[:, old : old + 1] * (change / pivot)
        chosen[old] = new
    return chosen, coefficients


def rectangular_maxvol(rows: Array, length: int = LENGTH) -> Positions:
    """All rows, (I,), in an order whose every beginning has nearly the largest volume.

    First the rows of :func:`square_maxvol`, then up to ``length`` one by one the row a that most enlarges
    ``det(AᵀA)``, by the factor ``1 + a (AᵀA)⁻¹ aᵀ``; the rest by that factor. Rows that tell nothing keep their order.
    O(I r²) to start and O(I r) a row.

    References:
        Fonarev et al., Efficient rectangular maximal-volume algorithm for rating elicitation in collaborative
        filtering, ICDM 2016; Mikhalev, Oseledets, Rectangular maximum-volume submatrices and their applications,
        Linear Algebra and its Applications 538, 2018.
    """
    rows = column_basis(rows)
    if not rows.shape[1]:
        return np.arange(len(rows))
    chosen, coefficients = square_maxvol(rows)
    inverse = np.linalg.inv(rows[chosen].T @ rows[chosen])
    factor, order = (coefficients**2).sum(1), list(chosen)  # a (AᵀA)⁻¹ aᵀ, and from here on kept so
    factor[chosen] = -np.inf
    while len(order) < min(length, len(rows)):
        row = int(factor.argmax())
        along, total = inverse @ rows[row], 1.0 + factor[row]
        factor -= (rows @ along) ** 2 / total
        inverse -= np.outer(along, along) / total
        factor[row] = -np.inf
        order.append(np.intp(row))
    rest = np.argsort(-factor, kind="stable")[: len(rows) - len(order)]  # what was chosen is last
    return np.concatenate([np.array(order, dtype=np.intp), rest])
