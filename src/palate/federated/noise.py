"""Gaussian noise on the whole numbers of a sum, from the system's secure generator unless a test gives another.

A normal draw rounded to whole units and added to a sum in whole units is the sum with the draw, rounded: so it is as
private as the Gaussian mechanism, and nothing is left in low bits that no rounding covers.
"""

from __future__ import annotations

import os

import numpy as np
from scipy.special import ndtri

from palate.arrays import Array
from palate.federated.fixed_point import SCALE, Words


def noised(total: Words, std: float, rng: np.random.Generator | None = None) -> Words:
    """A sum with noise of this standard deviation, in units of its numbers; as it is for 0.

    Args:
        rng: For simulations and tests; None: the system's secure generator.
    """
    if std == 0.0:
        return total
    draws = _secure_normal(len(total)) if rng is None else rng.normal(size=len(total))
    return total + np.rint(std * SCALE * draws).astype(np.int64).view(np.uint64)


def _secure_normal(n: int) -> Array:
    """Standard normal numbers, (n,): two quantiles of 52 random bits each, added.

    In the tail the quantiles lie further apart than whole units do: past 5.8, fewer than one unit in two can be drawn
    with noise of 10⁸ units, and which one was drawn tells the sum. Sums of two lie dense to beyond 10, which no draw
    reaches (Holohan, Braghin, *Secure random sampling in differential privacy*, ESORICS 2021).
    """
    bits = np.frombuffer(os.urandom(16 * n), dtype=np.uint64).reshape(2, n) >> np.uint64(12)
    return np.asarray(ndtri((bits.astype(np.float64) + 0.5) / 2.0**52).sum(0) / np.sqrt(2.0))
