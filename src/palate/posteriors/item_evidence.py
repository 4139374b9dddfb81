"""What answers since a fit say of items, as sums that add exactly (model.md, section 6).

An answer ``y`` of a user of whom ``z ~ N(m, S)`` is believed before it says of its item that

    y = m̃ · w̃ + ε,        m̃ = (1, m),        ε ~ N(0, n),        n = ν σ² / weight + w · S w + tr(C_w S)

with the item as the fit left it in the noise, and ν that of the user. What is not known of the user is noise here, and
not precision: with ``E[t tᵀ]`` in the place of ``m̃ m̃ᵀ``, as in a sweep of the fit, somebody of whom nothing is known
would pull the item's factors to zero, since no sweep over the users follows.

Each answer hangs on its user alone, so the sums over users do not depend on their order. They are kept as whole numbers
of 2⁻³⁰ of the item's own noise: to take an answer away leaves what would be there without it, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Mask
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.statistics import augmented_moments, pack, unpack

Sums = NDArray[np.int64]
_UNIT = 2.0**-30
_LEAST = 0.05  # share of its precision that an item keeps, whatever is taken back
_STEPS = 12


@dataclass(frozen=True, slots=True)
class Said:
    """An answer about an item, or one that is taken back.

    Attributes:
        item: Position.
        value: The answer.
        weight: How much of one it is; below 0 where it is taken back.
        belief: About the user, before it.
        is_apart: Whether no weak zero of the fit stands in its place (implicit): the user or the item is newer.
        noise: ν, by which the noise of the user's answers is multiplied.
    """

    item: int
    value: float
    weight: float
    belief: Belief
    is_apart: bool = False
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class Learning:
    """How items learn between fits.

    Attributes:
        items: As the fit left them.
        levels: Upper ends of the bins that answers are counted in, (R,).
    """

    items: Items
    likelihood: Likelihood
    levels: Array

    @property
    def width(self) -> int:
        """Numbers of each item: answers by level, and what they say; of likes, each answer on its own."""
        return len(self.levels) + self._parts * self._block

    @property
    def _parts(self) -> int:
        return 1 if self.likelihood.is_linear else len(self.levels)

    @property
    def _block(self) -> int:
        """A weight, ``(A,)`` and ``(A, A)`` packed."""
        size = self.items.dim + 1
        return 1 + size + size * (size + 1) // 2

    def codes(self, values: Array) -> NDArray[np.intp]:
        """The bin of each answer; events are for or against."""
        values = np.sign(values) if self.likelihood.events_only else values
        return np.minimum(np.searchsorted(self.levels, values), len(self.levels) - 1)

    def sums(self, said: Sequence[Said]) -> Sums:
        """What each of these says, (n, width), answers not counted."""
        items, values, weights = (
            np.array([getattr(one, name) for one in said]) for name in ("item", "value", "weight")
        )
        blocks = self._blocks(said, items, values, np.abs(weights)) * np.sign(weights)[:, None]
        found = np.zeros((len(said), self.width), dtype=np.int64)
        start = len(self.levels) + (0 if self._parts == 1 else self.codes(values) * self._block)
        columns = np.broadcast_to(start, (len(said),))[:, None] + np.arange(self._block)
        np.put_along_axis(found, columns, np.rint(blocks / _UNIT).astype(np.int64), 1)
        return found

    def _blocks(self, said: Sequence[Said], items: NDArray[np.intp], values: Array, weights: Array) -> Array:
        """Weight, pull and moment of each answer, (n, B), in units of its item's noise."""
        means = np.stack([one.belief.mean for one in said])
        covariances = np.stack([one.belief.covariance for one in said])
        vectors = np.concatenate([np.ones((len(said), 1)), means], 1)
        unsure = np.einsum("nd,nde,ne->n", self.items.factors[items], covariances, self.items.factors[items])
        unsure += self._doubt(items, means, covariances)
        if self.likelihood.frequency:  # its own taste is not known either
            unsure += self.likelihood.frequency * np.einsum(
                "nd,nd->n", self.items.factors[items], self.items.factors[items]
            )
        unit = self.items.noise[items]
        of_answer = unit * np.array([one.noise for one in said])
        if self.likelihood.is_linear:
            predicted = self.items.level[items] + np.einsum("nd,nd->n", means, self.items.factors[items])
            apart = np.array([one.is_apart for one in said])
            errors, own = self._errors(values, predicted, weights, of_answer, apart)
            total = own + unsure
            pulls, share = (errors / np.sqrt(total))[:, None], np.ones_like(weights)
        else:
            total, pulls, share = of_answer + unsure, 1.0, weights
        scaled = vectors * np.sqrt(unit / total)[:, None]
        moments = pack(scaled[:, :, None] * scaled[:, None, :])
        return np.concatenate([np.ones((len(said), 1)), pulls * scaled, moments], 1) * share[:, None]

    def _errors(
        self, values: Array, predicted: Array, weights: Array, noise: Array, apart: NDArray[np.bool_]
    ) -> tuple[Array, Array]:
        """How far answers lie from what the fit predicts, and their own noise; with their weak zero where it is due."""
        precision = weights * self.likelihood.weight(values) / self.likelihood.answer_noise(noise)
        total = precision + self.likelihood.background * apart
        target = predicted + self.likelihood.pull(values, predicted, np.ones_like(values))
        return precision * target / total - predicted, 1.0 / total

    def _doubt(self, items: NDArray[np.intp], means: Array, covariances: Array) -> Array:
        """``tr(C_w S)`` of each answer, (n,)."""
        second = augmented_moments(means, covariances)
        vectors = np.concatenate([np.ones((len(means), 1)), means], 1)
        of_items = self.items.spread.take(items).covariances(self.items.dim + 1)
        return np.asarray(np.einsum("nab,nab->n", of_items, second - vectors[:, :, None] * vectors[:, None, :]))

    def posterior(self, places: NDArray[np.intp], sums: Sums) -> tuple[Array, Spread]:
        """Means (k, A) and covariances of items after what they were told, (k, width)."""
        size = self.items.dim + 1
        blocks = sums[:, len(self.levels) :].reshape(len(places), self._parts, self._block).astype(np.float64) * _UNIT
        start = np.concatenate([self.items.level[places, None], self.items.factors[places]], 1)
        lower = np.asarray(np.linalg.cholesky(self.items.spread.take(places).covariances(size)), dtype=np.float64)
        told = _Told(start, lower, blocks[:, :, 0], blocks[:, :, 1 : size + 1], unpack(blocks[:, :, size + 1 :]))
        means, covariances = (
            told.solved(self.items.noise[places])
            if self.likelihood.is_linear
            else told.climbed(self.likelihood, self.levels)
        )
        return means, Spread.build(covariances, self.items.spread.form)


@dataclass(frozen=True, slots=True)
class _Told:
    """Some items and what they were told, by kind of answer.

    Attributes:
        start: Means of the fit, (k, A), and ``lower``: Cholesky factors of its covariances, (k, A, A).
        weights: (k, K), and sums of ``x``, (k, K, A), or of pulls, and of ``x xᵀ``, (k, K, A, A).
    """

    start: Array
    lower: Array
    weights: Array
    vectors: Array
    moments: Array

    def solved(self, noise: Array) -> tuple[Array, Array]:
        """Of a linear likelihood: one regression."""
        covariances = self._covariances(self.moments[:, 0] / noise[:, None, None])
        pull = self.vectors[:, 0] / np.sqrt(noise)[:, None]
        return self.start + np.einsum("kab,kb->ka", covariances, pull), covariances

    def _covariances(self, precision: Array) -> Array:
        """With so much more precision, which may be less than none where answers are taken back."""
        one = np.eye(self.start.shape[1])
        inner = one + np.swapaxes(self.lower, 1, 2) @ precision @ self.lower
        keeps = _are_positive(inner - _LEAST * one)
        half = np.empty_like(self.lower)
        lower = np.linalg.cholesky(inner[keeps])
        half[keeps] = np.swapaxes(np.linalg.solve(lower, np.swapaxes(self.lower[keeps], 1, 2)), 1, 2)
        values, vectors = np.linalg.eigh(inner[~keeps])
        half[~keeps] = self.lower[~keeps] @ (vectors / np.sqrt(np.maximum(values, _LEAST))[:, None, :])
        return np.asarray(half @ np.swapaxes(half, 1, 2))

    def climbed(self, likelihood: Likelihood, levels: Array) -> tuple[Array, Array]:
        """Of others: those who gave one answer are as a normal distribution, of which a step of Newton needs no more
        than the sums.
        """
        mean, covariance = self.start, self.lower @ np.swapaxes(self.lower, 1, 2)
        there = self.weights != 0.0
        per = np.where(there, self.weights, 1.0)
        centre, second = self.vectors / per[..., None], self.moments / per[..., None, None]
        for _ in range(_STEPS):
            s = np.einsum("kja,ka->kj", centre, mean)
            square = np.einsum("kjab,kab->kj", second, covariance + mean[:, :, None] * mean[:, None, :])
            slope, curvature = _expected(
                likelihood, np.broadcast_to(levels, s.shape), s, np.maximum(square - s**2, 0.0)
            )
            tilt = np.einsum("kjab,kb->kja", second, mean) - centre * s[..., None]
            pull = np.einsum("kj,kja->ka", self.weights, slope[..., None] * centre - curvature[..., None] * tilt)
            precision = np.einsum("kj,kjab->kab", curvature, self.moments)
            covariance = self._covariances(precision)
            moved = pull + np.einsum("kab,kb->ka", precision, mean - self.start)
            mean = self.start + np.einsum("kab,kb->ka", covariance, moved)
        return mean, covariance


def _are_positive(matrices: Array) -> Mask:
    """Which of n symmetric matrices are positive definite, (n,)."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:  # of one of them, nearly always
        found = [_are_positive(one[None])[0] for one in matrices] if len(matrices) > 1 else [False]
        return np.array(found)
    return np.ones(len(matrices), dtype=np.bool_)


def _expected(likelihood: Likelihood, values: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Expected slope of the log likelihood and how fast it falls, of answers about what is so believed, (k, K) each."""
    found = likelihood.entries(values, lambda: (mean, variance))
    return found.weights * (found.targets - mean), found.weights
