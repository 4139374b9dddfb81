"""Whether what comes in one by one has come to be worse, looked at as often as one likes.

Each observation ``u`` is in [0, 1], and a mean of at least ``m`` is what is expected of it. A bet of ``λ`` that it is
less multiplies a stake by ``1 + λ (m − u)``. While the mean is at least ``m`` no such game can be expected to win, so
it ever multiplies the stake by ``1 / α`` with probability α at most (Ville). Half of the stake is laid from the first
observation on; the rest is laid little by little, so that what turns bad late is found by what came since. The bets
are several, from small ones, which find a small fall, to large ones.

References:
    Waudby-Smith, Ramdas, Estimating means of bounded random variables by betting, Journal of the Royal Statistical
    Society B 86, 2024; Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection,
    New England Journal of Statistics in Data Science 2, 2024.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from palate.arrays import Array

STARTS = 1.0 / 100.0  # of the stake that is not laid yet, with each observation
_BETS = np.array([0.1, 0.25, 0.5, 0.75, 0.95])  # shares of the largest bet that cannot ruin
_HIGHEST, _MOST = 0.99, 1e300


def evidence(seen: npt.ArrayLike, least: npt.ArrayLike) -> Array:
    """What the stake has become after each observation, (n,): from ``1 / α`` on it says that the mean has fallen.

    Args:
        seen: Observations in order, in [0, 1], (n,).
        least: Mean that is expected of each, at least, (n,) or one.
    """
    values = np.asarray(seen, dtype=np.float64)
    expected = np.minimum(np.broadcast_to(np.asarray(least, dtype=np.float64), values.shape), _HIGHEST)
    laid, left, found = np.full(len(_BETS), 0.5), 0.5, np.empty(len(values))
    gains = 1.0 + _BETS / (1.0 - expected[:, None]) * (expected - values)[:, None]
    for place, gain in enumerate(gains):
        laid, left = np.minimum((laid + STARTS * left) * gain, _MOST), left * (1.0 - STARTS)
        found[place] = laid.mean() + left
    return found


def fell_at(seen: npt.ArrayLike, least: npt.ArrayLike) -> int:
    """From which observation on the mean lies farthest below what is expected, by the sum (Page's test)."""
    short = np.asarray(least, dtype=np.float64) - np.asarray(seen, dtype=np.float64)
    since = np.cumsum(short[::-1])[::-1]
    return int(since.argmax()) if len(since) else 0
