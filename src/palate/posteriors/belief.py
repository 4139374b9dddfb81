"""A Gaussian belief about one user's taste, or about n users', and its exact updates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Mask
from palate.posteriors.ordered import log_slopes, log_slopes_of_one
from palate.posteriors.probit import assumed_density
from palate.posteriors.statistics import pack

Users = NDArray[np.intp] | slice | int  # which of n

_LEAST_NOISE = 1e-12  # of an answer, as a share of its variance over the population


def quadratic(factors: Array, matrices: Array) -> Array:
    """``f_iᵀ M f_i`` for every item, (I, D) with (D, D) to (I,), with (n, D, D) to (n, I)."""
    if matrices.ndim == 2:
        return np.asarray(((factors @ matrices) * factors).sum(1))
    # one product with the packed pairs of factors instead of n products: no (n, I, D) in between
    twice = pack(2.0 * matrices - matrices * np.eye(matrices.shape[-1]))
    return np.asarray(twice @ pack(factors[:, :, None] * factors[:, None, :]).T)


@dataclass(frozen=True, slots=True)
class Belief:
    """Gaussian belief about the taste of one user or of several at once."""

    mean: Array
    covariance: Array

    @property
    def dim(self) -> int:
        return int(self.mean.shape[-1])

    @property
    def natural(self) -> Array:
        """Precision times mean, (D,) or (n, D): what answers add to."""
        return np.asarray(np.linalg.solve(self.covariance, self.mean[..., None])[..., 0])

    def of(self, users: Users) -> Belief:
        """About one of n users, or some of them."""
        return Belief(self.mean[users], self.covariance[users])

    def where(self, here: Mask | bool, other: Belief) -> Belief:
        """This about some of n users, (n,), and the other belief about the rest."""
        here = np.asarray(here)[..., None]
        covariance = np.where(here[..., None], self.covariance, other.covariance)
        return Belief(np.where(here, self.mean, other.mean), covariance)

    def replaced(self, users: Users, by: Belief) -> Belief:
        """The same, but about some of the users."""
        mean, covariance = self.mean.copy(), self.covariance.copy()
        mean[users], covariance[users] = by.mean, by.covariance
        return Belief(mean, covariance)

    def score(self, factors: Array) -> Array:
        """Mean of ``w · z``, (I,) or (n, I)."""
        return self.mean @ factors.T

    def variance(self, factors: Array) -> Array:
        """Variance of ``w · z`` for known factors, (I,) or (n, I)."""
        return quadratic(factors, self.covariance)

    def update(
        self, factors: Array, error: Array | float, noise: Array | float, answered: Array | bool = True
    ) -> Belief:
        """The belief after one Gaussian answer by each user: an exact rank-one (Kalman) step, O(D²).

        Args:
            factors: Of the item asked, (D,), or of each user's item, (n, D).
            error: Answer minus predicted mean.
            noise: Variance of the answer given the taste; an answer without any counts as almost exact, so that
                something is left to divide by when it is given again.
            answered: Where False nothing moves.
        """
        if self.mean.ndim == 1:
            along = self.covariance @ factors
            noise = max(float(noise), _LEAST_NOISE * float(factors @ factors))
            total = float(along @ factors) + noise
            return self._moved_one(along, float(error) / total, -1.0 / total) if answered else self
        along = np.einsum("...de,...e->...d", self.covariance, factors)
        noise = np.maximum(noise, _LEAST_NOISE * np.einsum("...d,...d->...", factors, factors))
        total = np.einsum("...d,...d->...", along, factors) + noise
        return self._moved(along, error / total, -1.0 / total, answered)

    def after_each(self, factors: Array, levels: Array, values: Array, noise: Array) -> Iterator[Belief]:
        """The belief about one user after each of n Gaussian answers: what :meth:`update` makes of them one by one.

        Args:
            factors: Of the items asked, (n, D).
            levels, values, noise: Of the items, the answers and their variance given the taste, (n,).
        """
        mean, covariance = self.mean, self.covariance
        noise = np.maximum(noise, _LEAST_NOISE * np.einsum("nd,nd->n", factors, factors))
        numbers = zip(levels.tolist(), values.tolist(), noise.tolist(), strict=True)
        for item, (level, value, own) in zip(factors, numbers, strict=True):
            along = covariance @ item
            total = float(along @ item) + own
            error = value - (level + float(mean @ item))
            mean = mean + error / total * along
            covariance = covariance + -1.0 / total * (along[:, None] * along)
            yield Belief(mean, covariance)

    def update_probit(
        self, factors: Array, level: Array | float, liked: Array, noise: Array | float, known: Array | float = 1.0
    ) -> Belief:
        """The belief after one like (1) or dislike (0) by each user, by assumed-density filtering, O(D²).

        Args:
            known: P(the user knows it), where 0 also stands for what is not known
                (:func:`palate.posteriors.probit.assumed_density`).
        """
        along = np.einsum("...de,...e->...d", self.covariance, factors)
        variance = np.einsum("...d,...d->...", along, factors)
        mean = level + np.einsum("...d,...d->...", self.mean, factors)
        first, second = assumed_density(mean, variance, np.asarray(liked), noise, known)
        return self._moved(along, first, second, True)

    def update_interval(
        self, factors: Array, level: Array | float, low: Array, high: Array, noise: Array | float
    ) -> Belief:
        """The belief after ``level + w · z`` and a noise lie in an interval, by assumed-density filtering."""
        if self.mean.ndim == 1:
            along = self.covariance @ factors
            size = math.sqrt(float(along @ factors) + float(noise))
            middle = float(level) + float(self.mean @ factors)
            _, slope, bend = log_slopes_of_one((float(low) - middle) / size, (float(high) - middle) / size)
            return self._moved_one(along, slope / size, bend / (size * size))
        along = np.einsum("...de,...e->...d", self.covariance, factors)
        total = np.einsum("...d,...d->...", along, factors) + noise
        deviation = np.sqrt(total)
        mean = level + np.einsum("...d,...d->...", self.mean, factors)
        _, first, second = log_slopes((low - mean) / deviation, (high - mean) / deviation)
        return self._moved(along, first / deviation, second / total, True)

    def _moved_one(self, along: Array, first: float, second: float) -> Belief:
        """:meth:`_moved` of one user."""
        return Belief(self.mean + first * along, self.covariance + second * (along[:, None] * along))

    def _moved(self, along: Array, first: Array, second: Array, where: Array | bool) -> Belief:
        """Mean moved by ``first`` and covariance by ``second`` along a direction; a symmetric step stays so."""
        first = np.where(where, first, 0.0)[..., None]
        second = np.where(where, second, 0.0)[..., None, None]
        outer = along[..., :, None] * along[..., None, :]  # first, so that rounding cannot break the symmetry
        return Belief(self.mean + first * along, self.covariance + second * outer)
