"""How much each expert counts, by how much is known of a person: learnt from people held back.

    w_k(n) = piecewise linear in log(1 + n), never negative

The loss is that of :func:`palate.ranking.kernels.loss_and_gradient`. Likelihood alone counts popularity too much where
little is known, and more experts can make the list worse at another time. So the experts are those with the best
NDCG@10 on another cut, or other people, than their weights were made on; and each weight is changed where that makes
the lists of people held back better (docs/lab-notes.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from palate.arrays import Array
from palate.ranking.cases import Cases

NEW = (0.0, 1.0, 6.0, 30.0)  # items of a history, of people who are not in the fit
KNOWN = (3.0, 10.0, 50.0, 200.0)  # of those who are
_L2, _SMOOTH = 1e-3, 3e-3
_FACTORS = (0.0, 0.3, 0.6, 1.6, 3.0)
_PASSES = 2
_TRIED = 120  # cases of each length of history on which the experts are chosen


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


def fit_weights(
    folds: Sequence[Cases], at: Sequence[float], columns: NDArray[np.intp], start: Array | None = None
) -> Array:
    """Weights of some of the experts, (J, K), 0 of the others."""
    size, width = len(at), folds[0].features.shape[1]
    bases = [basis(cases.sizes, at) for cases in folds]
    narrow = [_narrow(cases, columns) for cases in folds]

    def loss(flat: Array) -> tuple[float, Array]:
        knots = np.ascontiguousarray(flat.reshape(size, len(columns)))
        value, gradient = _L2 * float((knots**2).sum()), 2 * _L2 * knots
        step = np.diff(knots, axis=0)
        value += _SMOOTH * float((step**2).sum())
        gradient[1:] += 2 * _SMOOTH * step
        gradient[:-1] -= 2 * _SMOOTH * step
        for cases, based in zip(narrow, bases, strict=True):
            own, slope = cases.loss(based, knots)
            value += own / len(narrow)
            gradient += slope / len(narrow)
        return value, gradient.ravel()

    begin = np.full(size * len(columns), 0.2) if start is None else start[:, columns].ravel()
    bounds = [(0.0, None)] * len(begin)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40, "ftol": 1e-5})
    values = np.zeros((size, width))
    values[:, columns] = found.x.reshape(size, len(columns))
    return values


def _narrow(cases: Cases, columns: NDArray[np.intp]) -> Cases:
    return replace(cases, features=np.ascontiguousarray(cases.features[:, columns]))


def quality(folds: Sequence[Cases], at: Sequence[float], values: Array) -> float:
    """Mean NDCG@10, each fold and in it each length of history alike."""
    return float(np.mean([cases.weights @ cases.ndcg(basis(cases.sizes, at), values) for cases in folds]))


def choose(folds: Sequence[Cases], at: Sequence[float], always: Sequence[int], others: Sequence[int]) -> list[int]:
    """Which experts: one more at a time, as long as the lists get better on the folds that weights were not made on."""
    folds = [cases.first(_TRIED) for cases in folds]
    chosen, best = list(always), -1.0
    left = list(others)
    while left:
        tried = {expert: _crossed(folds, at, np.array(sorted([*chosen, expert]))) for expert in left}
        expert = max(tried, key=lambda one: tried[one])
        if tried[expert] <= best + 1e-12:
            break
        best = tried[expert]
        chosen.append(expert)
        left.remove(expert)
    return sorted(chosen)


def _crossed(folds: Sequence[Cases], at: Sequence[float], columns: NDArray[np.intp]) -> float:
    reached = []
    for out in range(len(folds)):
        others = [cases for place, cases in enumerate(folds) if place != out]
        reached.append(quality([folds[out]], at, fit_weights(others or folds, at, columns)))
    return float(np.mean(reached))


def polish(folds: Sequence[Cases], at: Sequence[float], values: Array, free: Sequence[int]) -> Array:
    """Each weight times some factors, where the lists of people held back get better."""
    best = quality(folds, at, values)
    for _ in range(_PASSES):
        before = best
        for j in free:
            for k in np.flatnonzero(values.any(0)):
                for factor in _FACTORS:
                    tried = values.copy()
                    tried[j, k] *= factor
                    reached = quality(folds, at, tried)
                    if reached > best + 1e-12:
                        values, best = tried, reached
        if best <= before:
            break
    return values
