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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.errors import DataError, OptionError
from palate.machine import blas_threads
from palate.posteriors.answers import Answers
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.collapsed_prior import settle
from palate.posteriors.compiled import halves
from palate.posteriors.item_half import FLOOR, ItemBeliefs, item_half, rescaled, scattered
from palate.posteriors.likelihood import Likelihood, Predicted
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.prior import Prior
from palate.posteriors.statistics import Statistics, blocks, unpack
from palate.posteriors.user_half import Given, Users, predictions

_LARGEST_ANSWER = 1e152  # the squares of larger ones overflow
_LARGEST_ENCODING = 1e100  # the sums of squares of larger ones overflow
_ASKED = 50_000  # answers, about, from which what a likelihood learns is learnt
_SPREAD = 20.0  # n₀ of the users' noise at the start
_DROP_EVERY, _GONE = 5, 0.05  # sweeps after which dimensions go that carry less than this share of the same
_EXTRA, _ITERATIONS = 8, 6  # of the subspace that holds the principal directions


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Settings of the batch fit.

    Attributes:
        dim: Taste dimensions at the start; those the data does not support are dropped at the end.
        sweeps: At most this many.
        tolerance: Stop when a sweep raises the bound by less than this share of its size, for answers of variance 1.
        prune: Drop dimensions that carry less than this share of what noise would show as a dimension.
    """

    dim: int = 16
    sweeps: int = 60
    tolerance: float = 3e-5
    prune: float = 0.3

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
        bounds: Evidence lower bound after each sweep, in nats, of answers with mean 0 and variance 1.
        user_noise: ν, by which the noise of each user's answers is multiplied, (U,); 1 for probit and implicit.
        likelihood: With what was learnt of it.
    """

    factors: Array
    covariances: Array
    noise: Array
    prior: Prior
    bounds: tuple[float, ...]
    user_noise: Array
    likelihood: Likelihood


@blas_threads(1)
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
        DataError: If there is no answer, or a value or an encoding is not finite or too large to be squared.
    """
    sound = np.abs(answers.values.data) < _LARGEST_ANSWER  # false for NaN too
    if not sound.all():
        raise DataError(
            f"{int((~sound).sum())} of {len(sound)} answers are not finite, or {_LARGEST_ANSWER:g} and more. "
            "Remove them or read the data with rejects."
        )
    content = np.zeros((answers.values.shape[1], 0)) if content is None else content
    _check_encodings(content, sizes)
    likelihood = likelihood.learnt_from(answers.values.data)
    unit = Unit.of(answers.values.data) if likelihood.learns_scale else Unit(0.0, 1.0)
    answers = unit.taken_off(answers)
    items = _start(answers, likelihood, options.dim, content, rng, sizes)
    users = Users.start(answers.values.shape[0], options.dim, likelihood)
    half, some = halves(answers, options.dim), slice(None, None, max(1, answers.values.nnz // _ASKED))
    asked = answers.of_users(some)
    bounds: list[float] = []
    for sweep in range(options.sweeps):
        before = None if likelihood.is_linear else (items, users)
        total, users = half(users, _given(items, likelihood), likelihood)
        items, total, forward = rescaled(items, total)
        users = users.transform(forward)
        items, bound = item_half(items, scattered(total, likelihood), likelihood, content)
        bounds.append(bound)
        edge = _edge(total, items.noise, likelihood)
        if sweep % _DROP_EVERY == _DROP_EVERY - 1 and isinstance(items.prior, LinearPrior):
            items, users = _reduced(items, users, _GONE * edge)
        likelihood = likelihood.learnt_from(asked.values.data, _expected(asked, users.of(some), items, likelihood))
        if progress is not None:
            progress(sweep + 1, options.sweeps)
        if sweep > 2:
            rise, least = bounds[-1] - bounds[-2], options.tolerance * abs(bounds[-1])
            if before is not None and rise < -least:
                items, users = before
                bounds.pop()
            if rise < least:
                break
    if isinstance(items.prior, FusedPrior):
        total, users = half(users, _given(items, likelihood), likelihood)
        items = _settled(items, scattered(total, likelihood), likelihood, content)
    items, users = _reduced(items, users, options.prune * edge)
    return unit.put_back(items, tuple(bounds), users, likelihood)


def refined(answers: Answers, items: ItemBeliefs, *, likelihood: Likelihood, content: Array, sweeps: int) -> Fitted:
    """Some sweeps more, from what a fit of other answers has found: when people leave, in a fraction of its time.

    The sums over the people who are left are those of all less those of who left. One sweep more would not do: the
    beliefs about the others were made with items that knew who left (docs/privacy.md).

    Args:
        answers: On the items that were fitted, (U, I).
        items: What was found of these, in the unit of the answers.
        likelihood: With what was learnt of it.
        content: Encodings of the items, (I, E).
        sweeps: At least 1.
    """
    unit = Unit.of(answers.values.data) if likelihood.learns_scale else Unit(0.0, 1.0)
    answers, items = unit.taken_off(answers), unit.taken_off_items(items)
    users = Users.start(answers.values.shape[0], items.factors.shape[1] - 1, likelihood)
    half, bounds = halves(answers, items.factors.shape[1] - 1), list[float]()
    if not likelihood.is_linear:  # what a like says hangs on what is believed of the user
        users = half(users, _given(items, likelihood), likelihood)[1]
    for _ in range(sweeps):
        total, users = half(users, _given(items, likelihood), likelihood)
        items, total, forward = rescaled(items, total)
        users = users.transform(forward)
        items, bound = item_half(items, scattered(total, likelihood), likelihood, content)
        bounds.append(bound)
    if isinstance(items.prior, FusedPrior):
        total, users = half(users, _given(items, likelihood), likelihood)
        items = _settled(items, scattered(total, likelihood), likelihood, content)
    return unit.put_back(items, tuple(bounds), users, likelihood)


def start_of(factors: Array, covariances: Array, noise: Array, prior: Prior) -> ItemBeliefs:
    """Where :func:`refined` starts: the items of a fit, in the unit of the answers."""
    return ItemBeliefs(factors, covariances, noise, prior, _SPREAD)


def _given(items: ItemBeliefs, likelihood: Likelihood) -> Given:
    return Given.build(items.factors, items.covariances, items.noise, likelihood, items.spread)


def _expected(asked: Answers, users: Users, items: ItemBeliefs, likelihood: Likelihood) -> Predicted:
    """What is believed of these users' answers, made where somebody asks."""
    return lambda: predictions(asked, users, _given(items, likelihood))()


def _settled(items: ItemBeliefs, total: Statistics, likelihood: Likelihood, content: Array) -> ItemBeliefs:
    """What content and the answers say of the items once the factors are integrated out."""
    precisions = np.empty_like(items.covariances)
    for some in blocks(len(precisions)):
        moment = unpack(total.moment[some]) + likelihood.background * total.gram
        precisions[some] = moment / items.noise[some, None, None]
    pulls = total.cross / items.noise[:, None]
    prior, factors, covariances = settle(items.prior, precisions, pulls, content, FLOOR)  # type: ignore[arg-type]
    return replace(items, prior=prior, factors=factors, covariances=covariances)


@dataclass(frozen=True, slots=True)
class Unit:
    """Where answers lie and how far apart: the fit sees them with mean 0 and variance 1.

    So a constant added to all of them, or a factor, changes nothing but level and size.
    """

    centre: float
    size: float

    @classmethod
    def of(cls, values: Array) -> Unit:
        """Of these answers, (N,); of size 1 where all are equal."""
        largest = float(np.abs(values).max()) or 1.0  # first, since squares of large ones overflow
        scaled = values / largest
        centre, size = float(scaled.mean()), float(scaled.std())
        return cls(largest * centre, largest * size if size > 1e-12 else 1.0)

    def taken_off(self, answers: Answers) -> Answers:
        return Answers(answers.matrix((answers.values.data - self.centre) / self.size), answers.weights)

    def taken_off_items(self, items: ItemBeliefs) -> ItemBeliefs:
        """Items and their prior, given in the unit of the answers."""
        factors, mean = items.factors.copy(), items.prior.mean.copy()
        factors[:, 0] -= self.centre
        mean[0] -= self.centre
        prior = replace(items.prior, mean=mean)  # type: ignore[type-var]  # a prior is a dataclass with a mean
        prior = prior.transform(np.eye(factors.shape[1]) / self.size)
        covariances, noise = items.covariances / self.size**2, items.noise / self.size**2
        return replace(items, factors=factors / self.size, covariances=covariances, noise=noise, prior=prior)

    def put_back(self, items: ItemBeliefs, bounds: tuple[float, ...], users: Users, likelihood: Likelihood) -> Fitted:
        """The fit in the unit of the answers, and the noise of items that of a user whose noise is 1 on average."""
        factors, prior = items.factors * self.size, items.prior.transform(self.size * np.eye(items.factors.shape[1]))
        mean = prior.mean.copy()
        factors[:, 0] += self.centre
        mean[0] += self.centre
        prior = replace(prior, mean=mean)  # type: ignore[type-var]  # a prior is a dataclass with a mean
        average = float(users.precision.mean())
        noise, user_noise = items.noise * self.size**2 / average, average / users.precision
        return Fitted(factors, items.covariances * self.size**2, noise, prior, bounds, user_noise, likelihood)


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
    content: Array,
    rng: np.random.Generator,
    sizes: Sequence[int] | None,
) -> ItemBeliefs:
    """Levels from means, factors along what the answers vary by most.

    From factors drawn at random, a sweep may settle where a real dimension is lost: of nine such starts on generated
    ratings most did (docs/lab-notes.md).
    """
    n_items = answers.values.shape[1]
    counts = np.bincount(answers.values.indices, minlength=n_items)
    sums = np.bincount(answers.values.indices, answers.values.data, minlength=n_items)
    factors = np.zeros((n_items, dim + 1))
    if likelihood.learns_scale:
        factors[:, 0] = sums / (counts + 5)
    # as large as real factors are: from a tenth of the answers' deviation, small data falls back to no taste at all
    middle = 0.0 if likelihood.events_only or likelihood.learns_scale else answers.values.data.mean()
    residuals = answers.values.data - middle - factors[answers.values.indices, 0]
    factors[:, 1:] = 0.3 * _principal(answers.matrix(residuals), dim, rng)
    covariance = np.diag(np.concatenate([[0.25], np.full(dim, 0.09)]))
    covariances = np.tile(0.01 * np.eye(dim + 1), (n_items, 1, 1))
    given = factors.mean(0), covariance, content
    prior: Prior = LinearPrior.start(*given) if sizes is None else FusedPrior.start(*given, sizes)
    return ItemBeliefs(factors, covariances, np.ones(n_items), prior, _SPREAD)


def _principal(residuals: sparse.csr_matrix, dim: int, rng: np.random.Generator) -> Array:
    """Right singular vectors of the largest singular values, of mean square 1, (I, dim).

    Where the matrix has fewer, the others are drawn at random. Subspace iteration: Halko, Martinsson, Tropp, SIAM
    Review 53(2), 2011.
    """
    n_items = residuals.shape[1]
    basis = rng.normal(size=(n_items, dim + _EXTRA))
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(residuals.T @ (residuals @ basis))[0]
    vectors = basis @ np.linalg.svd(residuals @ basis, full_matrices=False)[2].T
    found = np.sqrt(n_items) * vectors[:, :dim]
    return np.asarray(np.concatenate([found, rng.normal(size=(n_items, dim - found.shape[1]))], 1))


def _edge(total: Statistics, noise: Array, likelihood: Likelihood) -> float:
    """Mean square of the factors along a direction that so many answers cannot tell from noise.

    The largest singular value of noise is that of a direction with ``E[w²] = √(U I) / Σ weight``, σ being in the
    weights: one with less leaves no trace. Baik, Ben Arous, Péché, Annals of Probability 33(5), 2005.
    """
    pairs = float(total.users * len(noise))
    precision = float((total.moment[:, 0] / noise).sum()) + likelihood.background * pairs
    return float(np.sqrt(pairs)) / precision


def _reduced(items: ItemBeliefs, users: Users, least: float) -> tuple[ItemBeliefs, Users]:
    """Rotated so that factors are uncorrelated over the items, largest first, without the small ones.

    Args:
        least: Mean square over the items from which a dimension stays.
    """
    centred = items.factors[:, 1:]
    values, vectors = np.linalg.eigh((centred.T @ centred + items.covariances[:, 1:, 1:].sum(0)) / len(centred))
    keep = int((values >= least).sum())
    vectors = vectors[:, ::-1][:, :keep]
    vectors = vectors * np.where((vectors**3).sum(0) < 0.0, -1.0, 1.0)  # so that their signs are definite
    rotation = np.zeros((keep + 1, len(values) + 1))
    rotation[0, 0] = 1.0
    rotation[1:, 1:] = vectors.T
    moved = replace(
        items,
        factors=items.factors @ rotation.T,
        covariances=rotation @ items.covariances @ rotation.T,
        prior=items.prior.transform(rotation),
    )
    return moved, users.transform(rotation)
