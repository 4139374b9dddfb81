"""Ridge regression on several blocks of columns, each of a strength of its own, found by the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.arrays import Array

Places = tuple[int, ...]  # of the strength of each block on its grid

_CONSTANT = 1e-12  # energy below which encodings differ by rounding alone
_STRENGTHS = np.exp(np.linspace(18.0, -10.0, 57))  # half e-folds; of equal ones the strongest, so that nothing is off
_OFF = 0
_ROUNDS = 2  # over the blocks, in search of their strengths
_KEPT = 512  # decompositions kept for the next sweep


@dataclass(frozen=True, slots=True)
class Ridge:
    """The posterior of the weights for one choice of strengths: covariance (E, E), and what the bound needs of it.

    Attributes:
        covariance: V = (XᵀX + R)⁻¹.
        explained: tr(XᵀX V), the weights' doubt summed over the fitted items.
        complexity: log det (I + XᵀX R⁻¹).
        strengths: Of each column, (E,).
    """

    covariance: Array
    explained: float
    complexity: float
    strengths: Array


class Design:
    """The columns of the content as a regression sees them, and decompositions that many directions share."""

    def __init__(self, gram: Array, sizes: Sequence[int]) -> None:
        self.gram = gram
        ends = np.cumsum(sizes)
        self.blocks = [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        energy = np.diag(gram)
        means = [float(energy[block].mean()) if len(block) else 0.0 for block in self.blocks]
        self.grids = [_STRENGTHS * (mean if mean > _CONSTANT else 1.0) for mean in means]
        self._ridges: dict[Places, Ridge] = {}
        self._given: dict[tuple[int, Places], tuple[Array, Array]] = {}

    @property
    def off(self) -> Places:
        return (_OFF,) * len(self.blocks)

    def ridge(self, places: Places) -> Ridge:
        if places not in self._ridges:
            _make_room(self._ridges)
            strengths = self._columns(places)
            covariance, log_determinant = _inverse(self.gram + np.diag(strengths))
            explained = len(strengths) - float(strengths @ np.diag(covariance))
            complexity = log_determinant - float(np.log(strengths).sum())
            self._ridges[places] = Ridge(covariance, explained, complexity, strengths)
        return self._ridges[places]

    def _columns(self, places: Places) -> Array:
        return np.concatenate(
            [np.full(len(b), grid[at]) for b, grid, at in zip(self.blocks, self.grids, places, strict=True)]
        )

    def strengths(self, places: Sequence[Places]) -> Array:
        """Those of K directions at these places, (B, K)."""
        return np.stack([grid[list(at)] for grid, at in zip(self.grids, zip(*places, strict=True), strict=True)])

    def nearest(self, strengths: Array) -> list[Places]:
        """Where on the grids strengths, (B, K), lie."""
        pairs = zip(self.grids, strengths, strict=True)
        at = [np.abs(np.log(grid[:, None]) - np.log(row)).argmin(0) for grid, row in pairs]
        return [tuple(map(int, column)) for column in np.transpose(at)]

    def given_others(self, block: int, places: Places) -> tuple[Array, Array]:
        """What is left of a block where the others have these strengths: a map of projections and energies along it.

        Returns:
            (E_b, E) and (E_b,).
        """
        key = (block, (*places[:block], _OFF, *places[block + 1 :]))
        if key not in self._given:
            _make_room(self._given)
            mine = self.blocks[block]
            others = np.setdiff1d(np.arange(len(self.gram)), mine)
            precision = self.gram[np.ix_(others, others)] + np.diag(self._columns(places)[others])
            shared = np.linalg.solve(precision, self.gram[np.ix_(others, mine)])
            left = self.gram[np.ix_(mine, mine)] - self.gram[np.ix_(mine, others)] @ shared
            energy, axes = np.linalg.eigh((left + left.T) / 2)
            towards = np.zeros((len(mine), len(self.gram)))
            towards[:, mine] = axes.T
            towards[:, others] = -(shared @ axes).T
            self._given[key] = towards, np.maximum(energy, 0.0)
        return self._given[key]

    def best(self, projected: Array, places: Places) -> Places:
        """Strengths that make the collapsed bound of one direction largest, block after block from a start.

        Args:
            projected: Xᵀy, (E,).
        """
        found = list(places)
        for _ in range(_ROUNDS):
            before = tuple(found)
            for block in range(len(self.blocks)):
                gain = self.gains(projected, block, tuple(found))
                found[block] = int((gain >= gain.max() - 1e-9).argmax())
            if tuple(found) == before:
                break
        return tuple(found)

    def gains(self, projected: Array, block: int, places: Places) -> Array:
        """Twice the collapsed bound for each strength of a block, less what the other blocks give, (G,)."""
        towards, energy = self.given_others(block, places)
        grid = self.grids[block][:, None]
        return np.asarray((1.0 / (energy + grid)) @ (towards @ projected) ** 2 - np.log1p(energy / grid).sum(1))

    def best_of_all(self, projected: Array) -> Places:
        """The best of what is found when each block in turn comes first, the others being off."""
        found = [self.best(projected, start) for start in self._alone(projected)]
        return max(dict.fromkeys(found), key=lambda places: self.gain(projected, places))

    def averaged(self, projected: Array) -> tuple[Places, Array]:
        """The best of all, and coefficients averaged, by their evidence, over which blocks are heard, (E,).

        Each alone, and what is found from each: so what a block adds, where it may be chance, counts in part (Hoeting,
        Madigan, Raftery and Volinsky, Bayesian model averaging, Statistical Science 14(4), 1999).
        """
        alone = self._alone(projected)
        found = list(dict.fromkeys([*alone, *(self.best(projected, start) for start in alone)]))
        gains = np.array([self.gain(projected, places) for places in found])
        weights = np.exp((gains - gains.max()) / 2.0)
        means = np.stack([self.ridge(places).covariance @ projected for places in found])
        return found[int(gains.argmax())], weights @ means / weights.sum()

    def _alone(self, projected: Array) -> list[Places]:
        """Each block at its best where the others are off."""
        found = []
        for block in range(len(self.blocks)):
            gain = self.gains(projected, block, self.off)
            at = int((gain >= gain.max() - 1e-9).argmax())
            found.append((*self.off[:block], at, *self.off[block + 1 :]))
        return found

    def gain(self, projected: Array, places: Places) -> float:
        """Twice the collapsed bound of one direction, less that without content."""
        ridge = self.ridge(places)
        return float(projected @ ridge.covariance @ projected) - ridge.complexity


def _inverse(matrix: Array) -> tuple[Array, float]:
    """Inverse and log determinant of a symmetric positive definite matrix."""
    lower = np.linalg.cholesky(matrix)
    half = np.linalg.inv(lower)
    return half.T @ half, 2.0 * float(np.log(np.diag(lower)).sum())


def _make_room(kept: dict[Any, Any]) -> None:
    while len(kept) >= _KEPT:
        del kept[next(iter(kept))]
