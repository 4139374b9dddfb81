"""What an encoding says before any answer: a linear map from content to item factors, or from history to taste.

    w̃_i ~ N(mean + coefficientsᵀ x_i, Λ),        coefficients ~ MN(0, I, Γ)

``x_i`` (E,) is the item's centred encoding, ``w̃_i`` (A,) its level and factors. In the coordinates where Λ is the
identity and Γ diagonal, direction a is a ridge regression of strength ``ρ_a = 1 / Γ_aa``. Marginalising its weights
adds ``xᵀ V_a x``, ``V_a = (XᵀX + ρ_a I)⁻¹``, to the variance of an unseen item: the further from anything fitted, the
less sure. Each ρ_a maximises the collapsed bound (empirical Bayes; MacKay, Neural Computation 4(3), 1992), so content
that says nothing of a direction is switched off there. One strength for all would let the many directions that no data
supports outvote the few that content explains (docs/lab-notes.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.arrays import Array
from palate.posteriors.prior import PriorSums, left_over

_CONSTANT = 1e-12  # energy below which encodings differ by rounding alone
_STRENGTHS = np.exp(np.linspace(-10.0, 18.0, 113))


@dataclass(frozen=True, slots=True)
class LinearPrior:
    """Prior of a vector given an encoding: of an item's level and factors, or (with A = D) of a user's taste.

    Attributes:
        mean: Population mean, (A,). Shrinking to it and not to zero is what makes content pay.
        covariance: Λ, (A, A).
        coefficients: (E, A); E is 0 without content.
        centre: Mean encoding, (E,).
        axes: Principal directions of the fitted encodings, (E, E), one a column.
        energy: Sum of squares along each of them, (E,).
        signal: Γ, (A, A).
    """

    mean: Array
    covariance: Array
    coefficients: Array
    centre: Array
    axes: Array
    energy: Array
    signal: Array

    @classmethod
    def start(cls, mean: Array, covariance: Array, content: Array) -> LinearPrior:
        """A prior that does not yet listen to content, (I, E); E is 0 without any."""
        centre = content.mean(0)
        energy, axes = np.linalg.eigh((content - centre).T @ (content - centre)) if len(centre) else (centre, np.eye(0))
        coefficients = np.zeros((len(centre), len(mean)))
        lower = np.linalg.cholesky(covariance)
        signal = (lower * np.linspace(1.0, 2.0, len(mean))) @ lower.T  # unequal, so that its directions are definite
        return cls(mean, covariance, coefficients, centre, axes, np.maximum(energy, 0.0), signal)

    @property
    def uses_content(self) -> bool:
        return len(self.centre) > 0

    def centred(self, content: Array) -> Array:
        return content - self.centre

    def predict(self, content: Array) -> Array:
        """Prior means of level and factors, (I, A)."""
        return self.mean + self.centred(content) @ self.coefficients

    def parts(self, content: Array) -> Array:
        """By how much content moves each item's prior mean from the population's, (I, 1, A)."""
        return (self.predict(content) - self.mean)[:, None]

    def covariances(self, content: Array) -> Array:
        """Prior covariance of each item, the coefficients not being known, (I, A, A); at least Λ."""
        if not self.uses_content:
            return np.tile(self.covariance, (len(content), 1, 1))
        _, back, strengths = self._directions()
        along = (content - self.centre) @ self.axes
        doubt = along**2 @ (1.0 / (self.energy[:, None] + strengths))  # (I, A), in units of Λ along each direction
        return self.covariance + (back * doubt[:, None, :]) @ back.T

    def _directions(self) -> tuple[Array, Array, Array]:
        """Where Λ is the identity and Γ diagonal: to there and back, (A, A) each, and the strengths, (A,)."""
        lower = np.linalg.cholesky(self.covariance)
        half = np.linalg.inv(lower)
        signal, vectors = np.linalg.eigh(half @ self.signal @ half.T)
        return vectors.T @ half, lower @ vectors, 1.0 / np.maximum(signal, 1e-30)

    def refit(self, factors: Array, covariances: Array, content: Array, floor: float) -> tuple[LinearPrior, float]:
        """:meth:`refit_sums` from the items' posterior means, (I, A), and the sum of their covariances, (A, A)."""
        return self.refit_sums(PriorSums.of(self.mean, factors, covariances, self.centred(content)), floor)

    def refit_sums(self, sums: PriorSums, floor: float) -> tuple[LinearPrior, float]:
        """The prior that makes the bound largest (:meth:`Prior.refit_sums`)."""
        n_items, size, left = sums.items, len(self.mean), sums.deviations
        doubt, divergence, prior = np.zeros((size, size)), 0.0, replace(self, mean=sums.mean)
        if self.uses_content:
            projected = self.axes.T @ sums.cross  # (E, A)
            # two sets of directions to choose from: those of before, so that the bound cannot fall, and Λ's own
            choices = [(to, back, *self._best_strengths(projected @ to.T)) for to, back in self._bases()]
            to, back, strengths, _ = max(choices, key=lambda choice: choice[3])
            precision = self.energy[:, None] + strengths
            along = projected @ to.T / precision
            left = left_over(left, projected, np.diag(self.energy), along @ back.T)
            doubt = (back * (self.energy[:, None] / precision).sum(0)) @ back.T
            squares = strengths * (along**2 + 1.0 / precision) - 1.0
            divergence = 0.5 * float((squares + np.log(precision / strengths)).sum())
            signal = (back / strengths) @ back.T
            prior = replace(prior, coefficients=self.axes @ along @ back.T, signal=signal)
        covariance = (sums.covariances + left + doubt) / n_items
        return replace(prior, covariance=covariance + floor * np.eye(size)), divergence

    def _bases(self) -> list[tuple[Array, Array]]:
        to, back, _ = self._directions()
        values, vectors = np.linalg.eigh(self.covariance)
        roots = np.sqrt(values)
        return [(to, back), ((vectors / roots).T, vectors * roots)]

    def _best_strengths(self, projected: Array) -> tuple[Array, float]:
        """The strengths that make the collapsed bound largest, (A,), on a grid of quarter e-folds; twice the gain."""
        scale = self.energy.mean() if self.energy.mean() > _CONSTANT else 1.0
        grid = _STRENGTHS[::-1, None] * scale  # of equal ones the strongest: constant content is off
        gain = (1.0 / (self.energy + grid)) @ projected**2 - np.log1p(self.energy / grid).sum(1)[:, None]
        best = gain.max(0)
        return np.asarray(grid[(gain >= best - 1e-9).argmax(0), 0]), float(best.sum())

    def transform(self, matrix: Array) -> LinearPrior:
        """The same prior where level and factors are ``matrix @ w̃``, matrix (A, A)."""
        return replace(
            self,
            mean=matrix @ self.mean,
            covariance=_congruent(matrix, self.covariance),
            coefficients=self.coefficients @ matrix.T,
            signal=_congruent(matrix, self.signal),
        )


def _congruent(matrix: Array, symmetric: Array) -> Array:
    product = matrix @ symmetric @ matrix.T
    return np.asarray((product + product.T) / 2)
