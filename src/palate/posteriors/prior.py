"""What an encoding says before any answer: a linear map from content to item factors, or from history to taste.

    w̃_i ~ N(mean + coefficientsᵀ x_i, Λ),        coefficients ~ MN(0, I/ρ, Λ)

``x_i`` (E,) is the item's centred encoding, ``w̃_i`` (A,) its level and factors. Marginalising the coefficients gives
an unseen item the covariance ``Λ (1 + xᵀ V x)``, ``V = (XᵀX + ρI)⁻¹``: the further from anything fitted, the less sure.
The strength ρ maximises the collapsed bound (empirical Bayes; MacKay, Neural Computation 4(3), 1992), so an encoding
that says nothing is switched off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
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
        strength: ρ.
    """

    mean: Array
    covariance: Array
    coefficients: Array
    centre: Array
    axes: Array
    energy: Array
    strength: float

    @classmethod
    def start(cls, mean: Array, covariance: Array, content: Array | None) -> LinearPrior:
        """A prior that does not yet listen to content, (I, E) or None."""
        if content is None:
            content = np.zeros((1, 0))
        centre = content.mean(0)
        energy, axes = np.linalg.eigh((content - centre).T @ (content - centre)) if len(centre) else (centre, np.eye(0))
        coefficients = np.zeros((len(centre), len(mean)))
        return cls(mean, covariance, coefficients, centre, axes, np.maximum(energy, 0.0), 1.0)

    @property
    def uses_content(self) -> bool:
        return len(self.centre) > 0

    def predict(self, content: Array | None, n_items: int) -> Array:
        """Prior means of level and factors, (I, A)."""
        if not self.uses_content or content is None:
            return np.broadcast_to(self.mean, (n_items, len(self.mean)))
        return self.mean + (content - self.centre) @ self.coefficients

    def spread(self, content: Array | None, n_items: int) -> Array:
        """By how much each item's prior covariance exceeds Λ for not knowing the coefficients, (I,), at least 1."""
        if not self.uses_content or content is None:
            return np.ones(n_items)
        along = (content - self.centre) @ self.axes
        return np.asarray(1.0 + (along**2 / (self.energy + self.strength)).sum(1))

    def refit(
        self, factors: Array, covariances: Array, content: Array | None, floor: float
    ) -> tuple[LinearPrior, float]:
        """The prior that makes the bound largest, given the beliefs about the items.

        Args:
            factors: Posterior means of level and factors, (I, A).
            covariances: Sum over the items of their posterior covariances, (A, A).
            content: (I, E) or None.
            floor: Smallest variance kept on any factor (units of the answers squared).
        Returns:
            The prior, and the divergence of the coefficients from theirs, in nats.
        """
        n_items, size = factors.shape
        mean = factors.mean(0)
        deviation = factors - mean
        explained, divergence, prior = np.zeros((size, size)), 0.0, replace(self, mean=mean)
        if self.uses_content and content is not None:
            centred = content - self.centre
            projected = self.axes.T @ (centred.T @ deviation)  # (E, A)
            strength = self._best_strength(projected)
            along = projected / (self.energy + strength)[:, None]
            coefficients = self.axes @ along
            deviation = deviation - centred @ coefficients
            explained = strength * along.T @ along
            divergence = 0.5 * size * np.log1p(self.energy / strength).sum()
            prior = replace(prior, coefficients=coefficients, strength=strength)
        covariance = (covariances + deviation.T @ deviation + explained) / n_items
        return replace(prior, covariance=covariance + floor * np.eye(size)), float(divergence)

    def _best_strength(self, projected: Array) -> float:
        """ρ that makes the collapsed bound largest, on a grid of quarter e-folds relative to the mean energy."""
        size = projected.shape[1]
        signal = np.einsum("ea,ab,eb->e", projected, np.linalg.inv(self.covariance), projected)
        scale = self.energy.mean() if self.energy.mean() > _CONSTANT else 1.0
        grid = _STRENGTHS[:, None] * scale
        gain = signal / (self.energy + grid) - size * np.log1p(self.energy / grid)
        return float(grid[::-1][gain[::-1].sum(1).argmax(), 0])  # of equal ones the strongest: constant content is off

    def transform(self, matrix: Array) -> LinearPrior:
        """The same prior where level and factors are ``matrix @ w̃``, matrix (A, A)."""
        covariance = matrix @ self.covariance @ matrix.T
        return replace(
            self,
            mean=matrix @ self.mean,
            covariance=(covariance + covariance.T) / 2,
            coefficients=self.coefficients @ matrix.T,
        )
