"""Rivals that score an item by weights from the items somebody met: walks on the graph, and sparse linear models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from palate.errors import LimitError
from palate.evaluation.baselines import FloatArray, Interactions, LinearInHistory, matrix_of
from palate.machine import on_threads
from palate.ranking.experts.walks import walk

SLIM_MAX_ITEMS = 5_000  # each item is a regression on all that were met together with it
_SWEEPS, _TOLERANCE = 50, 1e-3


@dataclass(frozen=True)
class Rp3Beta:
    """Three steps of a random walk from a user: to an item, to who met it, to what else they met.

    Attributes:
        alpha, beta, neighbours, normalized: As of :func:`palate.ranking.experts.walks.walk`.
    """

    fallback: ClassVar = True
    alpha: float = 1.0
    beta: float = 0.5
    neighbours: int = 100
    normalized: bool = False

    def fit(self, train: Interactions, *, rng: np.random.Generator) -> LinearInHistory:
        history, settings = matrix_of(train), asdict(self)
        return LinearInHistory(history, walk(history, **settings))


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
