"""Variance, BALD and A-optimality of a whole catalogue in one pass, exact, without a matrix of its length.

Memory: 4 (D + 2) bytes an item for the layout (D padded to a multiple of 4, the items to one of 128) and 4 for each aim
that is kept; while scoring, 4 more for the scores, and 40 for each item that comes within rounding of the best (a
handful, or all where all are alike). The double-precision factors stay the caller's.

``S = I − V Vᵀ`` with V (D, T) after T answers, so a pass multiplies by 2 T columns, not by D (:func:`~.forms.paired`).
Where there are many answers, a prior that is no unit matrix, or an aim of which nothing was kept, one with D columns
serves, in which nothing cancels (:func:`~.forms.diagonalised`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.fast.layout import CHUNK, PARTS, blocked, in_parts, round_up, within_rounding
from palate.acquisition.fast.quadratic_forms import cancels, diagonalised, low_rank, paired
from palate.arrays import Array, Mask, Positions
from palate.errors import OptionError
from palate.posteriors.belief import quadratic

Single = NDArray[np.float32]
Kind = Literal["variance", "bald", "a-optimal"]
KINDS: tuple[Kind, ...] = ("variance", "bald", "a-optimal")  # numbered as the kernels' constants
_TINY = 1e-30  # as in the kernels
_HIGHEST = 1e17  # its square, times the number of dimensions, still is a number in single precision


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """What the user may be shown: ``Q = Σ_j q_j w_j w_jᵀ``, (D, D), and ``w_iᵀ Q w_i``, (I,), where that was kept."""

    moment: Array
    energies: Single | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    """The best of a catalogue.

    Attributes:
        items: Their positions, best first, (k,) or fewer.
        values: Their scores in double precision, (k,).
        equal: How many items have the first one's score.
    """

    items: Positions
    values: Array
    equal: int


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """A catalogue laid out for scoring.

    Attributes:
        factors: (I, D), as given.
        noise: Variance of an answer given the taste, (I,), as given.
        blocks: The factors, (n, D', 128) float32.
        squares: |w_i|², (I,).
        noises: ``noise`` in single precision.
    """

    factors: Array
    noise: Array
    blocks: Single
    squares: Single
    noises: Single

    @classmethod
    def build(cls, factors: Array, noise: Array) -> Scorer:
        """From factors (I, D) and the variance of an answer given the taste, (I,).

        Raises:
            OptionError: If a number is not finite in single precision, or a noise is negative.
        """
        for name, values in (("factor", factors), ("noise", noise)):
            for extreme in (values.min(initial=0.0), values.max(initial=0.0)):  # NaN if there is one
                if not abs(extreme) < _HIGHEST:
                    raise OptionError(f"a {name} is {extreme:g}. Give finite numbers, below 1e17.")
        if (noise < 0).any():
            raise OptionError(f"a noise is {noise.min():g}. Give variances of at least 0.")
        return cls(
            factors,
            noise,
            blocked(factors),
            np.einsum("id,id->i", factors, factors).astype(np.float32),
            noise.astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.noise)

    def aim(self, targets: Array, *, keep: bool = False) -> Aim:
        """The targets' moment, from probabilities (I,), and, to ``keep`` for many scorings, each item's energy."""
        from palate.acquisition.fast.kernels import add_moment

        size = self.blocks.shape[1]
        targets = np.ascontiguousarray(targets, dtype=np.float64)
        parts = np.zeros((PARTS, size, size))
        in_parts(len(self.blocks), lambda part, first, last: add_moment(self.blocks, targets, first, last, parts[part]))
        lower = np.tril(parts.sum(0))[: self.factors.shape[1], : self.factors.shape[1]]
        moment = lower + np.tril(lower, -1).T
        return Aim(moment, self._energies(moment) if keep else None)

    def score(
        self,
        kind: Kind,
        covariance: Array,
        *,
        aim: Aim | None = None,
        weight: Array | None = None,
        allowed: Mask | None = None,
    ) -> Single:
        """Scores (I,), times ``weight`` (I,); -inf where not ``allowed`` (I,).

        They agree with :func:`palate.acquisition.belief.a_optimal.a_optimal` and its like to 1e-4 of the largest.

        Args:
            covariance: S of the belief, (D, D).
            aim: What a-optimal is aimed at.
        Raises:
            OptionError: If a-optimal has no aim.
        """
        return self._pass(kind, covariance, aim, weight, allowed)[0]

    def top(
        self,
        kind: Kind,
        covariance: Array,
        *,
        k: int = 1,
        aim: Aim | None = None,
        weight: Array | None = None,
        allowed: Mask | None = None,
        rng: np.random.Generator,
    ) -> Top:
        """The ``k`` best allowed items, without a sort of all: equal ones in an order drawn by ``rng``.

        What comes within rounding of the k-th is scored again in double precision, so the choice is that of the plain
        strategy. Arguments as for :meth:`score`.

        Raises:
            OptionError: If k is below 1, or a-optimal has no aim.
        """
        if k < 1:
            raise OptionError(f"k is {k}. Ask for at least 1 question.")
        scores, tops = self._pass(kind, covariance, aim, weight, allowed)
        near = within_rounding(scores, tops, k)
        values = self._exact(kind, near, covariance, aim)
        if weight is not None:
            values *= weight[near]
        order = np.lexsort((rng.random(len(near)), -values))[:k]
        equal = int((values == values[order[0]]).sum()) if len(order) else 0
        return Top(near[order], values[order], equal)

    def _pass(
        self,
        kind: Kind,
        covariance: Array,
        aim: Aim | None,
        weight: Array | None,
        allowed: Mask | None,
    ) -> tuple[Single, Single]:
        """Scores (I,) and the largest of each block."""
        if kind == "a-optimal" and aim is None:
            raise OptionError("a-optimal has no aim. Give aim=scorer.aim(targets).")
        scores, tops = np.empty(len(self), np.float32), np.empty(len(self.blocks), np.float32)
        weight = np.empty(0) if weight is None else np.ascontiguousarray(weight, dtype=np.float64)
        allowed = np.empty(0, dtype=bool) if allowed is None else np.ascontiguousarray(allowed)
        run = self._form(kind, covariance, aim)
        in_parts(len(self.blocks), lambda _, first, last: run(weight, allowed, first, last, scores, tops))
        return scores, tops

    def _form(self, kind: Kind, covariance: Array, aim: Aim | None) -> Callable[..., None]:
        """The kernel and the columns for this belief: of low rank where that is cheaper and loses nothing."""
        from palate.acquisition.fast.kernels import score_low_rank

        moment = aim.moment if aim is not None and kind == "a-optimal" else None
        energies = None if aim is None else aim.energies
        low = low_rank(covariance)
        if low is not None and moment is None:
            return self._squares_form(kind, self.squares, low, -1.0, np.zeros(low.shape[1]))
        if low is None or moment is None or energies is None or cancels(covariance, moment):
            root, gains = diagonalised(covariance, moment)
            return self._squares_form(kind, np.empty(0, np.float32), root, 1.0, gains)
        fixed = (
            KINDS.index(kind),
            self.blocks,
            self.squares,
            energies,
            self.noises,
            self._columns(paired(low, moment)),
        )
        return lambda *rest: score_low_rank(*fixed, *rest)

    def _squares_form(self, kind: Kind, base: Single, root: Array, sign: float, gains: Array) -> Callable[..., None]:
        from palate.acquisition.fast.kernels import score_squares

        columns = self._columns(root)
        padded = np.zeros(columns.shape[1], np.float32)
        padded[: len(gains)] = gains
        signs = np.full(columns.shape[1], sign, np.float32)
        fixed = (KINDS.index(kind), self.blocks, base, self.noises, columns, signs, padded)
        return lambda *rest: score_squares(*fixed, *rest)

    def _columns(self, columns: Array) -> Single:
        """Columns (D, K) in single precision, padded with zeros to the kernels' steps."""
        padded = np.zeros((self.blocks.shape[1], round_up(columns.shape[1], 4)), np.float32)
        padded[: columns.shape[0], : columns.shape[1]] = columns
        return padded

    def _energies(self, moment: Array) -> Single:
        """``w_iᵀ Q w_i``, (I,): the variance that a belief of covariance Q has, without noise."""
        silent = Scorer(self.factors, self.noise, self.blocks, self.squares, np.zeros_like(self.noises))
        return silent.score("variance", moment)

    def _exact(self, kind: Kind, items: Positions, covariance: Array, aim: Aim | None) -> Array:
        """Scores of some items in double precision, (n,), a chunk at a time."""
        scores = np.empty(len(items))
        moved = covariance if aim is None else covariance @ aim.moment @ covariance
        for start in range(0, len(items), CHUNK):
            some = items[start : start + CHUNK]
            factors, noise = self.factors[some], self.noise[some]
            spread = np.maximum(quadratic(factors, covariance), 0.0)
            if kind == "variance":
                found = spread + noise
            elif kind == "bald":
                found = 0.5 * np.log1p(spread / np.maximum(noise, _TINY))
            else:
                found = quadratic(factors, moved) / np.maximum(spread + noise, _TINY)
            scores[start : start + CHUNK] = found
        return scores
