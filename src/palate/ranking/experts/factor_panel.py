"""Which of a few settings of the factors: those with the best lists for people held back.

What is best for histories of a few items is not what is best for long ones, so there are two. The best of eight, spread
over what was best on any data looked at, then of fewer and more factors; the weights of the list do the rest. A search
that climbed on from there took ten times as long, and no list was better (docs/lab-notes.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.ranking.experts.factors import FactorSettings, fit_factors
from palate.ranking.held_back import Task
from palate.ranking.histories import list_ndcg

DIM, OTHERS = 64, (32, 128)
PANEL = tuple(
    FactorSettings(DIM, ratio, ridge)
    for ratio, ridge in (
        (0.3, 0.03), (0.3, 0.006), (0.1, 0.02), (0.1, 0.006), (0.03, 0.03), (0.03, 0.01), (0.01, 0.1), (0.01, 0.03)
    )
)  # fmt: skip
_SHORT = 6  # items of a short history at most
_CASES = 1_500  # of a task that are looked at, at most
_CELLS = 4_000_000  # people times items at once
Score = Callable[[sparse.csr_array], NDArray[np.float32]]


def choose_factors(tasks: Sequence[Task], rng: np.random.Generator) -> tuple[FactorSettings, FactorSettings]:
    """For short histories, and for long ones.

    Args:
        rng: Source of the starts.
    """
    seed = int(rng.integers(2**31))
    first = {settings: _qualities(tasks, settings, seed) for settings in PANEL}
    found = []
    for side in (0, 1):
        best = max(PANEL, key=lambda settings: first[settings][side])
        near = {best: first[best], **{one: _qualities(tasks, one, seed) for one in _of_other_sizes(best)}}
        found.append(max(near, key=lambda settings: near[settings][side]))
    return found[0], found[1]


def _of_other_sizes(settings: FactorSettings) -> list[FactorSettings]:
    return [replace(settings, dim=dim) for dim in OTHERS]


def _qualities(tasks: Sequence[Task], settings: FactorSettings, seed: int) -> tuple[float, float]:
    """Mean NDCG@10 for short histories, and for long ones."""
    reached = np.zeros(2)
    for task in tasks:
        met = task.counted
        rows = sparse.csr_array((np.ones(len(met)), (met.users, met.items)), shape=(met.n_users, met.n_items))
        if settings.dim > min(rows.shape):  # no more directions than there are
            settings = replace(settings, dim=min(rows.shape))
        sizes, found = _quality(task, fit_factors(rows, settings, rng=np.random.default_rng(seed)).score)
        short = (sizes > 0) & (sizes <= _SHORT)
        reached += [found[some].mean() if some.any() else 0.0 for some in (short, sizes > _SHORT)]
    return float(reached[0]), float(reached[1])


def _quality(task: Task, score: Score) -> tuple[NDArray[np.intp], Array]:
    """How much was known, and NDCG@10, of each of some cases, (n,) each."""
    drawn = np.unique(np.linspace(0, len(task.weights) - 1, min(_CASES, len(task.weights))).astype(int))
    parts, step = [], max(1, _CELLS // task.histories.n_items)
    seen, later = task.histories.matrix()[drawn], task.later.matrix()[drawn]
    for first in range(0, len(drawn), step):
        some = slice(first, first + step)
        scores = score(seen[some])
        scores[:, ~task.known] = -np.inf
        scores[seen[some].nonzero()] = -np.inf
        parts.append(list_ndcg(scores, later[some].toarray() > 0, np.diff(later[some].indptr)))
    return task.histories.sizes[drawn], np.concatenate(parts)
