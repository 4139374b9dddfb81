"""How much each expert counts, by how much is known of a person: learnt from people held back.

    w_k(n) = piecewise linear in log(1 + n), never negative

First by likelihood: that one draw of the softmax of the scores is among what they liked later. To be right about each
of those items instead, in the mean, made lists worse, since a list has ten places. Then each weight is changed where
that makes the lists of people held back better, by NDCG@10 and recall@20, which drops experts that do not help. To
choose a set of experts first, on another cut, was no better (docs/lab-notes.md). Coordinate ascent on the measure
itself: Metzler, Croft, *Linear feature-based models for information retrieval*, Information Retrieval 10(3), 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from palate.arrays import Array, Mask
from palate.ranking.cases import Cases

NEW = (0.0, 1.0, 3.0, 10.0, 30.0)  # items of a history, of people who are not in the fit
KNOWN = (3.0, 10.0, 50.0, 200.0)  # of those who are
_L2, _SMOOTH = 1e-3, 3e-3
_FACTORS, _SHARES = (0.0, 0.3, 0.6, 1.6, 3.0), (0.1, 0.4)  # tried of a weight, or of the sum of all where it is 0
_PASSES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights of K experts at J knots.

    Attributes:
        names: Of the experts.
        at: The knots, (J,).
        values: (J, K).
    """

    names: tuple[str, ...]
    at: tuple[float, ...]
    values: Array

    @property
    def counting(self) -> list[str]:
        """Names of the experts that count somewhere."""
        return [self.names[place] for place in np.flatnonzero(self.values.any(0))]

    def of(self, n: float) -> Array:
        """For a history of n items, (K,)."""
        return np.asarray(basis(n, self.at) @ self.values)


def basis(n: ArrayLike, at: Sequence[float]) -> Array:
    """How much each knot counts, (..., J)."""
    places = np.log1p(np.asarray(n, dtype=np.float64))
    return np.stack([np.interp(places, np.log1p(at), unit) for unit in np.eye(len(at))], -1)


def fit_weights(folds: Sequence[Cases], at: Sequence[float]) -> Array:
    """The likeliest weights, (J, K)."""
    size, width = len(at), folds[0].features.shape[1]
    bases = [basis(cases.sizes, at) for cases in folds]

    def loss(flat: Array) -> tuple[float, Array]:
        knots = flat.reshape(size, width)
        value, gradient = _L2 * float((knots**2).sum()), 2 * _L2 * knots
        step = np.diff(knots, axis=0)
        value += _SMOOTH * float((step**2).sum())
        gradient[1:] += 2 * _SMOOTH * step
        gradient[:-1] -= 2 * _SMOOTH * step
        for cases, based in zip(folds, bases, strict=True):
            one, slope = cases.loss(based, knots)
            value += one / len(folds)
            gradient += slope / len(folds)
        return value, gradient.ravel()

    begin, bounds = np.full(size * width, 0.2), [(0.0, None)] * (size * width)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60, "ftol": 1e-6})
    return np.asarray(found.x.reshape(size, width))


def polish(folds: Sequence[Cases], at: Sequence[float], values: Array, free: Mask) -> Array:
    """Each weight times some factors, or a share of all where it is 0, where lists of people held back get better.

    What is maximised is the mean of NDCG@10 and recall@20, each fold and in it each length of history alike.

    Args:
        free: Which weights may be changed, (J, K).
    """
    bases = [basis(cases.sizes, at) for cases in folds]
    touched = [[np.flatnonzero(based[:, j]) for based in bases] for j in range(len(at))]  # the lists a knot can change
    lists = [cases.quality(based, values, np.arange(len(cases))) for cases, based in zip(folds, bases, strict=True)]

    def mean(reached: Sequence[Array]) -> float:
        return float(np.mean([cases.weights @ one for cases, one in zip(folds, reached, strict=True)]))

    def with_knot(tried: Array, j: int) -> list[Array]:
        reached = [one.copy() for one in lists]
        for one, cases, based, rows in zip(reached, folds, bases, touched[j], strict=True):
            one[rows] = cases.quality(based, tried, rows)
        return reached

    best = mean(lists)
    for _ in range(_PASSES):
        before = best
        for j, k in np.argwhere(free).tolist():
            tries = values[j, k] * np.array(_FACTORS) if values[j, k] else values[j].sum() * np.array(_SHARES)
            for weight in tries:
                tried = values.copy()
                tried[j, k] = weight
                reached = with_knot(tried, j)
                if mean(reached) > best + 1e-12:
                    values, lists, best = tried, reached, mean(reached)
        if best <= before:
            break
    return values
