"""Which of a few settings of the factors: those with the best lists for people held back.

What is best for histories of a few items is not what is best for long ones, so there are two. A panel of twelve, spread
over what was best on any data looked at, and the weights of the list do the rest: a search that climbed on from there
took twenty times as long, and no list was better (docs/lab-notes.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.ranking.experts.factors import FactorSettings, fit_factors
from palate.ranking.held_back import Task

PANEL = tuple(
    FactorSettings(dim, ratio, ridge)
    for dim in (32, 128)
    for ratio, ridge in ((0.3, 0.006), (0.1, 0.006), (0.1, 0.02), (0.03, 0.02), (0.03, 0.06), (0.01, 0.06))
)
_SHORT = 6  # items of a short history at most
_CASES = 1_500  # of a task that are looked at, at most
_CELLS = 4_000_000  # people times items at once
_K = 10
Score = Callable[[sparse.csr_array], NDArray[np.float32]]


def choose_factors(tasks: Sequence[Task], rng: np.random.Generator) -> tuple[FactorSettings, FactorSettings]:
    """For short histories, and for long ones.

    Args:
        rng: Source of the starts.
    """
    seed = int(rng.integers(2**31))
    reached = np.zeros((len(PANEL), 2))
    for task in tasks:
        met = task.counted
        rows = sparse.csr_array((np.ones(len(met)), (met.users, met.items)), shape=(met.n_users, met.n_items))
        for place, settings in enumerate(PANEL):
            if settings.dim > min(rows.shape):  # no more directions than there are
                continue
            factors = fit_factors(rows, settings, rng=np.random.default_rng(seed))
            sizes, found = _quality(task, factors.score)
            short = (sizes > 0) & (sizes <= _SHORT)
            reached[place] += [found[some].mean() if some.any() else 0.0 for some in (short, sizes > _SHORT)]
    few, most = reached.argmax(0).tolist()
    return PANEL[few], PANEL[most]


def _quality(task: Task, score: Score) -> tuple[NDArray[np.intp], Array]:
    """How much was known, and NDCG@10, of each of some cases, (n,) each."""
    drawn = np.unique(np.linspace(0, len(task.weights) - 1, min(_CASES, len(task.weights))).astype(int))
    discount, parts = 1.0 / np.log2(np.arange(2, _K + 2)), []
    k = min(_K, task.histories.n_items)
    step = max(1, _CELLS // task.histories.n_items)
    seen, later = task.histories.matrix()[drawn], task.later.matrix()[drawn]
    for first in range(0, len(drawn), step):
        some = slice(first, first + step)
        scores = score(seen[some])
        scores[:, ~task.known] = -np.inf
        scores[seen[some].nonzero()] = -np.inf
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
        hits = np.take_along_axis(later[some].toarray() > 0, np.take_along_axis(top, order, 1), 1)
        parts.append(hits @ discount[:k] / discount.cumsum()[np.minimum(np.diff(later[some].indptr), _K) - 1])
    return task.histories.sizes[drawn], np.concatenate(parts)
