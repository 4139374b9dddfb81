"""What a prior of items can do; of users, with a taste in the place of level and factors."""

from __future__ import annotations

from typing import Protocol, Self

from palate.arrays import Array


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

    def refit(self, factors: Array, covariances: Array, content: Array, floor: float) -> tuple[Self, float]:
        """The prior that makes the bound large, and never smaller than before, given the beliefs about the items.

        Args:
            factors: Posterior means of level and factors, (I, A).
            covariances: Sum over the items of their posterior covariances, (A, A).
            content: That of the start.
            floor: Smallest variance kept on any factor (units of the answers squared).
        Returns:
            The prior, and the divergence of the coefficients from theirs, in nats.
        """

    def transform(self, matrix: Array) -> Self:
        """The same prior where level and factors are ``matrix @ w̃``, matrix (A, A)."""
