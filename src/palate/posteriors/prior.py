"""What a prior of items can do; of users, with a taste in the place of level and factors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np

from palate.arrays import Array


@dataclass(frozen=True, slots=True)
class PriorSums:
    """What a prior needs to know of a group of items: sums that add. ``d = w̃ − origin``, x a centred encoding.

    Attributes:
        items: Number of items.
        origin: About which the factors are summed, (A,); the same in all groups.
        first: Sum of ``d``, (A,).
        second: Sum of ``d dᵀ``, (A, A).
        covariances: Sum of the posterior covariances, (A, A).
        cross: Sum of ``x dᵀ``, (E, A).
    """

    items: int
    origin: Array
    first: Array
    second: Array
    covariances: Array
    cross: Array

    @classmethod
    def of(cls, origin: Array, factors: Array, covariances: Array, centred: Array) -> PriorSums:
        """Of some items.

        Args:
            factors: Posterior means of level and factors, (n, A).
            covariances: Sum of their posterior covariances, (A, A).
            centred: Encodings less their mean, (n, E); zero where an item lacks one.
        """
        deviation = factors - origin
        return cls(len(factors), origin, deviation.sum(0), deviation.T @ deviation, covariances, centred.T @ deviation)

    def __add__(self, other: PriorSums) -> PriorSums:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "origin"}
        return PriorSums(origin=self.origin, **sums)

    @property
    def mean(self) -> Array:
        """Mean of the items' level and factors, (A,)."""
        return np.asarray(self.origin + self.first / self.items)

    @property
    def deviations(self) -> Array:
        """Sum of ``(w̃ − mean)(w̃ − mean)ᵀ``, (A, A)."""
        return np.asarray(self.second - np.outer(self.first, self.first) / self.items)

    @property
    def squares(self) -> Array:
        """Sum of ``E[w̃ w̃ᵀ]``, (A, A)."""
        about = np.outer(self.first, self.origin)
        return self.covariances + self.second + about + about.T + self.items * np.outer(self.origin, self.origin)


def left_over(deviations: Array, projected: Array, gram: Array, coefficients: Array) -> Array:
    """Sum of ``(d − Bᵀ x)(d − Bᵀ x)ᵀ``, (A, A), from the sums of ``d dᵀ``, ``x dᵀ`` and ``x xᵀ``, and B, (E, A)."""
    explained = projected.T @ coefficients
    return np.asarray(deviations - explained - explained.T + coefficients.T @ gram @ coefficients)


class Prior(Protocol):
    """Gaussian prior of an item's level and factors given what it is: A numbers.

    In every method ``content`` is (I, E), with E = 0 where nothing is encoded; what an item lacks is NaN.
    """

    @property
    def mean(self) -> Array:
        """Population mean, (A,)."""

    @property
    def covariance(self) -> Array:
        """Λ, of items around what their content says, (A, A)."""

    def predict(self, content: Array) -> Array:
        """Prior means of level and factors, (I, A); NaN of an item that lacks what the prior cannot do without."""

    def parts(self, content: Array) -> Array:
        """By how much each of B blocks moves each item's prior mean from the population's, (I, B, A)."""

    def covariances(self, content: Array) -> Array:
        """Prior covariance of each item, (I, A, A): Λ, and what is not known of the coefficients; NaN as above."""

    def centred(self, content: Array) -> Array:
        """Encodings less their mean, (I, E); zero where an item lacks one."""

    def refit_sums(self, sums: PriorSums, floor: float) -> tuple[Self, float]:
        """The prior that makes the bound large, and never smaller than before, given the beliefs about the items.

        Args:
            sums: Over the items of the start, with their content.
            floor: Smallest variance kept on any factor (units of the answers squared).
        Returns:
            The prior, and the divergence of the coefficients from theirs, in nats.
        """

    def transform(self, matrix: Array) -> Self:
        """The same prior where level and factors are ``matrix @ w̃``, matrix (A, A)."""
