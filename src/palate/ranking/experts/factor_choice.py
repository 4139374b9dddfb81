"""Settings of the factors, chosen by what people who were held back met next.

The list of each of them is made of a history alone, as it will be of whoever comes: once of a few items, once of most
of theirs, and judged by NDCG@10 over all items known. What is best for the one is not for the other, on any data looked
at: of a few items a list is better by two to four times the ridge, however people are made of histories afterwards
(docs/lab-notes.md). So there are two settings.

The search goes by factors of three, then finer, as far as it gains, so that no best value lies at the edge of a grid;
where fewer factors are as good as more, to half a percent, they are taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import DataError
from palate.ranking.experts.factors import FactorSettings, fit_factors

DIMS = (8, 16, 32, 64, 128)
MOST_EVENTS, MOST_ITEMS, MOST_PEOPLE = 200_000, 20_000, 1_000  # that are looked at: seconds for any log
MOST_NUMBERS = 2**26  # I times D: four bytes each
FEW, MOST = 3, 0.8  # of the items of somebody held back, that are their history
_FACTORS = (3.0, 1.6)
_PARTS = 5
_WORTH = 0.005  # share by which twice as many factors must be better
_RATIOS, _RIDGES = (1e-6, 1e3), (1e-6, 1e3)
_K, _CELLS = 10, 2**24


@dataclass(frozen=True, slots=True, eq=False)
class HeldBack:
    """People whose rows are in no fit, each in two rows: of a few items, and of most.

    Attributes:
        counted: What the others met, (U, I).
        histories: What is known, (C, I).
        later: What is to be found, (C, I), each row with one item or more.
        is_few: Which rows are of a few items, (C,).
    """

    counted: sparse.csr_array
    histories: sparse.csr_array
    later: sparse.csr_array
    is_few: NDArray[np.bool_]

    def qualities(self, settings: FactorSettings, rng: np.random.Generator) -> Array:
        """Sum of NDCG@10 over histories of a few items, and of most, (2,)."""
        factors, n_items = fit_factors(self.counted, settings, rng=rng), self.counted.shape[1]
        block, found = max(1, _CELLS // n_items), []
        for first in range(0, len(self.is_few), block):
            seen, later = self.histories[first : first + block], self.later[first : first + block]
            scores = factors.score(seen)
            scores[seen.nonzero()] = -np.inf
            found.append(_ndcg(scores, later))
        reached = np.concatenate(found)
        return np.array([reached[self.is_few].sum(), reached[~self.is_few].sum()])


def held_back(met: sparse.csr_array, *, rng: np.random.Generator) -> list[HeldBack]:
    """A fifth of those who met two items or more, and each other fifth, until they are as many as needed.

    Args:
        met: (U, I), each pair once. Of a large one no more people are counted than needed.
    Raises:
        DataError: If fewer than two people met two items or more.
    """
    met = sparse.csr_array(met)
    several = rng.permutation(np.flatnonzero(np.diff(met.indptr) > 1))
    if len(several) < 2:
        raise DataError(f"{len(several)} people met two items or more. Factors need two such people.")
    parts = np.array_split(several, min(_PARTS, len(several)))
    enough = math.ceil(MOST_PEOPLE / len(parts[0]))
    return [task for part in parts[:enough] if len((task := _without(met, part[:MOST_PEOPLE], rng)).is_few)]


def _without(met: sparse.csr_array, people: NDArray[np.intp], rng: np.random.Generator) -> HeldBack:
    """These people held back from the others."""
    others = rng.permutation(np.setdiff1d(np.arange(met.shape[0]), people))
    events = np.cumsum(np.diff(met.indptr)[others])
    counted = met[np.sort(others[: max(1, int(np.searchsorted(events, MOST_EVENTS, side="right")))])]
    counts = np.bincount(counted.indices, minlength=met.shape[1])
    kept = np.sort(np.argsort(-counts, kind="stable")[: min(MOST_ITEMS, int((counts > 0).sum()))])
    theirs, parts = sparse.csr_array(met[people][:, kept]), []
    for own in np.split(theirs.indices, theirs.indptr[1:-1]):
        if len(own) > 1:
            own = rng.permutation(own)
            parts += [(own[:n], own[n:]) for n in (min(FEW, len(own) - 1), math.ceil(MOST * (len(own) - 1)))]
    histories, later = (_rows([part[side] for part in parts], len(kept)) for side in (0, 1))
    return HeldBack(sparse.csr_array(counted[:, kept]), histories, later, np.arange(len(parts)) % 2 == 0)


def choose_settings(
    met: sparse.csr_array, *, rng: np.random.Generator, dims: Sequence[int] = DIMS
) -> tuple[FactorSettings, FactorSettings]:
    """The settings with the best NDCG@10 for histories of a few items, and for long ones.

    Args:
        met: (U, I), each pair once.
        rng: Source of the people drawn and of the starts.
        dims: To choose from, ascending.
    Raises:
        DataError: If fewer than two people met two items or more.
    """
    tasks, seed, n_items = held_back(met, rng=rng), int(rng.integers(2**31)), met.shape[1]
    able = [dim for dim in dims if dim * n_items <= MOST_NUMBERS] or [dims[0]]
    able = [dim for place, dim in enumerate(able) if not place or able[place - 1] < n_items]
    reached: dict[FactorSettings, Array] = {}

    def qualities(settings: FactorSettings) -> Array:
        if settings not in reached:
            totals = [task.qualities(settings, np.random.default_rng(seed)) for task in tasks]
            reached[settings] = np.sum(totals, 0)
        return reached[settings]

    few, most = (_chosen(able, lambda settings, of=of: float(qualities(settings)[of])) for of in (0, 1))
    return few, most


def _chosen(dims: Sequence[int], quality: Callable[[FactorSettings], float]) -> FactorSettings:
    """Ratio and ridge of a middling dim, then the dim: what is best for one is nearly so for the next."""
    best = FactorSettings(dim=dims[len(dims) // 2])
    for factor in _FACTORS:
        best = _climbed(best, factor, quality)
    best = max((best, replace(best, frequency=False)), key=quality)
    place = dims.index(best.dim)
    for dim in dims[place + 1 :]:
        if quality(larger := replace(best, dim=dim)) <= (1.0 + _WORTH) * quality(best):
            break
        best = larger
    for dim in dims[place - 1 :: -1] if best.dim == dims[place] and place else ():
        if quality(smaller := replace(best, dim=dim)) < (1.0 - _WORTH) * quality(best):
            break
        best = smaller
    return best


def _climbed(best: FactorSettings, factor: float, quality: Callable[[FactorSettings], float]) -> FactorSettings:
    """From there on by this factor, as long as one step gains."""
    while True:
        near = [_moved(best, factor**up, factor**on) for up, on in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, -1), (-1, 1))]
        better = max(near, key=quality)
        if quality(better) <= quality(best):
            return best
        best = better


def _moved(settings: FactorSettings, ratio: float, ridge: float) -> FactorSettings:
    return replace(
        settings,
        ratio=float(np.clip(settings.ratio * ratio, *_RATIOS)),
        ridge=float(np.clip(settings.ridge * ridge, *_RIDGES)),
    )


def _ndcg(scores: NDArray[np.float32], later: sparse.csr_array) -> Array:
    """NDCG@10 of each row, (n,)."""
    k = min(_K, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    top = np.take_along_axis(top, order, 1)
    wanted = np.zeros(scores.shape, dtype=bool)
    wanted[later.nonzero()] = True
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    found = np.take_along_axis(wanted, top, 1) @ discount
    return np.asarray(found / np.cumsum(discount)[np.minimum(np.diff(later.indptr), k) - 1])


def _rows(sets: Sequence[NDArray[np.intp]], n_items: int) -> sparse.csr_array:
    """Sets of items as rows of 0 and 1."""
    indices = np.concatenate([*sets, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    ends = np.cumsum([0, *map(len, sets)])
    return sparse.csr_array((np.ones(len(indices)), indices, ends), shape=(len(sets), n_items))
