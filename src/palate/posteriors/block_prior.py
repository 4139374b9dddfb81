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

import numpy as np

from palate.arrays import Array
from palate.posteriors.prior import PriorSums, left_over
from palate.posteriors.ridge import Design, Places

_MOST_LEVERAGE = 0.9  # of an item: of one that stands alone nothing is left, however it is divided


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
        return cls.build(
            mean=mean,
            covariance=covariance,
            coefficients=np.zeros((len(centre), len(mean))),
            centre=centre,
            gram=design.gram,
            items=len(content),
            sizes=sizes,
            back=np.linalg.cholesky(covariance),
            strengths=np.tile(design.strengths([design.off]), len(mean)),
        )

    def centred(self, content: Array) -> Array:
        return np.where(np.isnan(content), 0.0, content - self.centre)

    def predict(self, content: Array) -> Array:
        """Prior means of level and factors, (I, A)."""
        return np.asarray(self.mean + self.centred(content) @ self.coefficients)

    def parts(self, content: Array) -> Array:
        """By how much each block moves each item's prior mean from the population's, (I, B, A)."""
        centred, ends = self.centred(content), np.cumsum(self.sizes)
        spans = [slice(end - size, end) for size, end in zip(self.sizes, ends, strict=True)]
        return np.stack([centred[:, span] @ self.coefficients[span] for span in spans], 1)

    def covariances(self, content: Array) -> Array:
        """Prior covariance of each item, (I, A, A): Λ, what is not known of the coefficients and of blocks it lacks."""
        centred, lacks = self.centred(content), np.isnan(content)
        ridges = [self._design.ridge(places) for places in self._places()]
        doubt = self._doubt(centred)
        unknown = np.zeros((len(content), *self.covariance.shape))
        patterns, of_item = np.unique(lacks, axis=0, return_inverse=True)
        for number, lacking in enumerate(patterns):
            if lacking.any():
                rows, here = np.flatnonzero(of_item.ravel() == number), np.ix_(lacking, lacking)
                spread = self.gram[here] / self.items
                unknown[rows] = self.coefficients[lacking].T @ spread @ self.coefficients[lacking]
                doubt[rows] += [float((spread * ridge.covariance[here]).sum()) for ridge in ridges]
        return np.asarray(self.covariance + (self.back * doubt[:, None, :]) @ self.back.T + unknown)

    def left_out(self, factors: Array, content: Array) -> Array:
        """What the prior misses of fitted items as if each had been left out when it was fitted, (I, A).

        Along each direction a residual of a ridge regression is divided by one less its leverage.
        """
        along = (factors - self.predict(content)) @ np.linalg.pinv(self.back).T
        share = np.minimum(self._doubt(self.centred(content)), _MOST_LEVERAGE)
        return np.asarray((along / (1.0 - share)) @ self.back.T)

    def _doubt(self, centred: Array) -> Array:
        """Variance of what the coefficients say of each item along each direction, (I, K): its leverage, if fitted."""
        places = self._places()
        # many directions share their strengths
        distinct = {at: self._design.ridge(at).covariance for at in dict.fromkeys(places)}
        of_places = {at: ((centred @ covariance) * centred).sum(1) for at, covariance in distinct.items()}
        return np.stack([of_places[at] for at in places], 1)

    def _places(self) -> list[Places]:
        return self._design.nearest(self.strengths)

    def refit(self, factors: Array, covariances: Array, content: Array, floor: float) -> tuple[FusedPrior, float]:
        """:meth:`refit_sums` from the items' posterior means, (I, A), and the sum of their covariances, (A, A)."""
        return self.refit_sums(PriorSums.of(self.mean, factors, covariances, self.centred(content)), floor)

    def refit_sums(self, sums: PriorSums, floor: float) -> tuple[FusedPrior, float]:
        """The prior that makes the bound large, and never smaller than before (:meth:`Prior.refit_sums`)."""
        choice, left = self._best_choice(sums)
        covariance = (sums.covariances + left + choice.doubt) / sums.items
        prior = replace(
            self,
            mean=sums.mean,
            covariance=covariance + floor * np.eye(len(covariance)),
            coefficients=choice.coefficients,
            back=choice.back,
            strengths=self._design.strengths(choice.places),
        )
        return prior, choice.divergence

    def _best_choice(self, sums: PriorSums) -> tuple[_Choice, Array]:
        """Of new coefficients in two sets of directions, and those of before: so the bound cannot fall.

        And what it leaves of the items' deviations from their mean, (A, A).
        """
        precision, places, back = np.linalg.inv(self.covariance), self._places(), self._directions()
        choices = [
            self._kept(places),
            self._chosen(sums.cross, back, self._signals(back)),
            self._chosen(sums.cross, _own(self.covariance), None),
        ]
        left = [left_over(sums.deviations, sums.cross, self.gram, choice.coefficients) for choice in choices]

        def bound(which: int) -> float:
            return -0.5 * float((precision * (left[which] + choices[which].doubt)).sum()) - choices[which].divergence

        best = max(range(len(choices)), key=bound)
        return choices[best], left[best]

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
