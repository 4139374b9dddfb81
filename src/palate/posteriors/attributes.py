"""What is known of a person says something of their taste before any answer: age, gender, personality scores.

    z_u ~ N(mean + Gᵀ x_u, Ψ (1 + x_uᵀ V x_u)),        x_u the person's attributes as numbers

the same linear prior as for a history (:mod:`palate.posteriors.history_prior`), learned from the fitted users.
Directions of taste that the attributes do not explain are switched off, so attributes that say nothing change next to
nothing. Where a history speaks too, the two are multiplied (:func:`combined`).

Elahi, Braunhofer, Ricci, Tkalcic, *Personality-based active learning for collaborative filtering recommender systems*,
AI*IA 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.posteriors.attribute_coding import Coding, Columns
from palate.posteriors.belief import Belief
from palate.posteriors.history_prior import fit_history
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.taste import Taste


@dataclass(frozen=True, slots=True)
class Attributes:
    """The coding of the attributes and what they say of taste."""

    coding: Coding
    prior: LinearPrior

    def start(self, taste: Taste, columns: Columns, n: int) -> Belief:
        """Beliefs about n users before any answer, never less sure than the population's; that where all is missing."""
        encoded = self.coding.encode(columns, n)
        mean = np.tile(taste.start.mean, (n, 1))
        covariance = np.repeat(taste.start.covariance[None], n, 0)
        told = np.flatnonzero(np.abs(encoded).any(1))
        means = self.prior.predict(encoded[told])
        covariances = no_wider(self.prior.covariances(encoded[told]))
        for row, *moments in zip(told, means, covariances, strict=True):
            belief = taste.prior(*moments)
            mean[row], covariance[row] = belief.mean, belief.covariance
        return Belief(mean, covariance)

    def start_one(self, taste: Taste, values: Mapping[str, object]) -> Belief:
        """The belief about one user before any answer, from attributes by name; ``taste.start`` where all is missing.

        Raises:
            OptionError: If a name is none of the fitted ones, or a number is none.
        """
        self.coding.check_names(values)
        columns = {name: [value] for name, value in values.items()}
        if not self.coding.encode(columns, 1).any():
            return taste.start
        return self.start(taste, columns, 1).of(0)


def fit_attributes(taste: Taste, answers: sparse.csr_matrix, columns: Columns) -> Attributes | None:
    """What the attributes of the fitted users say of their taste.

    Args:
        answers: Of U users, (U, I).
        columns: A column of U values each; missing ones are None, empty or not finite.
    Returns:
        None where no attribute tells users apart, or fewer than two users have both attributes and answers.
    """
    coding = Coding.of(columns)
    prior = fit_history(taste, answers, coding.encode(columns, answers.shape[0])) if coding.width else None
    return None if prior is None else Attributes(coding, prior)


def no_wider(covariances: Array) -> Array:
    """Covariances (..., D, D) of a taste given something, cut to the population's ``I`` where they are above it.

    To know more of somebody never makes their taste less sure. What is fitted can say so: N(0, I) holds of beliefs that
    know the items exactly, and without this answers counted for too much on sparse data (docs/lab-notes.md).
    """
    values, vectors = np.linalg.eigh(covariances)
    return np.asarray((vectors * np.minimum(values, 1.0)[..., None, :]) @ np.swapaxes(vectors, -1, -2))


def combined(one: Belief, other: Belief) -> Belief:
    """What two sources say of one taste together, each independent of the other given the taste.

    ``p(z | a, b) ∝ p(z | a) p(z | b) / p(z)`` with the marginal ``p(z) = N(0, I)``: precisions and pulls add, and what
    both hold from the population counts once.

    Args:
        one, other: Beliefs about one user, (D,), from a model of ratings or likes, whose users start at N(0, I).
    """
    first, second = (np.linalg.inv(no_wider(belief.covariance)) for belief in (one, other))
    covariance = np.linalg.inv(first + second - np.eye(one.dim))
    covariance = (covariance + covariance.T) / 2
    return Belief(covariance @ (first @ one.mean + second @ other.mean), covariance)
