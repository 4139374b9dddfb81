"""The inner loop of a rival, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def descend(gram: Any, some: Any, item: int, l1: float, l2: float, sweeps: int, tolerance: float) -> Any:
    """Coordinate descent of ½ w G w - w t + l1 Σ w + ½ l2 |w|² over w >= 0.

    Args:
        gram: Of all items, (I, I), symmetric; G are its rows and columns of ``some``, t those of ``some`` and ``item``.
        some: Items that may have a weight, (n,).
        item: Of which the weights are.
        l1, l2: What weights cost.
        sweeps: At most.
        tolerance: A sweep that moves no weight by more than this ends it.
    Returns:
        w, (n,).
    """
    n = len(some)
    weights, left = np.zeros(n), np.empty(n)
    for k in range(n):
        left[k] = gram[some[k], item]
    for _ in range(sweeps):
        moved = 0.0
        for k in range(n):
            row = gram[some[k]]
            own = row[some[k]]
            old = weights[k]
            new = max(0.0, left[k] + own * old - l1) / (own + l2)
            if new != old:
                weights[k] = new
                change = new - old
                for other in range(n):
                    left[other] -= row[some[other]] * change
                moved = max(moved, abs(change))
        if moved <= tolerance:
            break
    return weights
