"""The weights of events, and how many taste dimensions they carry, chosen by events held out.

What an event and a weak zero are worth differs between data sets by an order of magnitude, and a precision that is too
small takes real dimensions away: what is seen as noise is pruned. So a small fit is made with other weights, of people
drawn, and a fifth of their events are to be found in a list of ten. The search goes by factors of two and three from
the middle of what was best on any data looked at, and on as far as it gains: no best value lies at the edge of a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.posteriors.answers import Answers
from palate.posteriors.fit import fit
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Implicit
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.random import derive_rng
from palate.ranking.histories import list_ndcg

FEWEST = 2_000  # events below which nothing is chosen
MOST_EVENTS, MOST_ITEMS = 30_000, 5_000  # that are looked at
HELD_OUT = 0.2
DIM = 16  # of ratings, of likes and of few events
DIMS = (
    64,
    32,
)  # to begin with, of many events: the most of which there may be so many, and whose sums take little memory
_NUMBERS = 2**25  # of those sums, eight bytes each
_START = Implicit(40.0, 5.0, 1.0)
_OPTIONS = FitOptions(dim=32, sweeps=8, prune=0.0)
_RANGE = (1e-3, 1e5)
_STANDARD_ERRORS = 1.0  # over people, that a step must gain
_K, _ROWS = 10, 500


def choose_weights(answers: Answers, *, seed: int) -> Implicit:
    """The weights with which events held out are best found; the default ones where there are few.

    Args:
        answers: (U, I), for (above 0) and against.
    """
    held = _HeldOut.draw(answers, derive_rng(seed, "events"))
    if held is None:
        return Implicit()
    reached: dict[Implicit, Array] = {}

    def quality(likelihood: Implicit) -> Array:
        if likelihood not in reached:
            reached[likelihood] = held.quality(likelihood, seed)
        return reached[likelihood]

    before, best = None, _START
    while best != before:
        before = best
        for move in (_scaled, _raised):
            best = _along(best, move, quality)
    best = _along(best, _scattered, quality)
    without = replace(best, frequency=0.0)
    return without if _is_better(quality(without), quality(best)) else best


def dimensions(n_answers: int, shape: tuple[int, int], likelihood: Likelihood) -> int:
    """Taste dimensions to begin with; those the data does not support are dropped.

    Args:
        shape: Users and items.
    """
    if not likelihood.events_only or n_answers < FEWEST:
        return DIM
    n_users, n_items = shape
    able = (
        dim for dim in DIMS if n_items * (dim + 1) * (dim + 2) // 2 <= _NUMBERS and 4 * dim <= min(n_users, n_items)
    )
    return next(able, DIM)


def _along(
    best: Implicit, move: Callable[[Implicit, int], Implicit | None], quality: Callable[[Implicit], Array]
) -> Implicit:
    """One way or the other as far as it gains more than chance would."""
    for sign in (1, -1):
        moved = False
        while (after := move(best, sign)) is not None and _is_better(quality(after), quality(best)):
            best, moved = after, True
        if moved:
            break
    return best


def _is_better(one: Array, other: Array) -> bool:
    """Whether one quality of each person is better than the other, beyond chance, (n,) each."""
    gain = one - other
    return bool(gain.mean() > _STANDARD_ERRORS * gain.std() / np.sqrt(len(gain)))


def _scaled(of: Implicit, sign: int) -> Implicit | None:
    """Both precisions."""
    found = replace(of, confidence=of.confidence * 2.0**sign, background=of.background * 2.0**sign)
    return found if _RANGE[0] < found.background and found.confidence < _RANGE[1] else None


def _raised(of: Implicit, sign: int) -> Implicit | None:
    """That of a weak zero alone."""
    background = of.background * 2.0**sign
    return replace(of, background=background) if _RANGE[0] < background < of.confidence else None


def _scattered(of: Implicit, sign: int) -> Implicit | None:
    frequency = of.frequency * 3.0**sign
    return replace(of, frequency=frequency) if 0.01 < frequency < 100.0 else None


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Events of people drawn, (n, I), and those of them for something that are to be found, (n, I)."""

    left: Answers
    out: sparse.csr_matrix

    @classmethod
    def draw(cls, answers: Answers, rng: np.random.Generator) -> _HeldOut | None:
        """None where there are few, or nobody has two events for something of which one can be held out."""
        if answers.values.nnz < FEWEST:
            return None
        values = answers.values
        people = rng.permutation(values.shape[0])
        enough = int(np.searchsorted(np.cumsum(np.diff(values.indptr)[people]), MOST_EVENTS, side="right"))
        some = values[np.sort(people[: max(1, enough)])]
        counts = np.bincount(some.indices, minlength=some.shape[1])
        kept = np.sort(np.argsort(-counts, kind="stable")[: min(MOST_ITEMS, int((counts > 0).sum()))])
        some = sparse.csr_matrix(some[:, kept])
        is_out = (some.data > 0.0) & (rng.random(some.nnz) < HELD_OUT)
        rows = np.repeat(np.arange(some.shape[0]), np.diff(some.indptr))
        left, out = (_where(some, rows, is_of) for is_of in (~is_out, is_out))
        able = np.flatnonzero(np.diff(left.indptr) > 0)
        if not out[able].nnz:
            return None
        return cls(Answers(left[able]), out[able])

    def quality(self, likelihood: Implicit, seed: int) -> Array:
        """NDCG@10 of each of those who have something to be found, (n,)."""
        values, weights = likelihood.observed(self.left.values.data)
        observed = Answers(self.left.matrix(values), weights)
        met = np.unique(self.left.values.indices)
        fitted = fit(observed.of_items(met), likelihood=likelihood, options=_OPTIONS, rng=np.random.default_rng(seed))
        taste = Taste.build(Items.of_packed(fitted.factors, fitted.covariances, fitted.noise, "diagonal"), likelihood)
        wanted = np.flatnonzero(np.diff(self.out.indptr) > 0)
        found = []
        for first in range(0, len(wanted), _ROWS):
            rows = wanted[first : first + _ROWS]
            seen, out = sparse.csr_matrix(self.left.values[rows][:, met]), self.out[rows][:, met].toarray() > 0.0
            scores = taste.items.level + taste.believe(seen).score(taste.items.factors)
            scores[seen.nonzero()] = -np.inf
            found.append(list_ndcg(scores, out, np.diff(self.out[rows].indptr)))
        return np.concatenate(found)


def _where(matrix: sparse.csr_matrix, rows: NDArray[np.intp], entries: NDArray[np.bool_]) -> sparse.csr_matrix:
    parts = (matrix.data[entries], (rows[entries], matrix.indices[entries]))
    return sparse.csr_matrix(parts, shape=matrix.shape)
