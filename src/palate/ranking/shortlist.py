"""Which items of a large catalogue can be among the k best of a list, without exact scores of all.

A score is a sum of terms that are the same for all (levels), evidence ``w log(1 + s / (c mean s))``, ``w log P(know)``
and ``log P(like) = log Φ(mean / √(variance + noise))``. One pass in single precision bounds each: of the variance the
extreme eigenvalues of the belief's covariance times ``|w|²`` are taken, so that no D × D product is needed. The items
whose upper bound reaches the k-th best lower bound are scored again in double precision by the caller, so the list is
that of the plain computation.

Memory: 4 (D + E + 5) bytes an item for the layout, D dimensions of taste and E of exposure, each padded to a multiple
of 4; while scoring 4 for the bounds and 4 for every evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from palate.arrays import Array, Mask, Positions
from palate.machine import on_threads
from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items

Single = NDArray[np.float32]
_PARTS = 16  # of a pass, shared among threads; fixed, so that sums do not depend on their number
_CHUNK = 8192  # items converted at once
_LOOKED_AT = 4  # times k: blocks with the highest bounds, of whose items the k-th best is a lower bound
_ROUNDING = 1e-3  # error of a bound, relative to its size or to 1


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Rows of numbers, (I, D), in single precision and blocks of items, (n, D', BLOCK), padded with zeros."""

    values: Single

    @classmethod
    def of(cls, rows: Array) -> Blocks:
        from palate.ranking.shortlist_kernel import BLOCK, ROWS

        items, dim = rows.shape
        values = np.zeros((-(-items // BLOCK), max(ROWS, -(-dim // ROWS) * ROWS), BLOCK), np.float32)
        for start in range(0, items, _CHUNK):
            some = rows[start : start + _CHUNK].astype(np.float32)
            whole, first = len(some) // BLOCK * BLOCK, start // BLOCK
            values[first : first + whole // BLOCK, :dim] = (
                some[:whole].reshape(whole // BLOCK, BLOCK, dim).transpose(0, 2, 1)
            )
            if whole < len(some):
                values[first + whole // BLOCK, :dim, : len(some) - whole] = some[whole:].T
        return cls(values)

    def vector(self, numbers: Array) -> Single:
        """Numbers (D,), padded to D'."""
        padded = np.zeros(self.values.shape[1], np.float32)
        padded[: len(numbers)] = numbers
        return padded

    def products(self, numbers: Array) -> tuple[Single, float]:
        """What of the products with numbers (D,) is above 0, (n · BLOCK,), and its sum."""
        from palate.ranking.shortlist_kernel import BLOCK, multiply

        n = len(self.values)
        found, sums, vector = np.empty(n * BLOCK, np.float32), np.empty(n), self.vector(numbers)
        _in_parts(n, lambda first, last: multiply(self.values, vector, first, last, found, sums))
        return found, float(sums.sum())


@dataclass(frozen=True, slots=True)
class Terms:
    """What the scores of one user are made of.

    Attributes:
        linear: Weights, and terms in single precision, (I,) or padded, each.
        evidence: Weights, 1 / (c mean s), and s ≥ 0 likewise.
        exposure: What the user is believed to know, and the weight of log P(know); None without.
        taste: What they are believed to like; None where nothing is said of that.
        shift: What is added to the mean of liking, (I,); None: nothing.
    """

    linear: Sequence[tuple[float, Single]] = ()
    evidence: Sequence[tuple[float, float, Single]] = ()
    exposure: tuple[float, Belief] | None = None
    taste: Belief | None = None
    shift: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What no score is above.

    Attributes:
        upper: -inf where an item is not allowed, (n · BLOCK,).
        tops: The largest of each block, (n,).
    """

    upper: Single
    tops: Single

    def of(self, allowed: Mask) -> Bounds:
        """Those of some of the items, (I,)."""
        upper = np.full_like(self.upper, -np.inf)
        np.copyto(upper[: len(allowed)], self.upper[: len(allowed)], where=allowed)
        return Bounds(upper, upper.reshape(len(self.tops), -1).max(1))

    @property
    def log_total(self) -> float:
        """The logarithm of the sum of their exponentials; -inf of none."""
        most = self.tops.max(initial=-np.inf)
        return float(most + np.log(np.exp(self.upper - most).sum())) if np.isfinite(most) else -np.inf

    def best(self, k: int, exact: Callable[[Positions], Array]) -> tuple[Positions, Array]:
        """Positions, ascending, and exact scores of all items that may be among the k best: a few more than k.

        Args:
            k: At least 1.
            exact: Scores of some items in double precision.
        """
        n = min(_LOOKED_AT * k, len(self.tops))
        first = np.sort(np.argpartition(-self.tops, n - 1)[:n])
        some, reach = self._inside(first), -np.inf
        scores = exact(some)
        if k <= len(some):
            least = float(np.partition(scores, -k)[-k])  # the k-th best is no worse
            reach = least - _ROUNDING * max(1.0, abs(least))
        more = self._inside(np.setdiff1d(np.flatnonzero(self.tops >= reach), first))
        more, near = more[self.upper[more] >= reach], self.upper[some] >= reach
        items, values = np.concatenate([some[near], more]), np.concatenate([scores[near], exact(more)])
        order = np.argsort(items)
        return items[order], values[order]

    def _inside(self, blocks: Positions) -> Positions:
        """Positions of the items of some blocks."""
        size = len(self.upper) // len(self.tops)
        places = (blocks[:, None] * size + np.arange(size)).ravel()
        return np.asarray(places[self.upper[places] > -np.inf])


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A catalogue as the pass reads it.

    Attributes:
        taste, exposure: Factors, and loadings of who knows what.
        columns: By name ``squares`` (|w|²), ``noise`` of an answer, ``level`` above the cut of liking, ``rate`` and
            ``floor`` of P(know), (n · BLOCK,) each.
    """

    n_items: int
    taste: Blocks
    exposure: Blocks
    columns: dict[str, Single] = field(repr=False)

    @classmethod
    def build(cls, items: Items, like_level: Array, answerability: Answerability) -> Layout:
        """Of I items.

        Args:
            like_level: Level of each above where liking begins, (I,).
        """
        taste, exposure = Blocks.of(items.factors), Blocks.of(answerability.loadings)
        columns = {
            "squares": np.einsum("id,id->i", items.factors, items.factors),
            "noise": items.answer_noise,
            "level": like_level,
            "rate": answerability.rate,
            "floor": answerability.floor,
        }
        return cls(len(items), taste, exposure, {name: _padded(values) for name, values in columns.items()})

    def bounds(self, terms: Terms, allowed: Mask) -> Bounds:
        """Upper bounds of the scores of all allowed items, (I,)."""
        from palate.ranking.shortlist_kernel import BLOCK, bound

        n = len(self.taste.values)
        size, column = n * BLOCK, self.columns
        upper, tops = np.empty(size, np.float32), np.empty(n, np.float32)
        free = np.zeros(size, dtype=bool)
        free[: self.n_items] = allowed
        taste = terms.taste
        spread = np.zeros(1) if taste is None or not taste.dim else np.linalg.eigvalsh(taste.covariance)
        weight, exposure = (0.0, None) if terms.exposure is None else terms.exposure
        fixed = (
            self.taste.values,
            np.zeros(0, np.float32) if taste is None else self.taste.vector(taste.mean),
            column["squares"],
            column["noise"],
            column["level"] if terms.shift is None else _sum([(1.0, column["level"]), (1.0, terms.shift)], size),
            max(float(spread[0]), 0.0),
            max(float(spread[-1]), 0.0),
            self.exposure.values,
            np.zeros(0, np.float32) if exposure is None else self.exposure.vector(exposure.mean),
            column["rate"],
            column["floor"],
            weight,
            _sum(terms.linear, size),
            _rows([one[-1] for one in terms.evidence], size),
            np.array([one[0] for one in terms.evidence], np.float32),
            np.array([one[1] for one in terms.evidence], np.float32),
            _table(),
            free,
        )
        _in_parts(n, lambda first, last: bound(*fixed, first, last, upper, tops))
        return Bounds(upper, tops)


def _sum(terms: Sequence[tuple[float, Single | Array]], size: int) -> Single:
    """Terms times their weights, padded with zeros, (size,)."""
    total = np.zeros(size, np.float32)
    for place, (weight, values) in enumerate(terms):
        if place == 0:
            np.multiply(values, np.float32(weight), out=total[: len(values)], casting="same_kind")
        else:
            total[: len(values)] += weight * values
    return total


def _rows(parts: Sequence[Single], size: int) -> Single:
    """Columns of a pass, (n, size), padded with zeros."""
    rows = np.zeros((len(parts), size), np.float32)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    return rows


def _padded(values: Array) -> Single:
    """A column of the layout; what is added has noise 1, so that a division gives a number."""
    from palate.ranking.shortlist_kernel import BLOCK

    padded = np.ones(-(-len(values) // BLOCK) * BLOCK, np.float32)
    padded[: len(values)] = values
    return padded


@cache
def _table() -> Single:
    """The logarithm of Φ at the nodes of the kernel."""
    from palate.ranking.shortlist_kernel import LOWEST, PER_UNIT

    return np.asarray(log_ndtr(np.arange(LOWEST, -LOWEST + 2 / PER_UNIT, 1 / PER_UNIT)), dtype=np.float32)


def _in_parts(blocks: int, work: Callable[[int, int], None]) -> None:
    """Calls ``work(first, last)`` for parts of the blocks, on as many threads as there are cores."""
    bounds = np.linspace(0, blocks, _PARTS + 1).astype(int).tolist()
    on_threads(work, bounds[:-1], bounds[1:])
