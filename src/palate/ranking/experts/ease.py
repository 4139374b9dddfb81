"""The best linear map from what was met to what is met too, in closed form: EASE.

Steck, *Embarrassingly shallow autoencoders for sparse data*, WWW 2019. arXiv:1905.03375
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy import linalg

from palate.arrays import Array
from palate.encoders.histories.history import Log
from palate.ranking.histories import Histories, evidence

MOST_ITEMS = 4_000  # the most met of a catalogue: the cost is their cube, 16 bytes a pair


@dataclass(frozen=True, slots=True, eq=False)
class Ease:
    """Weights between the most met items; of the others it says nothing.

    Attributes:
        items: Their positions, (M,).
        weights: From item met to item scored, (M, M), 0 on the diagonal.
    """

    items: NDArray[np.intp]
    weights: NDArray[np.float32]

    def evidence(self, histories: Histories) -> NDArray[np.float32]:
        return evidence(self.scores(histories))

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """What the items met add up to, (n, I); 0 for an item of which it says nothing."""
        scores = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        scores[:, self.items] = histories.matrix()[:, self.items] @ self.weights
        return scores

    def shares(self, items: NDArray[np.intp], item: int) -> Array:
        """What each of the items met adds to the score of an item, (n,)."""
        place = np.full(max(int(items.max(initial=0)), item, int(self.items.max(initial=0))) + 1, -1)
        place[self.items] = np.arange(len(self.items))
        if place[item] < 0:
            return np.zeros(len(items))
        return np.where(place[items] < 0, 0.0, self.weights[place[items], place[item]])


def fit_ease(log: Log, n_users: int, n_items: int, l2: float) -> Ease:
    """Of a log; l2 as in the paper."""
    count = np.bincount(log.items, minlength=n_items)
    items = np.sort(np.argsort(-count, kind="stable")[: min(MOST_ITEMS, int((count > 0).sum()))])
    met = sparse.csr_array((np.ones(len(log), np.float32), (log.users, log.items)), shape=(n_users, n_items))
    met.sum_duplicates()
    met.data[:] = 1.0
    met = met[:, items]
    gram = (met.T @ met).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += l2
    precision = linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = (precision / -np.diag(precision)).astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    return Ease(items, weights)
