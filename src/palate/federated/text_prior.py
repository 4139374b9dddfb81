"""What public text says of items, from noisy observations of their levels and factors: one ridge a coordinate.

    obs_i = f_i + e_i + n_i,   f_i = mean + bᵀ x_i,   e_i ~ N(0, Λ),   n_i ~ N(0, var_i)

``var_i`` is known: what the item's answers leave open, and the noise that privacy put on them. Its doubt about b, the
strength of the ridge and Λ follow by the evidence, so that items drowned in noise say little (noise-aware inference:
Bernstein, Sheldon, NeurIPS 2019; public features: Curmei et al., arXiv 2309.11516). All of it is work on what was
already paid for, which costs no privacy.

Shapes: I items, A = D + 1 coordinates, E columns of content.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from palate.arrays import Array
from palate.machine import blas_threads

_COLUMNS = 64  # principal directions of the content that are heard; more say no more of so few items
_STRENGTHS = np.exp(np.linspace(14.0, -6.0, 41))
_LEAST = 1e-4  # of Λ


@dataclass(frozen=True, slots=True)
class TextPrior:
    """What is expected of each item before its own answers.

    Attributes:
        means: f, (I, A).
        doubt: Variance of f, (I, A).
        spread: Λ of each coordinate, (A,).
    """

    means: Array
    doubt: Array
    spread: Array

    def posterior(self, observed: Array, variance: Array) -> tuple[Array, Array]:
        """Means and variances of the items, (I, A) each, given observations (I, A) with known variance (I,)."""
        with np.errstate(invalid="ignore"):
            share = np.where(np.isinf(variance)[:, None], 0.0, self.spread / (self.spread + variance[:, None]))
        means = self.means + share * (observed - self.means)
        return means, self.spread * (1.0 - share) + (1.0 - share) ** 2 * self.doubt


@blas_threads(1)
def columns_of(content: Array | None, n_items: int) -> Array:
    """Content as the ridge hears it: centred, along its principal directions, of mean square 1 in all, (I, E').

    An item without has NaN, and what is expected of it is the mean.
    """
    if content is None:
        return np.zeros((n_items, 0))
    has = ~np.isnan(content)
    mean = np.where(has, content, 0.0).sum(0) / np.maximum(has.sum(0), 1)
    centred = np.where(has, content - mean, 0.0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    found = (left * sizes)[:, sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-300)][:, :_COLUMNS]
    return np.asarray(found / np.sqrt(max(float((found**2).sum(1).mean()), 1e-300)))


@blas_threads(1)
def fitted(columns: Array, observed: Array, variance: Array, start: Array, floors: Array) -> TextPrior:
    """The prior of all items by the evidence.

    Args:
        columns: As of :func:`columns_of`.
        observed: (I, A).
        variance: Of each item, (I,); infinite where nothing is known.
        start: Λ to begin with, (A,).
        floors: Least Λ of each coordinate, (A,).
    """
    means, doubt = np.empty_like(observed), np.empty_like(observed)
    spread = np.maximum(start, floors)
    for a in range(observed.shape[1]):
        means[:, a], doubt[:, a] = _ridge(columns, observed[:, a], 1.0 / (spread[a] + variance))
        spread[a] = max(_spread((observed[:, a] - means[:, a]) ** 2 + doubt[:, a], variance), floors[a])
    return TextPrior(means, doubt, spread)


def _ridge(columns: Array, observed: Array, weights: Array) -> tuple[Array, Array]:
    """What the content says of each item, and the variance of that, (I,) each, given the weights of the items, (I,)."""
    total = float(weights.sum())
    if total <= 0.0:
        return np.zeros(len(columns)), np.zeros(len(columns))
    centre, mean = weights @ columns / total, float(weights @ observed) / total
    apart = columns - centre
    energy, axes = np.linalg.eigh((apart * weights[:, None]).T @ apart)
    along = apart @ axes
    projected = along.T @ (weights * (observed - mean))
    energy, grid = np.maximum(energy, 0.0), _STRENGTHS[:, None]
    gains = (projected**2 / (energy + grid)).sum(1) - np.log1p(energy / grid).sum(1)
    precision = energy + _STRENGTHS[int((gains >= gains.max() - 1e-9).argmax())]
    return mean + along @ (projected / precision), 1.0 / total + along**2 @ (1.0 / precision)


def _spread(squares: Array, variance: Array) -> float:
    """Λ that makes N(0, Λ + var) of residuals most likely, from their expected squares, (I,)."""
    known = np.isfinite(variance)
    squares, variance = squares[known], variance[known]

    def loss(log_spread: float) -> float:
        total = np.exp(log_spread) + variance
        return float((np.log(total) + squares / total).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(_LEAST), 3.0), method="bounded").x))
