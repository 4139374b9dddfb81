"""Beliefs about items: level, factors, and how unsure both are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.errors import OptionError
from palate.posteriors.belief import Belief
from palate.posteriors.statistics import augmented_moments, pack, unpack

Form = Literal["full", "diagonal", "isotropic"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Posterior covariances of level and factors, in one of three forms.

    Attributes:
        form: ``full`` keeps (I, P) packed, ``diagonal`` (I, A), ``isotropic`` (I, 1), the mean of the diagonal.
        values: The numbers, by form.
        places: Items of which others hold, ascending, (k,): so that a few move without a copy of all.
        moved: Their numbers, (k, ...).
    """

    form: Form
    values: Array
    places: NDArray[np.intp] | None = None
    moved: Array | None = None

    @classmethod
    def build(cls, covariances: Array, form: Form = "full") -> Spread:
        """From covariances (I, A, A)."""
        return cls.of_packed(pack(covariances), form)

    @classmethod
    def of_packed(cls, covariances: Array, form: Form = "full") -> Spread:
        """From packed covariances, (I, P)."""
        if form == "full":
            return cls(form, covariances)
        size = round((np.sqrt(8 * covariances.shape[1] + 1) - 1) / 2)
        diagonal = covariances[:, np.cumsum([0, *range(size, 1, -1)])]
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
        expected = weights @ self.values.T
        if self.moved is not None:
            expected[..., self.places] = weights @ self.moved.T
        return expected

    def total(self, size: int) -> Array:
        """Sum of the covariances, (A, A)."""
        values = self.whole.sum(0)
        return unpack(values) if self.form == "full" else np.diag(np.broadcast_to(values, size))

    def take(self, items: NDArray[np.intp]) -> Spread:
        values = self.values[items]
        if self.moved is not None and self.places is not None:
            row = np.minimum(np.searchsorted(self.places, items), len(self.places) - 1)
            is_moved = self.places[row] == items
            values[is_moved] = self.moved[row[is_moved]]
        return Spread(self.form, values)

    @property
    def whole(self) -> Array:
        """The numbers of all items, by form."""
        if self.moved is None:
            return self.values
        values = self.values.copy()
        values[self.places] = self.moved
        return values

    def covariances(self, size: int) -> Array:
        """As matrices, (I, A, A)."""
        values = self.whole
        if self.form == "full":
            return unpack(values)
        return np.asarray(np.broadcast_to(values, (len(values), size))[:, :, None] * np.eye(size))


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
        return cls.of_packed(means, pack(covariances), noise, form)

    @classmethod
    def of_packed(cls, means: Array, covariances: Array, noise: Array, form: Form = "full") -> Items:
        """From posterior means (I, A) and packed covariances (I, P)."""
        return cls(means[:, 0].copy(), np.ascontiguousarray(means[:, 1:]), Spread.of_packed(covariances, form), noise)

    def moved(self, places: NDArray[np.intp], means: Array, spread: Spread) -> Items:
        """The same where some, ascending, (k,), have other means, (k, A), and covariances, of the form that is kept."""
        items = copy(self)
        level, factors, unit = self.level.copy(), self.factors.copy(), self.answer_noise.copy()
        level[places], factors[places] = means[:, 0], means[:, 1:]
        unit[places] = self.noise[places] + spread.expected(np.eye(means.shape[1]))
        spread = replace(self.spread, places=places, moved=spread.values)
        for name, value in (("level", level), ("factors", factors), ("spread", spread), ("answer_noise", unit)):
            object.__setattr__(items, name, value)
        return items

    def take(self, items: NDArray[np.intp]) -> Items:
        """Some of them."""
        return Items(self.level[items], self.factors[items], self.spread.take(items), self.noise[items])

    def predict_pairs(self, belief: Belief, users: NDArray[np.int32], items: NDArray[np.intp]) -> tuple[Array, Array]:
        """The same of some pairs of user and item, of many users, (N,) each."""
        factors, mean = self.factors[items], belief.mean[users]
        second = augmented_moments(belief.mean, belief.covariance)[users]
        spread = self.spread.take(items).covariances(self.dim + 1)
        variance = np.einsum("nd,nde,ne->n", factors, belief.covariance[users], factors, optimize=True)
        variance = variance + np.einsum("nab,nab->n", spread, second) + self.noise[items]
        return self.level[items] + np.einsum("nd,nd->n", mean, factors), variance

    def predict(self, belief: Belief) -> tuple[Array, Array]:
        """Mean and variance of a new answer to each item, each (I,) or (n, I): ``v = wᵀSw + tr(C E[t tᵀ]) + σ²``."""
        mean = self.level + belief.score(self.factors)
        second = augmented_moments(belief.mean, belief.covariance)
        return mean, belief.variance(self.factors) + self.spread.expected(second) + self.noise


class MovedItems:
    """Items of which a few lie elsewhere for a while, without a copy of all for each time: at a million items that copy
    takes longer than all the rest of a user's update. Safe to share between threads, which wait for each other.
    """

    def __init__(self, items: Items) -> None:
        self._items, self._lock, self._is_lent = items, RLock(), False
        self._own: Items | None = None

    @contextmanager
    def moved(self, places: NDArray[np.intp], means: Array, spread: Spread) -> Iterator[Items]:
        """:meth:`Items.moved`, good while the block runs."""
        with self._lock:
            if self._is_lent:  # by this very thread
                yield self._items.moved(places, means, spread)
                return
            base = self._items
            if self._own is None:
                self._own = base.moved(places[:0], means[:0], Spread(spread.form, spread.values[:0]))
            items = copy(self._own)
            object.__setattr__(items, "spread", replace(base.spread, places=places, moved=spread.values))
            items.level[places], items.factors[places] = means[:, 0], means[:, 1:]
            items.answer_noise[places] = base.noise[places] + spread.expected(np.eye(means.shape[1]))
            self._is_lent = True
            try:
                yield items
            finally:
                self._is_lent = False
                for name in ("level", "factors", "answer_noise"):
                    getattr(items, name)[places] = getattr(base, name)[places]
