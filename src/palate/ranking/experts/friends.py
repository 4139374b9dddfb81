"""What those met whom somebody follows: the one expert that knows something of people who have done nothing yet.

    s_i = how many friends met item i, 0 of fewer than two

What one friend alone met says nothing, so that no list shows it. To count less what is met by somebody who met much
(Adamic, Adar, *Friends and neighbors on the Web*, Social Networks 25(3), 2003) was no better (docs/lab-notes.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Positions
from palate.ranking.histories import Histories, evidence

LEAST = 2  # friends who met an item


@dataclass(frozen=True, slots=True, eq=False)
class Friends:
    """What friends met.

    Attributes:
        met: 1 for what each person met, (U, I).
    """

    met: sparse.csr_array

    def evidence(self, histories: Histories) -> NDArray[np.float32]:
        if histories.friends is None:
            return np.zeros((len(histories), histories.n_items), np.float32)
        counts = (histories.friends @ self.met).toarray()
        return evidence(np.where(counts >= LEAST, counts, 0.0))


def met_by_friends(friends: Sequence[Positions]) -> tuple[Positions, NDArray[np.float32]]:
    """Positions of the items that enough of these friends met, ascending, and s of each.

    Args:
        friends: What each of them met, each item once.
    """
    places, counts = np.unique(np.concatenate([np.zeros(0, np.intp), *friends]), return_counts=True)
    enough = counts >= LEAST
    return places[enough], counts[enough].astype(np.float32)
