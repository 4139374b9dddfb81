"""A Gibbs sampler of the taste model, to measure the batch fit against: slow, and right in the limit.

Bayesian probabilistic matrix factorisation (Salakhutdinov, Mnih, ICML 2008): levels and factors of the items and tastes
of the users are normal, mean and covariance of each side have a normal-Wishart prior. Likes by the latent values of
Albert, Chib, JASA 88, 1993. Ratings with a noise of each item, and of each user if wanted, gamma around the common one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri_exp

from palate.posteriors.statistics import pack, unpack

Array = NDArray[np.float64]
_NOISE_ANSWERS = 100.0  # own noise counts as much as the common one once there are this many answers, as in the fit


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the draws say of each pair of user and item that was asked for, (N,) each.

    Attributes:
        mean: Posterior mean of ``t · w̃``, the rating or the latent value of a like.
        std: Its posterior standard deviation, without the noise of an answer.
        expected: Expected answer: the same mean, or the chance of a like.
        noise: Mean variance of an answer given ``t · w̃``.
    """

    mean: Array
    std: Array
    expected: Array
    noise: Array


def gibbs(
    answers: sparse.csr_matrix,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
    *,
    dim: int,
    likelihood: Literal["gaussian", "probit"],
    sweeps: int = 200,
    burn: int = 100,
    user_noise: bool = False,
    rng: np.random.Generator,
) -> Drawn:
    """The posterior of ``t · w̃`` of some pairs, from ``sweeps`` draws after ``burn`` that are thrown away.

    Args:
        answers: (U, I) CSR, an entry an answer; of likes 0 or 1.
        pairs: Users and items to predict, (N,) each.
        dim: Tastes D.
        likelihood: ``gaussian`` or ``probit``.
        user_noise: Whether each user has a noise too; ratings only.
    """
    values, items = answers.data.astype(np.float64), answers.indices
    users = np.repeat(np.arange(answers.shape[0]), np.diff(answers.indptr))
    is_rating = likelihood == "gaussian"
    centre, unit = (values.mean(), values.std() or 1.0) if is_rating else (0.0, 1.0)
    y = (values - centre) / unit
    sign = 2.0 * values - 1.0
    by_user = sparse.csr_matrix((y, items, answers.indptr), shape=answers.shape)
    z = rng.normal(size=(answers.shape[0], dim))
    w = rng.normal(0.0, 0.3, (answers.shape[1], dim + 1))
    of_item, of_user = np.ones(answers.shape[1]), np.ones(answers.shape[0])
    common = 1.0
    sums = np.zeros((4, len(pairs[0])))
    for sweep in range(burn + sweeps):
        fitted = w[items, 0] + np.einsum("nd,nd->n", w[items, 1:], z[users])
        if is_rating:
            square = (y - fitted) ** 2
            common = _gamma(rng, len(y), (of_item[items] * of_user[users]) @ square)
            of_item = _own(rng, items, common * of_user[users] * square, answers.shape[1])
            if user_noise:
                of_user = _own(rng, users, common * of_item[items] * square, answers.shape[0])
        else:
            y = sign * _above_zero(rng, sign * fitted)
        precision = common * of_item[items] * of_user[users]
        weights = sparse.csr_matrix((precision, items, answers.indptr), shape=answers.shape)
        by_user = sparse.csr_matrix((precision * y, items, answers.indptr), shape=answers.shape)
        w = _side(rng, w, np.concatenate([np.ones((len(z), 1)), z], 1), weights.T, by_user.T)
        levels = sparse.csr_matrix((precision * (y - w[items, 0]), items, answers.indptr), shape=answers.shape)
        z = _side(rng, z, w[:, 1:], weights, levels)
        if sweep >= burn:
            drawn = centre + unit * (w[pairs[1], 0] + np.einsum("nd,nd->n", w[pairs[1], 1:], z[pairs[0]]))
            noise = unit**2 / (common * of_item[pairs[1]] * of_user[pairs[0]])
            sums += drawn, drawn**2, drawn if is_rating else ndtr(drawn), noise
    mean, square, expected, noise = sums / sweeps
    return Drawn(mean, np.sqrt(np.maximum(square - mean**2, 0.0)), expected, noise)


def _side(
    rng: np.random.Generator, now: Array, given: Array, weights: sparse.spmatrix, weighted: sparse.spmatrix
) -> Array:
    """One side's vectors, (n, K), given the other's, (m, K): first their mean and precision, then each of them."""
    mean, precision = _hyper(rng, now)
    each = unpack(weights @ pack(given[:, :, None] * given[:, None, :])) + precision
    lower = np.linalg.cholesky(each)
    pull = np.linalg.solve(lower, (weighted @ given + precision @ mean)[..., None]) + rng.normal(size=(*now.shape, 1))
    return np.asarray(np.linalg.solve(np.swapaxes(lower, 1, 2), pull)[..., 0])


def _hyper(rng: np.random.Generator, vectors: Array) -> tuple[Array, Array]:
    """Mean and precision of one side, drawn from what its vectors say and a prior of 2 vectors at 0."""
    n, size = vectors.shape
    mean = vectors.mean(0)
    scatter = np.eye(size) + (vectors - mean).T @ (vectors - mean) + 2.0 * n / (2.0 + n) * np.outer(mean, mean)
    half = np.linalg.cholesky(np.linalg.inv(scatter))
    bartlett = np.tril(rng.normal(size=(size, size)), -1)
    bartlett[np.diag_indices(size)] = np.sqrt(rng.chisquare(size + n - np.arange(size)))
    root = half @ bartlett
    spread = np.linalg.solve(root.T, rng.normal(size=size)) / np.sqrt(2.0 + n)
    return n * mean / (2.0 + n) + spread, root @ root.T


def _gamma(rng: np.random.Generator, count: float, squares: float) -> float:
    return float(rng.gamma(0.5 * count) / (0.5 * squares))


def _own(rng: np.random.Generator, places: NDArray[np.int32], squares: Array, n: int) -> Array:
    """Own precision of each item or user relative to the common one, gamma of mean 1 a priori."""
    counts = np.bincount(places, minlength=n) + _NOISE_ANSWERS
    return np.asarray(rng.gamma(0.5 * counts) / (0.5 * (np.bincount(places, squares, minlength=n) + _NOISE_ANSWERS)))


def _above_zero(rng: np.random.Generator, mean: Array) -> Array:
    """Draws of N(mean, 1) that lie above 0: by the inverse of the tail, in logarithms so that none is infinite."""
    return np.asarray(mean - ndtri_exp(log_ndtr(mean) + np.log1p(-rng.random(len(mean)))))
