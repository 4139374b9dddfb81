"""What is believed about users and items, and how an answer moves it (model.md, sections 1, 3 and 6).

Shapes: ``I`` items, ``D`` taste dimensions, ``A = D + 1``; a belief about one user has mean (D,) and covariance (D, D),
about ``n`` users at once (n, D) and (n, D, D). Everything here takes both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palate.errors import OptionError
from palate.posteriors.likelihoods import Likelihood, assumed_density
from palate.posteriors.statistics import augmented_moments, pack, unpack

Array = NDArray[np.float64]
Form = Literal["full", "diagonal", "isotropic"]
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
        along = np.einsum("...de,...e->...d", self.covariance, factors)
        noise = np.maximum(noise, _LEAST_NOISE * np.einsum("...d,...d->...", factors, factors))
        total = np.einsum("...d,...d->...", along, factors) + noise
        return self._moved(along, error / total, -1.0 / total, answered)

    def update_probit(
        self, factors: Array, level: Array | float, liked: Array, noise: Array | float, known: Array | float = 1.0
    ) -> Belief:
        """The belief after one like (1) or dislike (0) by each user, by assumed-density filtering, O(D²).

        Args:
            known: P(the user knows it), where 0 also stands for what is not known
                (:func:`palate.posteriors.likelihoods.assumed_density`).
        """
        along = np.einsum("...de,...e->...d", self.covariance, factors)
        variance = np.einsum("...d,...d->...", along, factors)
        mean = level + np.einsum("...d,...d->...", self.mean, factors)
        unit = np.sqrt(noise)
        first, second = assumed_density(mean / unit, variance / noise, np.asarray(liked), known)
        return self._moved(along, first / unit, second / noise, True)

    def _moved(self, along: Array, first: Array, second: Array, where: Array | bool) -> Belief:
        """Mean moved by ``first`` and covariance by ``second`` along a direction; a symmetric step stays so."""
        first = np.where(where, first, 0.0)[..., None]
        second = np.where(where, second, 0.0)[..., None, None]
        outer = along[..., :, None] * along[..., None, :]  # first, so that rounding cannot break the symmetry
        return Belief(self.mean + first * along, self.covariance + second * outer)


@dataclass(frozen=True, slots=True)
class Spread:
    """Posterior covariances of level and factors, in one of three forms.

    Attributes:
        form: ``full`` keeps (I, P) packed, ``diagonal`` (I, A), ``isotropic`` (I, 1), the mean of the diagonal.
        values: The numbers, by form.
    """

    form: Form
    values: Array

    @classmethod
    def build(cls, covariances: Array, form: Form = "full") -> Spread:
        """From covariances (I, A, A)."""
        diagonal = np.einsum("iaa->ia", covariances)
        if form == "full":
            return cls(form, pack(covariances))
        if form == "diagonal":
            return cls(form, np.ascontiguousarray(diagonal))
        if form == "isotropic":
            return cls(form, diagonal.mean(1, keepdims=True))
        raise OptionError(f"covariance form {form!r} is unknown. Use full, diagonal or isotropic.")

    @classmethod
    def form_within(cls, n_items: int, size: int, memory_bytes: float) -> Form:
        """The richest form that fits."""
        if 4 * n_items * size * (size + 1) <= memory_bytes:
            return "full"
        return "diagonal" if 8 * n_items * size <= memory_bytes else "isotropic"

    def expected(self, second: Array) -> Array:
        """``tr(C_i E[t tᵀ])``, for second moments (A, A) to (I,), (n, A, A) to (n, I): what not knowing it adds."""
        if self.form == "full":
            weights = pack(2.0 * second - second * np.eye(second.shape[-1]))
        elif self.form == "diagonal":
            weights = np.einsum("...aa->...a", second)
        else:
            weights = np.einsum("...aa->...", second)[..., None]
        return weights @ self.values.T

    def total(self, size: int) -> Array:
        """Sum of the covariances, (A, A)."""
        if self.form == "full":
            return unpack(self.values.sum(0))
        return np.diag(np.broadcast_to(self.values.sum(0), size))

    def take(self, items: NDArray[np.intp]) -> Spread:
        return Spread(self.form, self.values[items])


@dataclass(frozen=True, slots=True)
class Items:
    """What is believed about items.

    Attributes:
        level: b, (I,).
        factors: w, (I, D).
        spread: Their covariances.
        noise: σ² of an answer given level, factors and taste, (I,); 1 for probit.
        answer_noise: Variance of an answer given the taste alone, (I,): σ² and what not knowing the item adds, for a
            taste from the population. It does not depend on the answers, so online and batch agree.
    """

    level: Array
    factors: Array
    spread: Spread
    noise: Array
    answer_noise: Array = field(init=False)

    def __post_init__(self) -> None:
        size = self.factors.shape[1] + 1
        object.__setattr__(self, "answer_noise", self.noise + self.spread.expected(np.eye(size)))

    def __len__(self) -> int:
        return len(self.level)

    @property
    def dim(self) -> int:
        return int(self.factors.shape[1])

    @classmethod
    def build(cls, means: Array, covariances: Array, noise: Array, form: Form = "full") -> Items:
        """From posterior means (I, A) and covariances (I, A, A)."""
        return cls(means[:, 0].copy(), np.ascontiguousarray(means[:, 1:]), Spread.build(covariances, form), noise)

    def take(self, items: NDArray[np.intp]) -> Items:
        """Some of them."""
        return Items(self.level[items], self.factors[items], self.spread.take(items), self.noise[items])

    def predict(self, belief: Belief) -> tuple[Array, Array]:
        """Mean and variance of a new answer to each item, each (I,) or (n, I): ``v = wᵀSw + tr(C E[t tᵀ]) + σ²``."""
        mean = self.level + belief.score(self.factors)
        second = augmented_moments(belief.mean, belief.covariance)
        return mean, belief.variance(self.factors) + self.spread.expected(second) + self.noise


@dataclass(frozen=True, slots=True)
class Taste:
    """Items, the population, and how people answer: all that is needed to form a belief about anybody.

    Attributes:
        items: Beliefs about the items.
        likelihood: How answers come about.
        start: Belief about a user with no answer and no history. N(0, I) for ratings and likes; with implicit
            feedback it holds that nothing was used yet.
    """

    items: Items
    likelihood: Likelihood
    start: Belief

    @classmethod
    def build(cls, items: Items, likelihood: Likelihood) -> Taste:
        dim = items.dim
        start = Belief(np.zeros(dim), np.eye(dim))
        if likelihood.background:
            level = np.concatenate([items.level[:, None], items.factors], 1)
            shared = likelihood.background * (level.T @ level + items.spread.total(dim + 1))
            precision = np.eye(dim) + shared[1:, 1:]
            covariance = np.asarray(np.linalg.inv(precision))
            pull = -shared[1:, 0]
            start = Belief(covariance @ pull, covariance)
        return cls(items, likelihood, start)

    def prior(self, mean: Array | None = None, covariance: Array | None = None) -> Belief:
        """Where a user starts whose history says N(mean, covariance); without history, ``start``."""
        if mean is None or covariance is None:
            return self.start
        if not self.likelihood.background:
            return Belief(mean, covariance)
        precision = np.linalg.inv(covariance)
        base = np.linalg.inv(self.start.covariance)
        total = np.linalg.inv(base - np.eye(len(mean)) + precision)
        return Belief(total @ (base @ self.start.mean + precision @ mean), total)

    def observe(
        self, belief: Belief, items: NDArray[np.intp] | int, values: Array | float, weight: Array | float = 1.0
    ) -> Belief:
        """The belief after one more answer: one user and one item, or n users and an item each.

        Args:
            weight: Of the answer, in (0, 1]: one of weight w is an answer with the noise σ² / w.
        """
        factors, level = self.items.factors[items], self.items.level[items]
        noise = self.items.answer_noise[items]
        if self.likelihood.kind == "probit":
            return belief.update_probit(factors, level, np.asarray(values), noise / weight)
        values, noise = self.as_gaussian(np.asarray(values, dtype=np.float64), noise)
        predicted = level + np.einsum("...d,...d->...", belief.mean, factors)
        return belief.update(factors, values - predicted, noise / weight)

    def observe_like(
        self,
        belief: Belief,
        items: NDArray[np.intp] | int,
        liked: Array | float,
        *,
        cut: float,
        known: Array | float = 1.0,
        noise: float = 0.0,
    ) -> Belief:
        """The belief after "I like it" (1) or not (0): an answer above the cut, of which no more is said.

        Args:
            cut: Expected rating from which an item is liked; 0 where the model knows likes (:meth:`like_level`).
            known: P(the user knows it), where 0 also stands for what is not known.
            noise: Variance that comes on top of a rating's.
        """
        unit = self.items.answer_noise[items] + noise
        level = self.like_level(cut)[items]
        return belief.update_probit(self.items.factors[items], level, np.asarray(liked), unit, known)

    def like_level(self, cut: float) -> Array:
        """Level of the items above where liking begins, (I,).

        Raises:
            OptionError: Where the model knows events only, which say nothing of disliking.
        """
        if self.likelihood.kind == "implicit":
            raise OptionError("a model of events knows no dislikes. Fit ratings, or ask to rate or to tap in a group.")
        return self.items.level if self.likelihood.kind == "probit" else self.items.level - cut

    def observe_pair(
        self,
        belief: Belief,
        first: NDArray[np.intp] | int,
        second: NDArray[np.intp] | int,
        preferred: Array | float,
    ) -> Belief:
        """The belief after the first (1) or the second (0) of two items is preferred.

        ``P(first) = Φ((b₁ − b₂ + (w₁ − w₂) · z) / √(n₁ + n₂))``: Thurstone, *A law of comparative judgment*,
        Psychological Review 34, 1927.
        """
        level, noise = self.like_level(0.0), self.items.answer_noise
        return belief.update_probit(
            self.items.factors[first] - self.items.factors[second],
            level[first] - level[second],
            np.asarray(preferred),
            noise[first] + noise[second],
        )

    def as_gaussian(self, values: Array, noise: Array) -> tuple[Array, Array]:
        """Answers as the Gaussian update sees them: their values and their variances given the taste."""
        noise = self.likelihood.answer_noise(noise)
        return (values * self.likelihood.confidence * noise if self.likelihood.kind == "implicit" else values), noise

    def believe(self, answers: sparse.csr_matrix, start: Belief | None = None) -> Belief:
        """Beliefs about many users from all their answers, (n, I) CSR, entries in the order of answering.

        Equals :meth:`observe` one by one: for ratings and events to rounding (precisions add, so no order), for likes
        because it is that, all users side by side.
        """
        start = start or self.start
        n = answers.shape[0]
        mean = np.broadcast_to(start.mean, (n, self.items.dim))
        covariance = np.broadcast_to(start.covariance, (n, self.items.dim, self.items.dim))
        if self.likelihood.kind == "probit":
            return self._filter(answers, Belief(mean.copy(), covariance.copy()))
        values, noise = self.as_gaussian(answers.data, self.items.answer_noise[answers.indices])
        factors = self.items.factors
        weights = sparse.csr_matrix((1.0 / noise, answers.indices, answers.indptr), shape=answers.shape)
        pulls = weights.copy()
        pulls.data = (values - self.items.level[answers.indices]) / noise
        precision = np.linalg.inv(start.covariance)
        moved = unpack(weights @ pack(factors[:, :, None] * factors[:, None, :])) + precision
        covariance = np.linalg.inv(moved)
        covariance = (covariance + np.swapaxes(covariance, -1, -2)) / 2
        pull = pulls @ factors + (precision @ start.mean[..., None])[..., 0]
        return Belief(np.einsum("nde,ne->nd", covariance, pull), covariance)

    def _filter(self, answers: sparse.csr_matrix, belief: Belief) -> Belief:
        """Assumed-density filtering of all users side by side: the t-th answer of each in the t-th round."""
        counts = np.diff(answers.indptr)
        mean, covariance = belief.mean, belief.covariance
        for turn in range(int(counts.max(initial=0))):
            users = np.flatnonzero(counts > turn)
            entries = answers.indptr[users] + turn
            moved = self.observe(
                Belief(mean[users], covariance[users]), answers.indices[entries], answers.data[entries]
            )
            mean[users], covariance[users] = moved.mean, moved.covariance
        return replace(belief, mean=mean, covariance=covariance)
