"""How many people liked both of two items, as a fit has counted them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array, Mask, Positions
from palate.encoders.histories.events import Events


@dataclass(frozen=True, slots=True, eq=False)
class Liked:
    """Who liked what.

    Attributes:
        by_item: 1 where a user liked an item, (U, I), by columns.
    """

    by_item: sparse.csc_array

    @classmethod
    def of(cls, answers: sparse.csr_matrix, least: float, events: Events | None) -> Liked:
        """From answers that are at least so much, (U, I), and events that speak for an item."""
        found = _where(answers, answers.data >= least)
        if events is not None:
            found = found + _where(events.liking, events.liking.data > 0.0)
        by_item = sparse.csc_array(found)
        by_item.data = np.ones(len(by_item.data), dtype=np.int32)
        return cls(by_item)

    def both(self, items: Positions, others: Positions) -> Array:
        """How many liked each of n items and each of k others, (n, k); nobody one that came after the fit."""
        counts = np.zeros((len(items), len(others)))
        known, told = items < self.by_item.shape[1], others < self.by_item.shape[1]
        some = self.by_item[:, items[known]].T @ self.by_item[:, others[told]]
        counts[np.ix_(known, told)] = some.toarray()
        return counts


def _where(rows: sparse.csr_matrix, here: Mask) -> sparse.csr_array:
    ends = np.concatenate([[0], np.cumsum(here)])[rows.indptr]
    return sparse.csr_array((np.ones(ends[-1], dtype=np.int32), rows.indices[here], ends), shape=rows.shape)
