"""Rivals that score an item by weights from the items somebody met: walks on the graph, and sparse linear models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from palate.errors import LimitError
from palate.evaluation.baselines import NEIGHBOUR_BLOCK, FloatArray, Interactions, LinearInHistory, matrix_of
from palate.machine import on_threads

SLIM_MAX_ITEMS = 5_000  # each item is a regression on all that were met together with it
_SWEEPS, _TOLERANCE = 50, 1e-3


@dataclass(frozen=True)
class Rp3Beta:
    """Three steps of a random walk from a user: to an item, to who met it, to what else they met.

        s_ij = Σ_u (A_ui / n_i)^alpha (A_uj / n_u)^alpha / n_j^beta

    over the nearest neighbours only, of an item met and then of one scored; ``beta`` takes back what a popular item
    gets for being popular.

    Attributes:
        alpha, beta: As above.
        neighbours: Of an item, that are kept.
        normalized: Whether those of an item met have a sum of one, so that each item met says as much.

    References:
        Paudel, Christoffel, Newell, Bernstein, Updatable, accurate, diverse, and scalable recommendations for
        interactive applications, ACM TiiS 7(1), 2017.
        Ferrari Dacrema, Cremonesi, Jannach, Are we really making much progress?, RecSys 2019 (kept twice, normalized).
    """

    fallback: ClassVar = True
    alpha: float = 1.0
    beta: float = 0.5
    neighbours: int = 100
    normalized: bool = False

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> LinearInHistory:
        history = matrix_of(train)
        counts = np.maximum(np.bincount(history.indices, minlength=train.n_items), 1.0)
        of_user = np.maximum(np.diff(history.indptr), 1.0)
        step = sparse.csr_array(
            (np.repeat(of_user, np.diff(history.indptr)) ** -self.alpha, history.indices, history.indptr),
            shape=history.shape,
        )
        columns, blocks = sparse.csr_array(history.T), []
        for start in range(0, train.n_items, NEIGHBOUR_BLOCK):
            walked = (columns[start : start + NEIGHBOUR_BLOCK] @ step).toarray()
            rows = np.arange(len(walked))
            walked[rows, start + rows] = 0.0
            walked *= counts[start + rows, None] ** -self.alpha * counts**-self.beta
            k = min(self.neighbours, walked.shape[1])
            kept = np.argpartition(-walked, k - 1, axis=1)[:, :k]
            values = np.take_along_axis(walked, kept, axis=1)
            block = sparse.csr_array((values.ravel(), (np.repeat(rows, k), kept.ravel())), shape=walked.shape)
            block.eliminate_zeros()
            blocks.append(block)
        weights = sparse.csr_array(sparse.vstack(blocks, format="csr"))
        if self.normalized:
            sums = np.repeat(np.asarray(weights.sum(1)), np.diff(weights.indptr))
            weights.data /= sums
        return LinearInHistory(history, nearest(weights, self.neighbours))


def nearest(weights: sparse.csr_array, neighbours: float) -> sparse.csr_array:
    """Of each item scored, a column, its largest entries alone, (I, I)."""
    columns = sparse.csc_array(weights)
    of = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))
    order = np.lexsort((-columns.data, of))
    kept = order[np.arange(len(order)) - columns.indptr[of[order]] < neighbours]
    return sparse.csr_array((columns.data[kept], (columns.indices[kept], of[kept])), shape=weights.shape)


@dataclass(frozen=True)
class Slim:
    """Of each item a sparse regression on all others, weights at least 0, by coordinate descent.

        ½ |x_j - X w|² + l1 Σ w + ½ l2 |w|²,   w >= 0, w_j = 0

    References:
        Ning and Karypis, SLIM: Sparse linear methods for top-N recommender systems, ICDM 2011.
    """

    fallback: ClassVar = True
    l1: float = 3.0
    l2: float = 30.0

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> LinearInHistory:
        if train.n_items > SLIM_MAX_ITEMS:
            raise LimitError(
                f"SLIM fits a regression for each item and the catalogue has {train.n_items:,}; its limit is "
                f"{SLIM_MAX_ITEMS:,}. Leave it out with --models."
            )
        history = matrix_of(train)
        gram = (history.T @ history).toarray()
        columns = on_threads(lambda item: self._column(gram, item), range(train.n_items))
        weights = sparse.csc_array(
            (
                np.concatenate([values for _, values in columns]),
                np.concatenate([rows for rows, _ in columns]),
                np.cumsum([0, *(len(rows) for rows, _ in columns)]),
            ),
            shape=gram.shape,
        )
        return LinearInHistory(history, sparse.csr_array(weights))

    def _column(self, gram: FloatArray, item: int) -> tuple[np.ndarray, FloatArray]:
        """Which items have a weight for this one, and the weights."""
        from palate.evaluation.kernels import descend

        others = np.flatnonzero(gram[:, item] > self.l1)  # of the rest the weight is 0, since no weight is below it
        others = others[others != item]
        others = others[np.argsort(-gram[others, item], kind="stable")]
        weights = descend(gram, others, item, self.l1, self.l2, _SWEEPS, _TOLERANCE)
        return others[weights > 0.0], weights[weights > 0.0]
