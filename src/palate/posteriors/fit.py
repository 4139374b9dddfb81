"""The batch fit: variational Bayes by coordinate ascent (model.md, section 2).

Each sweep is a map over chunks of users to :class:`Statistics`, a sum, and one update of all items; memory is linear in
the answers plus ``(I + chunk) P``. The evidence lower bound never falls: each step, the change of coordinates included,
maximises it in what it touches. That is why Λ is a full matrix here. Rescaling tastes so that ``E[z zᵀ] = I`` turns a
diagonal prior of the factors into a full one, and forcing it back to a diagonal would lose bound; a rotation at the end
makes the factor part of ``E[w wᵀ]`` diagonal, which is where relevance is read off.

Factor analysis by variational Bayes: Bishop, *Variational principal components*, ICANN 1999; parameter expansion: Liu,
Rubin, Wu, Biometrika 85(4), 1998; Qi, Jaakkola, NIPS 2006.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import DataError, OptionError
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.collapsed_prior import settle
from palate.posteriors.likelihoods import Likelihood
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.prior import Prior
from palate.posteriors.statistics import Statistics, augmented_moments, blocks, pack, second_moments, unpack

_CHUNK_BYTES = 48 * 2**20  # of packed user moments at a time; larger is not faster
_LARGEST_ENCODING = 1e100  # the sums of squares of larger ones overflow
_NOISE_ANSWERS = 100.0  # an item's own noise counts as much as the common one once it has this many answers


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Settings of the batch fit.

    Attributes:
        dim: Taste dimensions at the start; those the data does not support are dropped at the end.
        sweeps: At most this many.
        tolerance: Stop when a sweep raises the bound by less than this share of its size, for answers of variance 1.
        prune: Drop dimensions whose prior carries less than this share of the largest one's variance.
    """

    dim: int = 16
    sweeps: int = 60
    tolerance: float = 3e-5
    prune: float = 1e-3

    def __post_init__(self) -> None:
        if self.dim < 1 or self.sweeps < 1:
            raise OptionError(f"dim {self.dim} and sweeps {self.sweeps} must be at least 1.")


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit finds.

    Attributes:
        factors: Level and factors of the items, posterior means, (I, A).
        covariances: Their posterior covariances, (I, A, A).
        noise: σ² of an answer to each item given level, taste and factors, (I,); 1 for probit and implicit.
        prior: The prior of items.
        bounds: Evidence lower bound after each sweep, in nats.
    """

    factors: Array
    covariances: Array
    noise: Array
    prior: Prior
    bounds: tuple[float, ...]


@dataclass(slots=True)
class Answers:
    """Answers sorted by user, as rows of a sparse matrix.

    Attributes:
        values: (U, I) CSR, an entry an answer.
        weights: Of each entry, as so much of an answer, in the order of ``values.data``; None for all one.
    """

    values: sparse.csr_matrix
    weights: Array | None = None

    @classmethod
    def build(
        cls,
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        values: Array,
        shape: tuple[int, int],
        weights: Array | None = None,
    ) -> Answers:
        """From codes, each (N,), without duplicates."""
        if len(values) == 0:
            raise DataError("there is no answer to fit: 0 rows with a value. Give at least one rated interaction.")
        order = np.argsort(users, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=shape[0]))])
        matrix = sparse.csr_matrix((values[order].astype(np.float64), items[order], start), shape=shape)
        return cls(matrix, None if weights is None else weights[order])

    def chunks(self, size: int) -> Iterator[tuple[slice, Answers]]:
        """Runs of users of at most ``size`` rows."""
        start = self.values.indptr
        for first in range(0, self.values.shape[0], size):
            rows = slice(first, min(first + size, self.values.shape[0]))
            entries = slice(start[rows.start], start[rows.stop])
            yield rows, Answers(self.values[rows], None if self.weights is None else self.weights[entries])

    def of_items(self, items: NDArray[np.intp]) -> Answers:
        """Those to some items; no other may have an answer."""
        return self if len(items) == self.values.shape[1] else Answers(self.values[:, items], self.weights)

    def matrix(self, data: Array) -> sparse.csr_matrix:
        """The same entries with other numbers on them."""
        return sparse.csr_matrix((data, self.values.indices, self.values.indptr), shape=self.values.shape)


def inverse(matrices: Array) -> tuple[Array, Array]:
    """Inverses and log determinants of symmetric positive definite matrices, (..., A, A) and (...)."""
    lower = np.linalg.cholesky(matrices)
    half = np.linalg.inv(lower)
    return np.swapaxes(half, -1, -2) @ half, 2.0 * np.log(np.einsum("...aa->...a", lower)).sum(-1)


@dataclass(frozen=True, slots=True)
class _Given:
    """The items as the users' half sees them, each in units of its noise.

    Attributes:
        factors: Level and factors, (I, A); not divided.
        pulls: Factors over noise, (I, D).
        packed: E[w̃ w̃ᵀ] over noise, packed, (I, P).
        shared: Moment that every user shares for the unseen items, (A, A).
    """

    factors: Array
    pulls: Array
    packed: Array
    shared: Array


def _user_beliefs(weights: sparse.csr_matrix, weighted: sparse.csr_matrix, given: _Given) -> tuple[Array, Array, Array]:
    """Beliefs about the users of a chunk given the items: means (n, D), covariances (n, D, D), log determinants (n,).

    Args:
        weights: Weight of each answer's square, (n, I).
        weighted: Weight times value, (n, I).
    """
    moment = unpack(weights @ given.packed) + given.shared
    precision = moment[:, 1:, 1:] + np.eye(given.pulls.shape[1])
    pull = weighted @ given.pulls - moment[:, 1:, 0]
    covariances, log_determinants = inverse(precision)
    return np.einsum("nde,ne->nd", covariances, pull), covariances, -log_determinants


def chunk_statistics(chunk: Answers, means: Array, given: _Given, likelihood: Likelihood) -> tuple[Statistics, Array]:
    """Sums over one chunk of users, and the users' new means, (n, D).

    Args:
        means: The users' means so far, (n, D): the probit's latent values hang on them.
    """
    values, bound = likelihood.targets(chunk.values.data, lambda: _predicted(chunk.values, means, given.factors))
    of_answer = np.ones_like(values) if chunk.weights is None else chunk.weights
    weight = likelihood.confidence * of_answer
    extra = chunk.matrix((likelihood.confidence - likelihood.background) * of_answer)
    weighted = chunk.matrix(weight * values)
    mean, covariance, log_determinants = _user_beliefs(extra, weighted, given)
    n, dim = mean.shape
    second = augmented_moments(mean, covariance)
    gram = second.sum(0)
    n_items = chunk.values.shape[1]
    return Statistics(
        users=n,
        answers=np.asarray(np.bincount(chunk.values.indices, of_answer, n_items), dtype=np.float64),
        moment=extra.T @ pack(second),
        cross=weighted.T @ np.concatenate([np.ones((n, 1)), mean], 1),
        squares=np.asarray(np.bincount(chunk.values.indices, weight * values**2, minlength=n_items), dtype=np.float64),
        gram=gram,
        residual=gram[1:, 1:],
        centre=gram[0, 1:],
        information=float(0.5 * (np.trace(gram[1:, 1:]) - n * dim - log_determinants.sum())),
        latent=float(bound.sum() if chunk.weights is None else chunk.weights @ bound),
    ), mean


def _predicted(values: sparse.csr_matrix, means: Array, factors: Array) -> Array:
    """Mean of ``t · w̃`` of each entry, (N,)."""
    rows = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
    of_item = factors[values.indices]
    return np.asarray(of_item[:, 0] + np.einsum("nd,nd->n", of_item[:, 1:], means[rows]))


@dataclass(slots=True)
class _State:
    """What coordinate ascent moves."""

    factors: Array
    covariances: Array
    noise: Array  # (I,)
    prior: Prior
    means: Array  # (U, D), the users' tastes


def fit(
    answers: Answers,
    *,
    likelihood: Likelihood,
    options: FitOptions,
    content: Array | None = None,
    sizes: Sequence[int] | None = None,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Item factors, their covariances and their prior from answers of many users.

    Args:
        answers: Of U users on I items.
        content: Encodings of the items, (I, E), or None.
        sizes: Columns of each block of it, where there are several or items lack one: that is NaN then.
        rng: Source of the start.
        progress: Called with (sweeps done, sweeps at most).
    Raises:
        DataError: If there is no answer, a value is not finite, or an encoding is too large to be squared.
    """
    if not np.isfinite(answers.values.data).all():
        bad = int((~np.isfinite(answers.values.data)).sum())
        raise DataError(
            f"{bad} of {answers.values.nnz} answers are not finite. Remove them or read the data with rejects."
        )
    content = np.zeros((answers.values.shape[1], 0)) if content is None else content
    _check_encodings(content, sizes)
    unit = _unit(answers, likelihood)
    state = _start(answers, likelihood, options.dim, unit, content, rng, sizes)
    in_units = 0.5 * answers.values.nnz * float(np.log(unit))  # so that the scale of the ratings moves nothing
    bounds: list[float] = []
    for sweep in range(options.sweeps):
        total = _user_half(answers, state, likelihood)
        total = _rescale(state, total)
        bounds.append(_item_half(state, total, likelihood, content, floor=1e-9 * unit))
        if progress is not None:
            progress(sweep + 1, options.sweeps)
        if sweep > 2 and bounds[-1] - bounds[-2] < options.tolerance * abs(bounds[-1] + in_units):
            break
    if isinstance(state.prior, FusedPrior):
        state.prior, state.factors, state.covariances = settle(
            state.prior, *_evidence(answers, state, likelihood), content, 1e-9 * unit
        )
    return _canonical(state, options.prune, tuple(bounds))


def _evidence(answers: Answers, state: _State, likelihood: Likelihood) -> tuple[Array, Array]:
    """What the answers say of each item given the users: precision (I, A, A), and precision times mean (I, A)."""
    total = _user_half(answers, state, likelihood)
    precisions = state.covariances  # their place, since they are made anew from this
    for items in blocks(len(precisions)):
        moment = unpack(total.moment[items]) + likelihood.background * total.gram
        precisions[items] = moment / state.noise[items, None, None]
    return precisions, total.cross / state.noise[:, None]


def _unit(answers: Answers, likelihood: Likelihood) -> float:
    """Variance of the answers, the scale of everything at the start; 1 where all are equal or the unit is fixed."""
    variance = float(answers.values.data.var()) if likelihood.learns_scale else 1.0
    return variance if variance > 0.0 else 1.0


def _check_encodings(content: Array, sizes: Sequence[int] | None) -> None:
    sound = np.abs(content) < _LARGEST_ENCODING  # false for NaN too
    for block in np.split(np.arange(content.shape[1]), np.cumsum(sizes)[:-1]) if sizes is not None else ():
        sound[np.ix_(np.isnan(content[:, block]).all(1), block)] = True  # an item may lack a whole block
    if not sound.all():
        bad = int((~sound).any(1).sum())
        raise DataError(
            f"{bad} of {len(content)} encodings hold NaN or a number of {_LARGEST_ENCODING:g} or more. Scale them."
        )


def _start(
    answers: Answers,
    likelihood: Likelihood,
    dim: int,
    unit: float,
    content: Array,
    rng: np.random.Generator,
    sizes: Sequence[int] | None = None,
) -> _State:
    n_users, n_items = answers.values.shape
    # as large as real factors are: from a tenth of the answers' deviation, small data falls back to no taste at all
    factors = rng.normal(0.0, 0.3 * np.sqrt(unit), (n_items, dim + 1))
    factors[:, 0] = 0.0
    if likelihood.learns_scale:
        counts = np.bincount(answers.values.indices, minlength=n_items)
        sums = np.bincount(answers.values.indices, answers.values.data, minlength=n_items)
        factors[:, 0] = (sums + 5 * answers.values.data.mean()) / (counts + 5)
    covariance = np.diag(np.concatenate([[unit / 4], np.full(dim, 0.09 * unit)]))
    covariances = np.tile(0.01 * unit * np.eye(dim + 1), (n_items, 1, 1))
    noise = np.full(n_items, unit if likelihood.learns_scale else 1.0)
    given = factors.mean(0), covariance, content
    prior: Prior = LinearPrior.start(*given) if sizes is None else FusedPrior.start(*given, sizes)
    return _State(factors, covariances, noise, prior, np.zeros((n_users, dim)))


def _user_half(answers: Answers, state: _State, likelihood: Likelihood) -> Statistics:
    """Every user's belief given the items, as one sum."""
    total = Statistics.zero(len(state.factors), state.factors.shape[1] - 1)
    packed, shared = np.empty_like(total.moment), np.zeros_like(total.gram)
    for items in blocks(len(state.factors)):
        moments = second_moments(state.factors[items], state.covariances[items]) / state.noise[items, None, None]
        packed[items] = pack(moments)
        shared += likelihood.background * moments.sum(0)
    given = _Given(state.factors, state.factors[:, 1:] / state.noise[:, None], packed, shared)
    size = max(1, _CHUNK_BYTES // (8 * given.packed.shape[1]))
    for rows, chunk in answers.chunks(size):
        part, state.means[rows] = chunk_statistics(chunk, state.means[rows], given, likelihood)
        total = total + part
    return total


def _rescale(state: _State, total: Statistics) -> Statistics:
    """Change coordinates so that tastes have mean 0 and E[z zᵀ] = I over the users; predictions stay as they are."""
    dim = len(total.centre)
    centre = total.centre / total.users
    lower = np.linalg.cholesky(total.residual / total.users - np.outer(centre, centre))
    forward = np.eye(dim + 1)
    forward[1:, 1:] = np.linalg.inv(lower)
    forward[1:, 0] = -forward[1:, 1:] @ centre
    backward = np.asarray(np.linalg.inv(forward).T)
    state.prior = state.prior.transform(backward)
    state.factors = state.factors @ backward.T
    moment = np.empty_like(total.moment)
    for items in blocks(len(moment)):
        state.covariances[items] = backward @ state.covariances[items] @ backward.T
        moment[items] = pack(forward @ unpack(total.moment[items]) @ forward.T)
    state.means = (state.means - centre) @ forward[1:, 1:].T
    information = total.information - 0.5 * (np.trace(total.residual) - total.users * dim)
    return Statistics(
        users=total.users,
        answers=total.answers,
        moment=moment,
        cross=total.cross @ forward.T,
        squares=total.squares,
        gram=forward @ total.gram @ forward.T,
        residual=total.users * np.eye(dim),
        centre=np.zeros(dim),
        information=information + total.users * float(np.log(np.diag(lower)).sum()),
        latent=total.latent,
    )


def _item_half(state: _State, total: Statistics, likelihood: Likelihood, content: Array, *, floor: float) -> float:
    """Every item's belief given the users, then the prior and the noise; returns the bound."""
    n_items = len(state.factors)
    relevance = np.linalg.inv(state.prior.covariance)
    pull = state.prior.predict(content) @ relevance + total.cross / state.noise[:, None]
    log_determinants, fitted = np.empty(n_items), np.empty(n_items)
    for items in blocks(n_items):
        moment = unpack(total.moment[items]) + likelihood.background * total.gram
        covariances, log_determinants[items] = inverse(relevance + moment / state.noise[items, None, None])
        factors = np.einsum("iab,ib->ia", covariances, pull[items])
        fitted[items] = np.einsum("iab,iab->i", second_moments(factors, covariances), moment)
        state.factors[items], state.covariances[items] = factors, covariances
    state.prior, divergence = state.prior.refit(state.factors, state.covariances.sum(0), content, floor)
    squares = total.squares - 2.0 * (state.factors * total.cross).sum(1) + fitted
    evidence = total.latent
    if likelihood.learns_scale:
        state.noise, of_prior = _noise(state.noise, squares, total.answers, floor)
        evidence += of_prior - 0.5 * float(total.answers @ np.log(2 * np.pi * state.noise))
    evidence -= 0.5 * float((squares / state.noise).sum())
    item_information = 0.5 * (n_items * np.linalg.slogdet(state.prior.covariance)[1] + log_determinants.sum())
    return float(evidence - total.information - item_information - divergence)


def _noise(noise: Array, squares: Array, answers: Array, floor: float) -> tuple[Array, float]:
    """Noise of each item and the log density of its prior, up to a constant.

    Some items divide people for reasons no taste explains; with one noise for all, every strategy that seeks
    information runs after those. The prior is an inverse gamma around a common noise, itself at its best.
    """
    common = len(noise) / (1.0 / noise).sum()
    noise = np.maximum((squares + _NOISE_ANSWERS * common) / (answers + _NOISE_ANSWERS), floor)
    return noise, float(0.5 * _NOISE_ANSWERS * (np.log(common / noise) - common / noise).sum())


def _canonical(state: _State, prune: float, bounds: tuple[float, ...]) -> Fitted:
    """Rotate so that factors are uncorrelated over the items, largest first; drop what the data does not support."""
    centred = state.factors[:, 1:]
    values, vectors = np.linalg.eigh((centred.T @ centred + state.covariances[:, 1:, 1:].sum(0)) / len(centred))
    keep = max(1, int((values > prune * values[-1]).sum()))
    vectors = vectors[:, ::-1][:, :keep]
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(0), np.arange(keep)] < 0, -1.0, 1.0)
    rotation = np.zeros((keep + 1, len(values) + 1))
    rotation[0, 0] = 1.0
    rotation[1:, 1:] = vectors.T
    covariances = rotation @ state.covariances @ rotation.T
    return Fitted(state.factors @ rotation.T, covariances, state.noise, state.prior.transform(rotation), bounds)
