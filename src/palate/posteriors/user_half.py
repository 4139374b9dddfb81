"""Half a sweep of the batch fit: beliefs about users given the items, as sums that add (model.md, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from palate.arrays import Array
from palate.posteriors.answers import Answers
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import Block, Head, Statistics, augmented_moments, inverse, pack, unpack
from palate.posteriors.symmetric import moments_over_noise, turned


@dataclass(frozen=True, slots=True)
class Given:
    """The items as the users' half sees them, in units of their noise.

    Attributes:
        factors: Level and factors, (I, A).
        precision: 1 / σ², (I,).
        packed: E[w̃ w̃ᵀ] over noise, packed, (I, P).
        shared: Moment that every user shares for the unseen items, (A, A).
        spread: n₀, answers that the prior of a user's noise counts as.
    """

    factors: Array
    precision: Array
    packed: Array
    shared: Array
    spread: float

    @classmethod
    def build(cls, factors: Array, covariances: Array, noise: Array, likelihood: Likelihood, spread: float) -> Given:
        """From posterior means (I, A), packed covariances (I, P) and noise (I,)."""
        packed = moments_over_noise(factors, covariances, noise)
        shared = likelihood.background * unpack(packed.sum(0))
        return cls(factors, 1.0 / noise, packed, shared, spread)


@dataclass(frozen=True, slots=True)
class Users:
    """What a sweep keeps of users for the next one.

    Attributes:
        moments: E[t tᵀ], packed, (n, P); (n, 0) where the likelihood does not look at it.
        precision: E[1 / ν], ν by which the noise of each user's answers is multiplied, (n,).
    """

    moments: Array
    precision: Array

    @classmethod
    def start(cls, n: int, dim: int, likelihood: Likelihood) -> Users:
        """Of n users who have the population's taste."""
        moments = np.zeros((n, 0)) if likelihood.is_linear else np.tile(pack(np.eye(dim + 1)), (n, 1))
        return cls(moments, np.ones(n))

    def of(self, rows: slice) -> Users:
        return Users(self.moments[rows], self.precision[rows])

    def transform(self, matrix: Array) -> Users:
        """The same where t becomes ``matrix @ t``, (A, A)."""
        if not self.moments.size:
            return self
        return Users(turned(self.moments, matrix), self.precision)


def chunk_statistics(chunk: Answers, users: Users, given: Given, likelihood: Likelihood) -> tuple[Statistics, Users]:
    """Sums over one chunk of users, and what is kept of them.

    Args:
        users: As of the sweep before: what a like says hangs on what was believed of both sides.
    """
    entries = likelihood.entries(chunk.values.data, predictions(chunk, users, given))
    of_answer, rows = np.ones(len(entries.targets)) if chunk.weights is None else chunk.weights, chunk.rows
    own = entries.weights * of_answer
    of_item = given.precision[chunk.values.indices]
    seen = chunk.matrix(own) @ given.packed
    pulled = chunk.matrix(own * entries.targets * of_item) @ given.factors
    mean, covariance, log_determinants = _beliefs(seen, pulled, users.precision, given, likelihood)
    second = augmented_moments(mean, covariance)
    packed, n = pack(second), len(mean)
    precision, latent, doubt = users.precision, 0.0, 0.0
    if likelihood.learns_scale:
        squared = np.bincount(rows, own * entries.targets**2 * of_item, minlength=n).astype(float)
        squares = _errors(seen, pulled, squared, packed)
        precision, latent, doubt = own_noise(squares, np.asarray(np.bincount(rows, of_answer, n), float), given.spread)
    weight = own * precision[rows]
    extra, weight = (likelihood.confidence - likelihood.background) * weight, likelihood.confidence * weight
    columns, n_items = chunk.values.indices, chunk.values.shape[1]
    head = Head(
        users=n,
        gram=packed.sum(0),
        log_determinants=float(log_determinants.sum()),
        latent=latent + float(of_answer @ entries.bound),
        doubt=doubt,
    )
    items = Block(
        answers=np.bincount(columns, of_answer, n_items).astype(np.float64),
        moment=chunk.matrix(extra).T @ packed,
        cross=chunk.matrix(weight * entries.targets).T @ np.concatenate([np.ones((n, 1)), mean], 1),
        squares=np.bincount(columns, weight * entries.targets**2, minlength=n_items).astype(np.float64),
    )
    return Statistics(head, items), Users(users.moments if likelihood.is_linear else packed, precision)


def _beliefs(
    seen: Array, pulled: Array, precision: Array, given: Given, likelihood: Likelihood
) -> tuple[Array, Array, Array]:
    """Beliefs about n users: means (n, D), covariances (n, D, D), log determinants (n,).

    Args:
        seen: Moments of what they answered, packed, (n, P), in units of their noise.
        pulled: Sums of level and factors over noise times what was observed, (n, A), likewise.
        precision: Of each user, (n,).
    """
    extra = (likelihood.confidence - likelihood.background) * precision
    moment = unpack(extra[:, None] * seen) + given.shared
    pull = (likelihood.confidence * precision)[:, None] * pulled[:, 1:] - moment[:, 1:, 0]
    covariances, log_determinants = inverse(moment[:, 1:, 1:] + np.eye(pull.shape[1]))
    return np.einsum("nde,ne->nd", covariances, pull), covariances, -log_determinants


def predictions(chunk: Answers, users: Users, given: Given) -> Callable[[], tuple[Array, Array]]:
    """Mean and variance of ``t · w̃`` of each answer, (N,) each, where somebody asks."""

    def of_entries() -> tuple[Array, Array]:
        rows, columns, size = chunk.rows, chunk.values.indices, given.factors.shape[1]
        mean = np.einsum("na,na->n", given.factors[columns], users.moments[rows, :size])
        twice = users.moments * _twice(size)
        second = np.einsum("np,np->n", given.packed[columns], twice[rows]) / given.precision[columns]
        return mean, np.maximum(second - mean**2, 0.0)

    return of_entries


def _twice(size: int) -> Array:
    """How often a packed entry is in the matrix, (P,)."""
    return pack(2.0 * np.ones((size, size)) - np.eye(size))


def _errors(seen: Array, pulled: Array, squared: Array, packed: Array) -> Array:
    """Sum of ``weight E[(y − t · w̃)²] / σ²`` over each user's answers, (n,).

    Args:
        squared: Sum of ``weight y² / σ²``, (n,).
        packed: E[t tᵀ], (n, P); the others as of :func:`_beliefs`.
    """
    size = pulled.shape[1]
    return np.asarray(squared - 2.0 * (pulled * packed[:, :size]).sum(1) + (seen * packed) @ _twice(size))


def own_noise(squares: Array, counts: Array, spread: float) -> tuple[Array, float, float]:
    """Noise of each user: ``ν ~ InvGamma(n₀/2, n₀/2)``, so that an answer is t-distributed over the users.

    Args:
        squares: In units of the items' noise, (n,).
        spread: n₀.
    Returns:
        E[1 / ν], (n,); what it adds to the bound beyond the weighted squares; sum of ``E[log ν] + E[1 / ν]``.
    """
    shape, scale = 0.5 * (spread + counts), 0.5 * (spread + np.maximum(squares, 0.0))
    precision, log_noise = shape / scale, np.log(scale) - digamma(shape)
    half = 0.5 * spread
    bound = half * np.log(half) - gammaln(half) - shape * np.log(scale) + gammaln(shape) + 0.5 * squares * precision
    return precision, float(bound.sum()), float((log_noise + precision).sum())


def user_half(
    answers: Answers, users: Users, given: Given, likelihood: Likelihood, chunk_size: int
) -> tuple[Statistics, Users]:
    """Every user's belief given the items, as one sum, and what is kept of them all."""
    total = Statistics.zero(len(given.factors), given.factors.shape[1] - 1)
    kept = Users(np.empty_like(users.moments), np.empty_like(users.precision))
    for rows, chunk in answers.chunks(chunk_size):
        part, now = chunk_statistics(chunk, users.of(rows), given, likelihood)
        kept.moments[rows], kept.precision[rows] = now.moments, now.precision
        total = total + part
    return total, kept
