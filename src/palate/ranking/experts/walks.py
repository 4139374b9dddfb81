"""Where a short walk leads: from what was met to who met it, and to what else they met.

    s_ij = Σ_u (A_ui / n_i)^alpha (A_uj / n_u)^alpha / n_j^beta

of the nearest neighbours alone, of an item met and then of one scored; ``beta`` takes back what a popular item gets for
being popular. Paudel, Christoffel, Newell, Bernstein, *Updatable, accurate, diverse, and scalable recommendations for
interactive applications*, ACM TiiS 7(1), 2017; kept twice, and made to sum to one: Ferrari Dacrema, Cremonesi, Jannach,
*Are we really making much progress?*, RecSys 2019.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

ALPHA, BETA, NEIGHBOURS = 0.5, 0.4, 20  # in the middle of what is best on five sets (docs/lab-notes.md)
_CELLS = 2**24  # of items times items held densely at once


def walk(
    met: sparse.csr_array,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    neighbours: int = NEIGHBOURS,
    normalized: bool = True,
) -> sparse.csr_array:
    """From item met to item scored, (I, I).

    Args:
        met: 1 for what was met, (U, I).
        alpha, beta: As above.
        neighbours: Of an item, that are kept.
        normalized: Whether those of an item met have a sum of one, so that each item met says as much.
    """
    n_items = met.shape[1]
    counts = np.maximum(np.bincount(met.indices, minlength=n_items), 1.0)
    of_user = np.diff(met.indptr)
    step = sparse.csr_array(
        (np.repeat(np.maximum(of_user, 1.0) ** -alpha, of_user), met.indices, met.indptr), shape=met.shape
    )
    columns, blocks = sparse.csr_array(met.T), []
    size = max(1, _CELLS // max(n_items, 1))
    for start in range(0, n_items, size):
        walked = (columns[start : start + size] @ step).toarray()
        rows = np.arange(len(walked))
        walked[rows, start + rows] = 0.0
        walked *= counts[start + rows, None] ** -alpha * counts**-beta
        k = min(neighbours, n_items)
        kept = np.argpartition(-walked, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(walked, kept, axis=1)
        block = sparse.csr_array((values.ravel(), (np.repeat(rows, k), kept.ravel())), shape=walked.shape)
        block.eliminate_zeros()
        blocks.append(block)
    weights = sparse.csr_array(sparse.vstack(blocks, format="csr"))
    if normalized:
        weights.data /= np.repeat(np.asarray(weights.sum(1)), np.diff(weights.indptr))
    return nearest(weights, neighbours)


def nearest(weights: sparse.csr_array, neighbours: int) -> sparse.csr_array:
    """Of each item scored, a column, its largest entries alone, (I, I)."""
    columns = sparse.csc_array(weights)
    of = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))
    order = np.lexsort((-columns.data, of))
    kept = order[np.arange(len(order)) - columns.indptr[of[order]] < neighbours]
    return sparse.csr_array((columns.data[kept], (columns.indices[kept], of[kept])), shape=weights.shape)
