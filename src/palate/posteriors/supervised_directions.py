"""Which directions of an encoding tell what people think of items, learnt from the items that have answers.

The content prior (:mod:`palate.posteriors.block_prior`) penalises every direction of an encoding by one strength, so it
listens to those in which texts differ most, whether or not tastes follow them. Here each of the A directions of level
and factors gets a ridge regression of its own, weighted by how much its items' answers say, with a penalty that grows
with a direction's variance by a power of its own. Strength and power are chosen by leave-one-out error; where no
regression does better than the mean there is none. What is left is a map of rank A at most.

Reduced-rank ridge regression: Mukherjee, Zhu, *Statistical Analysis and Data Mining* 4(6), 2011; leave-one-out by the
hat matrix: Allen, *Technometrics* 16(1), 1974.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array

_STRENGTHS = np.exp(np.linspace(-12.0, 12.0, 49))  # of the mean energy of a direction
_POWERS = (0.0, 0.5, 1.0)  # 0: one penalty for all; 1: all directions as if they varied alike
_LEAST = 0.02  # share that answers must tell of an item for it to teach
_ROUNDING = 1e-10  # of the largest direction's energy


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What answers say of n items, in coordinates where the prior of their level and factors is N(0, I).

    Attributes:
        precisions: Of the answers to each alone, P, (n, A, A).
        pulls: Precision times the value that they point at, h, (n, A).
        deviations: Posterior means, ``(I + P)⁻¹ h``, (n, A).
        reliability: The share of each that its answers tell, ``I − (I + P)⁻¹``, (n, A, A).
    """

    precisions: Array
    pulls: Array
    deviations: Array
    reliability: Array

    @classmethod
    def of(cls, precisions: Array, pulls: Array) -> Evidence:
        """From what the answers say."""
        left = np.linalg.inv(np.eye(pulls.shape[1]) + precisions)
        return cls(precisions, pulls, np.einsum("nab,nb->na", left, pulls), np.eye(pulls.shape[1]) - left)

    def take(self, rows: NDArray[np.intp]) -> Evidence:
        return Evidence(self.precisions[rows], self.pulls[rows], self.deviations[rows], self.reliability[rows])


def supervised(vectors: Array, evidence: Evidence) -> Array | None:
    """The map from encodings, (n, E), to what they say of level and factors, (E, A); None if they say nothing.

    Its columns are in units of the prior's standard deviation, and zero where the mean does better.
    """
    share = np.einsum("naa->na", evidence.reliability).mean(1)
    taught = share > _LEAST
    if taught.sum() < 3:
        return None
    weights, targets = share[taught], evidence.deviations[taught] / share[taught, None]
    root = np.sqrt(weights)[:, None]
    inputs = root * (vectors[taught] - weights @ vectors[taught] / weights.sum())
    outputs = root * (targets - weights @ targets / weights.sum())
    energy, axes = np.linalg.eigh(inputs.T @ inputs)
    there = energy > _ROUNDING * energy[-1]
    if not there.any():
        return None
    energy, axes = energy[there], axes[:, there]
    scores = inputs @ axes  # (n, R), orthogonal columns
    own = weights / weights.sum()  # of the mean, which is fitted too
    found = [_ridge(scores, energy, column, own) for column in outputs.T]
    return axes @ np.stack(found, 1) if np.any(found) else None


def _ridge(scores: Array, energy: Array, target: Array, own: Array) -> Array:
    """Coefficients along the principal directions, (R,), of least leave-one-out error; zero if the mean is no worse."""
    along = scores.T @ target
    best, least = np.zeros(len(energy)), float(((target / (1.0 - own)) ** 2).sum())
    for power in _POWERS:
        grid = _STRENGTHS[:, None] * energy.mean() ** (1.0 - power)
        shrunk = 1.0 / (energy + grid * energy**power)  # (G, R)
        hat = scores**2 @ shrunk.T + own[:, None]
        left = (target[:, None] - scores @ (shrunk * along).T) / np.maximum(1.0 - hat, 1e-6)
        errors = (left**2).sum(0)
        at = int(errors.argmin())
        if errors[at] < least:
            best, least = shrunk[at] * along, float(errors[at])
    return best
