"""What several encodings say of an item before any answer: a ridge regression a modality, each of its own relevance.

    w̃_i ~ N(mean + Σ_b B_bᵀ x_ib, Λ),        B_b ~ MN(0, I, Γ_b)

``x_ib`` is the item's centred encoding in block b: its text, its image, its sound, its categories. In the coordinates
where Λ is the identity, direction a is a ridge regression on all blocks with a strength ``ρ_ba`` for each. The
strengths maximise the collapsed bound, the weights integrated out, one block after the other (automatic relevance
determination; MacKay, Neural Computation 4(3), 1992; Neal, Bayesian learning for neural networks, 1996): a block that
says nothing of a direction beyond what the others say is switched off there, and blocks that say the same share it.

An item without block b has its mean there. What it might have been is not known, so ``B_bᵀ Cov(x_b) B_b`` and the doubt
about ``B_b`` go into the item's covariance. Λ is learnt from all fitted items, those without the block too, and holds
their share of it already; only the rest is added.

With one complete block the sweeps are those of :class:`palate.posteriors.linear_prior.LinearPrior`, where one
decomposition serves all. After the last, :mod:`palate.posteriors.collapsed_prior` integrates the items' factors out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True, slots=True)
class _Choice:
    """Coefficients in one set of directions.

    Attributes:
        back: From there to level and factors, (A, A).
        places: Of the strengths of each direction, (A).
        coefficients: (E, A).
        doubt: About the fitted items' means, summed, (A, A).
        divergence: Of the coefficients from their prior, in nats.
    """

    back: Array
    places: tuple[Places, ...]
    coefficients: Array
    doubt: Array
    divergence: float


@dataclass(frozen=True, slots=True)
class FusedPrior:
    """Prior of an item's level and factors given encodings in several blocks, any of which an item may lack.

    In every method ``content`` is (I, E), the blocks side by side; a block that an item lacks is NaN.

    Attributes:
        mean: Population mean, (A,).
        covariance: Λ, (A, A).
        coefficients: (E, A), block under block.
        centre: Mean encoding, of the items that have it, (E,).
        gram: Sum over the fitted items of the products of their centred encodings, (E, E).
        items: How many were fitted.
        sizes: Columns of each block, (B).
        back: Directions in which the coefficients are independent, one a column, (A, K).
        strengths: ρ, (B, K).
    """

    mean: Array
    covariance: Array
    coefficients: Array
    centre: Array
    gram: Array
    items: int
    sizes: tuple[int, ...]
    back: Array
    strengths: Array
    _design: Design = field(repr=False, compare=False)

    @classmethod
    def build(cls, *, gram: Array, sizes: Sequence[int], **parts: object) -> FusedPrior:
        """From its parts, as a model folder keeps them."""
        sizes = tuple(map(int, sizes))
        return cls(gram=gram, sizes=sizes, _design=Design(gram, sizes), **parts)  # type: ignore[arg-type]

    @classmethod
    def start(cls, mean: Array, covariance: Array, content: Array, sizes: Sequence[int]) -> FusedPrior:
        """A prior that does not yet listen to content."""
        has = ~np.isnan(content)
        centre = np.where(has, content, 0.0).sum(0) / np.maximum(has.sum(0), 1)
        centred = np.where(has, content - centre, 0.0)
        design = Design(centred.T @ centred, sizes)
        off = np.array([grid[_OFF] for grid in design.grids])
        return cls.build(
            mean=mean,
            covariance=covariance,
            coefficients=np.zeros((len(centre), len(mean))),
            centre=centre,
            gram=design.gram,
            items=len(content),
            sizes=sizes,
            back=np.linalg.cholesky(covariance),
            strengths=np.tile(off[:, None], len(mean)),
        )

    @property
    def uses_content(self) -> bool:
        return True

    def centred(self, content: Array) -> Array:
        return np.where(np.isnan(content), 0.0, content - self.centre)

    def predict(self, content: Array | None, n_items: int) -> Array:
        """Prior means of level and factors, (I, A)."""
        if content is None:
            return np.broadcast_to(self.mean, (n_items, len(self.mean)))
        return np.asarray(self.mean + self.centred(content) @ self.coefficients)

    def parts(self, content: Array) -> Array:
        """By how much each block moves each item's prior mean from the population's, (I, B, A)."""
        centred, ends = self.centred(content), np.cumsum(self.sizes)
        spans = [slice(end - size, end) for size, end in zip(self.sizes, ends, strict=True)]
        return np.stack([centred[:, span] @ self.coefficients[span] for span in spans], 1)

    def covariances(self, content: Array | None, n_items: int) -> Array:
        """Prior covariance of each item, (I, A, A): Λ, what is not known of the coefficients and of blocks it lacks."""
        if content is None:
            content = np.full((1, len(self.centre)), np.nan)
            return np.tile(self.covariances(content, 1), (n_items, 1, 1))
        centred, lacks = self.centred(content), np.isnan(content)
        all_places = self._places()
        ridges = [self._design.ridge(places) for places in all_places]
        # many directions share their strengths
        distinct = {at: self._design.ridge(at).covariance for at in dict.fromkeys(all_places)}
        of_places = {at: ((centred @ covariance) * centred).sum(1) for at, covariance in distinct.items()}
        doubt = np.stack([of_places[at] for at in all_places], 1)
        unknown = np.zeros((len(content), *self.covariance.shape))
        patterns, of_item = np.unique(lacks, axis=0, return_inverse=True)
        for number, lacking in enumerate(patterns):
            if lacking.any():
                rows, here = np.flatnonzero(of_item.ravel() == number), np.ix_(lacking, lacking)
                spread = self.gram[here] / self.items
                unknown[rows] = self.coefficients[lacking].T @ spread @ self.coefficients[lacking]
                doubt[rows] += [float((spread * ridge.covariance[here]).sum()) for ridge in ridges]
        return np.asarray(self.covariance + (self.back * doubt[:, None, :]) @ self.back.T + unknown)

    def _places(self) -> list[Places]:
        return self._design.nearest(self.strengths)

    def refit(
        self, factors: Array, covariances: Array, content: Array | None, floor: float
    ) -> tuple[FusedPrior, float]:
        """The prior that makes the bound large, and never smaller than before, given the beliefs about the items.

        Args:
            factors: Posterior means of level and factors, (I, A).
            covariances: Sum over the items of their posterior covariances, (A, A).
            content: That of the start.
            floor: Smallest variance kept on any factor (units of the answers squared).
        Returns:
            The prior, and the divergence of the coefficients from theirs, in nats.
        """
        assert content is not None
        centred = self.centred(content)
        deviation = factors - factors.mean(0)
        choice = self._best_choice(centred, deviation)
        left = deviation - centred @ choice.coefficients
        covariance = (covariances + left.T @ left + choice.doubt) / len(factors)
        prior = replace(
            self,
            mean=factors.mean(0),
            covariance=covariance + floor * np.eye(len(covariance)),
            coefficients=choice.coefficients,
            back=choice.back,
            strengths=self._design.strengths(choice.places),
        )
        return prior, choice.divergence

    def _best_choice(self, centred: Array, deviation: Array) -> _Choice:
        """Of new coefficients in two sets of directions, and those of before: so the bound cannot fall."""
        projected = centred.T @ deviation
        precision = np.linalg.inv(self.covariance)
        places = self._places()

        def bound(choice: _Choice) -> float:
            left = deviation - centred @ choice.coefficients
            return -0.5 * float((precision * (left.T @ left + choice.doubt)).sum()) - choice.divergence

        back = self._directions()
        choices = [
            self._kept(places),
            self._chosen(projected, back, self._signals(back)),
            self._chosen(projected, _own(self.covariance), None),
        ]
        return max(choices, key=bound)

    def _directions(self) -> Array:
        """Where Λ is the identity and the signal of all blocks together diagonal, back from there, (A, A)."""
        energies = np.array([np.diag(self.gram)[block].sum() for block in self._design.blocks])
        total = (self.back * (energies @ (1.0 / self.strengths))) @ self.back.T
        lower = np.linalg.cholesky(self.covariance)
        half = np.linalg.inv(lower)
        _, vectors = np.linalg.eigh(half @ total @ half.T)
        return np.asarray(lower @ vectors)

    def _signals(self, back: Array) -> list[Places]:
        """Where the search begins in new directions: each block's signal along them."""
        along = np.linalg.solve(back, self.back) ** 2  # (A, K)
        return self._design.nearest(1.0 / np.maximum((1.0 / self.strengths) @ along.T, 1e-30))

    def _chosen(self, projected: Array, back: Array, starts: list[Places] | None) -> _Choice:
        turned = projected @ np.linalg.inv(back).T
        places = tuple(
            self._design.best_of_all(column) if starts is None else self._design.best(column, starts[a])
            for a, column in enumerate(turned.T)
        )
        ridges = [self._design.ridge(at) for at in places]
        along = np.stack([ridge.covariance @ column for ridge, column in zip(ridges, turned.T, strict=True)], 1)
        return self._described(back, places, along)

    def _kept(self, places: list[Places]) -> _Choice:
        return self._described(self.back, tuple(places), self.coefficients @ np.linalg.inv(self.back).T)

    def _described(self, back: Array, places: tuple[Places, ...], along: Array) -> _Choice:
        ridges = [self._design.ridge(at) for at in places]
        doubt = (back * np.array([ridge.explained for ridge in ridges])) @ back.T
        divergence = 0.5 * sum(
            ridge.complexity - ridge.explained + float(ridge.strengths @ column**2)
            for ridge, column in zip(ridges, along.T, strict=True)
        )
        return _Choice(back, places, along @ back.T, doubt, float(divergence))

    def transform(self, matrix: Array) -> FusedPrior:
        """The same prior where level and factors are ``matrix @ w̃``, matrix (A, A)."""
        covariance = matrix @ self.covariance @ matrix.T
        return replace(
            self,
            mean=matrix @ self.mean,
            covariance=(covariance + covariance.T) / 2,
            coefficients=self.coefficients @ matrix.T,
            back=matrix @ self.back,
        )


def _own(covariance: Array) -> Array:
    """Principal directions of Λ, of length one in its units."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(values))


def _inverse(matrix: Array) -> tuple[Array, float]:
    """Inverse and log determinant of a symmetric positive definite matrix."""
    lower = np.linalg.cholesky(matrix)
    half = np.linalg.inv(lower)
    return half.T @ half, 2.0 * float(np.log(np.diag(lower)).sum())


def _make_room(kept: dict[Any, Any]) -> None:
    while len(kept) >= _KEPT:
        del kept[next(iter(kept))]
