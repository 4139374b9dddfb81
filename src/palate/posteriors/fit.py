"""The batch fit in one process: variational Bayes by coordinate ascent (model.md, section 2).

Its sweeps are those of :mod:`palate.posteriors.sweeps`; memory is linear in the answers plus ``(I + chunk) P``.

Factor analysis by variational Bayes: Bishop, *Variational principal components*, ICANN 1999; parameter expansion: Liu,
Rubin, Wu, Biometrika 85(4), 1998; Qi, Jaakkola, NIPS 2006.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.errors import DataError
from palate.machine import blas_threads
from palate.posteriors.answers import Answers
from palate.posteriors.block_prior import FusedPrior
from palate.posteriors.collapsed_prior import OneBlock, Told
from palate.posteriors.compiled import halves
from palate.posteriors.item_half import Common, ItemBlock, ItemSums, Step, items_half
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.linear_prior import LinearPrior
from palate.posteriors.prior import Prior
from palate.posteriors.statistics import Block, Head, pack
from palate.posteriors.sweeps import FitOptions, Progress, reduced, settled, sweep, sweeps, told
from palate.posteriors.user_half import Given, Users, predictions

_LARGEST_ANSWER = 1e152  # the squares of larger ones overflow
_LARGEST_ENCODING = 1e100  # the sums of squares of larger ones overflow
_ASKED = 50_000  # answers, about, from which what a likelihood learns is learnt
_EXTRA, _ITERATIONS = 8, 6  # of the subspace that holds the principal directions


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit finds.

    Attributes:
        factors: Level and factors of the items, posterior means, (I, A).
        covariances: Their posterior covariances, packed, (I, P).
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
    halves = InMemory(answers, likelihood, options.dim, content)
    state, common = _start(answers, likelihood, options.dim, content, rng, sizes)

    def after(state: State, at: Progress) -> State:
        if progress is not None:
            progress(len(at.bounds), options.sweeps)
        return state

    state, at = sweeps(halves, state, Progress(common), options, after)
    state, at = settled(halves, state, at)
    state, at = reduced(halves, state, at, options.prune * at.edge)
    return unit.put_back(state, at)


def refined(
    answers: Answers, items: ItemBlock, prior: Prior, *, likelihood: Likelihood, content: Array, times: int
) -> Fitted:
    """Some sweeps more, from what a fit of other answers has found: when people leave, in a fraction of its time.

    The sums over the people who are left are those of all less those of who left. One sweep more would not do: the
    beliefs about the others were made with items that knew who left (docs/privacy.md).

    Args:
        answers: On the items that were fitted, (U, I).
        items: What was found of these, and their prior, in the unit of the answers.
        likelihood: With what was learnt of it.
        content: Encodings of the items, (I, E).
        times: Sweeps, at least 1.
    """
    unit = Unit.of(answers.values.data) if likelihood.learns_scale else Unit(0.0, 1.0)
    answers, dim = unit.taken_off(answers), items.factors.shape[1] - 1
    items, prior = unit.taken_off_items(items, prior)
    at = Progress(Common(prior, likelihood, len(items.noise) / float((1.0 / items.noise).sum())))
    halves = InMemory(answers, likelihood, dim, content)
    state = State(items, Users.start(answers.values.shape[0], dim, likelihood))
    if not likelihood.is_linear:  # what a like says hangs on what is believed of the user
        state = State(items, halves.believe(state, at.common)[1].users)
    for _ in range(times):
        state, at = sweep(halves, state, at)
    return unit.put_back(*settled(halves, state, at))


@dataclass(frozen=True, slots=True)
class State:
    """What a sweep moves: all items in one block, and what is kept of users."""

    items: ItemBlock
    users: Users


class _Sums(NamedTuple):
    """What the users' half says of the items, and what it keeps of the users."""

    items: Block
    users: Users


class InMemory:
    """The halves of a sweep over answers at hand (:class:`palate.posteriors.sweeps.Halves`)."""

    def __init__(self, answers: Answers, likelihood: Likelihood, dim: int, content: Array) -> None:
        self._users_half, self._content = halves(answers, dim), content
        self._some = slice(None, None, max(1, answers.values.nnz // _ASKED))
        self._asked = answers.of_users(self._some)

    def believe(self, state: State, common: Common) -> tuple[Head, _Sums]:
        total, users = self._users_half(state.users, _given(state.items, common), common.likelihood)
        return total.head, _Sums(total.items, users)

    def items(self, state: State, sums: _Sums, step: Step) -> tuple[State, ItemSums]:
        items, of_items = items_half(state.items, sums.items, self._content, step)
        return State(items, sums.users.transform(step.forward)), of_items

    def settling(self, state: State, sums: _Sums, step: Step) -> _Settling:
        return _Settling(told(state.items, sums.items, self._content, step), state, sums.users)

    def turned(self, state: State, matrix: Array) -> State:
        return State(state.items.turned(matrix), state.users.transform(matrix))

    def mean_squares(self, state: State) -> Array:
        return state.items.squares / len(state.items.noise)

    def learnt(self, state: State, common: Common) -> Likelihood:
        """From some of the users."""

        def expected() -> tuple[Array, Array]:
            return predictions(self._asked, state.users.of(self._some), _given(state.items, common))()

        return common.likelihood.learnt_from(self._asked.values.data, expected)


class _Settling(OneBlock):
    def __init__(self, block: Told, state: State, users: Users) -> None:
        super().__init__(block)
        self._state, self._users = state, users

    def finish(self, believed: Callable[[Told], tuple[Array, Array]]) -> State:
        return State(ItemBlock(*believed(self.block), self._state.items.noise), self._users)


def _given(items: ItemBlock, common: Common) -> Given:
    return Given.build(items.factors, items.covariances, items.noise, common.likelihood, common.spread)


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

    def taken_off_items(self, items: ItemBlock, prior: Prior) -> tuple[ItemBlock, Prior]:
        """Items and their prior, given in the unit of the answers."""
        factors, mean = items.factors.copy(), prior.mean.copy()
        factors[:, 0] -= self.centre
        mean[0] -= self.centre
        prior = replace(prior, mean=mean)  # type: ignore[type-var]  # a prior is a dataclass with a mean
        prior = prior.transform(np.eye(factors.shape[1]) / self.size)
        return ItemBlock(factors / self.size, items.covariances / self.size**2, items.noise / self.size**2), prior

    def put_back(self, state: State, at: Progress) -> Fitted:
        """The fit in the unit of the answers, and the noise of items that of a user whose noise is 1 on average."""
        average = float(state.users.precision.mean())
        items, prior = self.put_back_items(state.items, at.common.prior, average)
        user_noise, likelihood = average / state.users.precision, at.common.likelihood
        return Fitted(items.factors, items.covariances, items.noise, prior, at.bounds, user_noise, likelihood)

    def put_back_items(self, items: ItemBlock, prior: Prior, average: float) -> tuple[ItemBlock, Prior]:
        """Items and their prior in the unit of the answers.

        Args:
            average: Precision of the users' noise, mean over all.
        """
        factors, prior = items.factors * self.size, prior.transform(self.size * np.eye(items.factors.shape[1]))
        mean = prior.mean.copy()
        factors[:, 0] += self.centre
        mean[0] += self.centre
        prior = replace(prior, mean=mean)  # type: ignore[type-var]  # a prior is a dataclass with a mean
        return ItemBlock(factors, items.covariances * self.size**2, items.noise * self.size**2 / average), prior


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
) -> tuple[State, Common]:
    """Levels from means, factors along what the answers vary by most.

    From factors drawn at random, a sweep may settle where a real dimension is lost: of nine such starts on generated
    ratings most did (docs/lab-notes.md).
    """
    n_items, values = answers.values.shape[1], answers.values
    counts = np.bincount(values.indices, minlength=n_items).astype(np.float64)
    sums = np.bincount(values.indices, values.data, minlength=n_items).astype(np.float64)
    levels = first_levels(sums, counts, likelihood)
    # as large as real factors are: from a tenth of the answers' deviation, small data falls back to no taste at all
    middle = 0.0 if likelihood.events_only or likelihood.learns_scale else values.data.mean()
    residuals = answers.matrix(values.data - middle - levels[values.indices])
    directions = principal(
        lambda basis: residuals.T @ (residuals @ basis), partial(_right_vectors, residuals), n_items, dim, rng
    )
    items = first_items(first_factors(levels, directions))
    given = items.factors.mean(0), first_covariance(dim), content
    prior: Prior = LinearPrior.start(*given) if sizes is None else FusedPrior.start(*given, sizes)
    users = Users.start(values.shape[0], dim, likelihood)
    return State(items, users), Common(prior, likelihood)


def first_levels(sums: Array, counts: Array, likelihood: Likelihood) -> Array:
    """Of items, from the sums and numbers of their answers, (I,) each."""
    return sums / (counts + 5) if likelihood.learns_scale else np.zeros(len(sums))


def first_factors(levels: Array, directions: Array) -> Array:
    """Level and factors at the start, (I, A), from levels, (I,), and directions of mean square 1, (I, D)."""
    return np.concatenate([levels[:, None], 0.3 * directions], 1)


def first_items(factors: Array) -> ItemBlock:
    """Items at the start of a fit, from level and factors, (I, A)."""
    n_items, size = factors.shape
    return ItemBlock(factors, np.tile(pack(0.01 * np.eye(size)), (n_items, 1)), np.ones(n_items))


def first_covariance(dim: int) -> Array:
    """Λ at the start, (A, A)."""
    return np.diag(np.concatenate([[0.25], np.full(dim, 0.09)]))


def _right_vectors(residuals: sparse.csr_matrix, basis: Array) -> Array:
    return np.asarray(np.linalg.svd(residuals @ basis, full_matrices=False)[2].T)


def principal(
    times: Callable[[Array], Array],
    right_vectors: Callable[[Array], Array],
    n_items: int,
    dim: int,
    rng: np.random.Generator,
) -> Array:
    """Right singular vectors of the largest singular values of a matrix R, of mean square 1, (I, dim).

    Where the matrix has fewer, the others are drawn at random. Subspace iteration: Halko, Martinsson, Tropp, SIAM
    Review 53(2), 2011.

    Args:
        times: Gives ``Rᵀ R basis`` for a basis, (I, K).
        right_vectors: Gives the right singular vectors of ``R basis``, (K, K), those of the largest values first.
    """
    basis = rng.normal(size=(n_items, dim + _EXTRA))
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(times(basis))[0]
    vectors = basis @ right_vectors(basis)
    found = np.sqrt(n_items) * vectors[:, :dim]
    return np.asarray(np.concatenate([found, rng.normal(size=(n_items, dim - found.shape[1]))], 1))
