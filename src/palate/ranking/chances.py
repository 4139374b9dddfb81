"""How likely what is shown is taken up next: chances of a softmax, made honest on people held back.

    logit(chance of an item) = a(n) + b(n) · logit(its share of the softmax of all scores)

Scores that rank well are no chances yet: they are too sure or too modest, most of all where little is known. So a and b
are learnt from what stood in the lists of people held back, and are piecewise linear in log(1 + n) as the weights are.
Platt, *Probabilistic outputs for support vector machines*, Advances in large margin classifiers, 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from palate.arrays import Array
from palate.ranking.cases import Cases
from palate.ranking.weights import basis

DIGITS = 6  # after the point of what is climbed to: the last bits of a product hang on where in memory its numbers lie
_PULL = 3.0  # towards a = 0 and b = 1, in squares per case


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """a and b at J knots, (J, 2)."""

    at: tuple[float, ...]
    values: Array

    @classmethod
    def plain(cls, at: Sequence[float]) -> Chances:
        """The shares themselves."""
        return cls(tuple(at), np.tile([0.0, 1.0], (len(at), 1)))

    def line(self, n: float) -> tuple[float, float]:
        """A and b, for a history of n items."""
        offset, slope = basis(n, self.at) @ self.values
        return float(offset), float(slope)

    def of(self, shares: Array, n: float) -> Array:
        """Chances from shares of the softmax, any shape, for a history of n items."""
        offset, slope = self.line(n)
        return np.asarray(expit(offset + slope * logit(np.clip(shares, 1e-12, 1.0 - 1e-9))))


def fit_chances(folds: Sequence[Cases], at: Sequence[float], values: Array) -> Chances:
    """Of the lists that weights (J, K) make of people held back."""
    parts = [cases.shown(basis(cases.sizes, at), values) for cases in folds]
    shares = np.concatenate([shares.ravel() for shares, _ in parts])
    taken = np.concatenate([taken.ravel() for _, taken in parts])
    based = np.concatenate(
        [np.repeat(basis(cases.sizes, at), shares.shape[1], 0) for cases, (shares, _) in zip(folds, parts, strict=True)]
    )
    shown = np.isfinite(shares)
    shares, taken, based = logit(np.clip(shares[shown], 1e-12, 1.0 - 1e-9)), taken[shown], based[shown]
    size = len(at)

    def loss(flat: Array) -> tuple[float, Array]:
        offset, slope = flat[:size], flat[size:]
        scores = based @ offset + (based @ slope) * shares
        pull = expit(scores) - taken
        value = float((np.logaddexp(0.0, scores) - taken * scores).sum())
        value += _PULL * float((offset**2).sum() + ((slope - 1.0) ** 2).sum())
        gradient = np.concatenate([pull @ based, (pull * shares) @ based])
        return value, gradient + 2.0 * _PULL * np.concatenate([offset, slope - 1.0])

    begin = np.concatenate([np.zeros(size), np.ones(size)])
    bounds = [(None, None)] * size + [(0.05, None)] * size  # so that the order stays
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds)
    return Chances(tuple(at), np.round(np.stack([found.x[:size], found.x[size:]], 1), DIGITS))
