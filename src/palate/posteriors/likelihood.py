"""What a likelihood answers (:mod:`palate.posteriors.likelihoods` has them)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from palate.arrays import Array
from palate.entities import Form
from palate.errors import OptionError
from palate.posteriors import ordered
from palate.posteriors.belief import Belief

Kind = Literal["gaussian", "probit", "implicit", "ordered"]
Predicted = Callable[[], tuple[Array, Array]]  # mean and variance of ``t · w̃`` of each answer, (N,) each
Lazy = Array | Callable[[], Array]  # where it takes time to compute: only some kinds need it
Value = TypeVar("Value", Array, float)


class Entries(NamedTuple):
    """Answers as weighted Gaussian observations of ``t · w̃``, (N,) each.

    Attributes:
        weights: Precision of each, times that of an answer.
        targets: What was observed.
        bound: What they add to the bound beyond the weighted squares, in nats.
    """

    weights: Array
    targets: Array
    bound: Array


@dataclass(frozen=True)
class Likelihood(ABC):
    """The way of answering.

    Attributes:
        kind: Its name: ``gaussian`` for ratings on a scale, ``probit`` for like (1) or dislike (0), ``implicit`` for
            events.
        learns_scale: Whether level and noise of the answers are learnt; otherwise a threshold or the weights fix them.
        is_linear: Whether an answer is ``t · w̃`` plus Gaussian noise: beliefs are exact and hang on no order, what an
            answer tells does not hang on what it is, and the noise of repeated ones averages out.
        is_binary: Whether an answer is yes or no, so that the expected answer is a chance.
        events_only: Whether answers are events, for (above 0) or against (below), and an item without one counts as a
            weak zero.
        power: An answer of the reliability ρ weighs ``ρ ** power``: a like tells ρ² as much of a taste that says
            nothing either way.
        forms: Of question that it has an answer to.
        answers: Lowest and highest answer; none where the data says so.
        words: Answers that have a name.
        unit: What the expected answer is, with the ends of the scale to be filled in as ``low`` and ``high``.
        confidence: Precision of one observed event (implicit; 1 otherwise).
        background: Precision with which every unseen item counts as a zero (implicit; 0 otherwise). Hu, Koren,
            Volinsky, *Collaborative filtering for implicit feedback datasets*, ICDM 2008.
        frequency: How far the taste behind one event lies from the person's, as a share of the variance of tastes
            (implicit; 0 otherwise): it holds the factors of an item back by how often that was met.
    """

    kind: ClassVar[Kind]
    learns_scale: ClassVar[bool] = False
    is_linear: ClassVar[bool]
    is_binary: ClassVar[bool]
    events_only: ClassVar[bool] = False
    power: ClassVar[int] = 1
    forms: ClassVar[frozenset[Form]] = frozenset(Form)
    answers: ClassVar[tuple[float, ...]] = (0.0, 1.0)
    words: ClassVar[Mapping[str, float]] = {}
    unit: ClassVar[str]
    _said: ClassVar[tuple[str, str]] = ("dislike", "like")  # of an answer below the middle, and above
    _did: ClassVar[tuple[str, str]]

    confidence: float = 1.0
    background: float = 0.0
    frequency: float = 0.0

    def check_forms(self, forms: Iterable[Form]) -> None:
        """Raises OptionError if it has no answer to one of these forms of question."""
        strange = [form for form in forms if form not in self.forms]
        if strange:
            raise OptionError(
                f"a model of events has no level of liking: a {strange[0].value} cannot be asked. "
                "Fit ratings, or rate, group or page."
            )

    def on_scale(self, low: float, high: float) -> Likelihood:
        """The same for answers from ``low`` to ``high``, where it has ends and none are given."""
        return self

    def learnt_from(self, values: Array, predicted: Predicted | None = None) -> Likelihood:
        """The same with what it learns of the answers, (N,): its cut points, where it has any.

        Args:
            predicted: What a fit believes of them; None before it.
        """
        return self

    @abstractmethod
    def entries(self, values: Array, predicted: Predicted) -> Entries:
        """What the fit makes of answers, (N,)."""

    def observed(self, values: Array) -> tuple[Array, Array | None]:
        """Answers as the batch fit takes them, and as how much of one each counts, None for all one; (N,)."""
        return values, None

    def weight(self, values: Array) -> Array:
        """How much an answer counts, against a whole one; (...)."""
        return np.ones_like(values)

    @abstractmethod
    def update(self, belief: Belief, factors: Array, level: Array | float, values: Array, noise: Array) -> Belief:
        """The belief after one more answer of each user about ``level + factors · z``."""

    def update_each(
        self, belief: Belief, factors: Array, levels: Array, values: Array, noise: Array
    ) -> Iterator[Belief]:
        """The belief about one user after each of n answers, (n, D) and (n,)."""
        for each in zip(factors, levels, values, noise, strict=True):
            belief = self.update(belief, *each)
            yield belief

    @abstractmethod
    def pull(self, values: Array, level: Array, noise: Array) -> Array:
        """By how much answers pull along the factors of their items, times their precision."""

    def answer_noise(self, noise: Array) -> Array:
        """Variance of one answer given the taste, from :attr:`Items.answer_noise`; that of an event is its own."""
        return np.full_like(noise, 1.0 / (self.confidence - self.background)) if self.events_only else noise

    @abstractmethod
    def expected(self, mean: Array, variance: Lazy, noise: Array) -> Array:
        """Expected answer: a rating, the chance of a like, the strength of an event; the noise is in the variance."""

    def level_chances(self, levels: Array, mean: Array, variance: Array) -> Array:
        """P(answer) of each of K levels, ascending, the noise being in the variance, (..., K).

        An answer on a scale is the level nearest to it.
        """
        return ordered.chances((levels[1:] + levels[:-1]) / 2.0, mean, variance)

    def answer_variance(self, mean: Array, variance: Array) -> Array:
        """Variance of an answer; the noise is in the variance."""
        if not self.is_binary:
            return variance
        expected = self.expected(mean, variance, variance)
        return expected * (1.0 - expected)

    @abstractmethod
    def slope(self, mean: Array, variance: Array, noise: Array) -> Array:
        """How far the expected answer moves with the mean; the noise is in the variance."""

    @abstractmethod
    def curvature(self, mean: Array, variance: Array, noise: Array, reliability: float = 1.0) -> Array:
        """Expected fall of the variance per squared unit of it when an answer is given.

        Args:
            reliability: ρ: a rating has the noise σ² / ρ, a like is turned round with the chance (1 − ρ) / 2.
        """

    @abstractmethod
    def information(self, mean: Array, variance: Array, noise: Array) -> Array:
        """Between an answer and the taste, in nats."""

    def threshold(self, answer: Value) -> Value:
        """Where ``t · w̃`` lies when this answer is as likely passed as not."""
        return 0.0 * answer if self.is_binary else answer

    def in_words(self, value: float) -> str:
        """An answer as a person would say it."""
        return self._said[value > 0.5].format(value)

    def as_deed(self, value: float) -> str:
        """What a person did who gave this answer: "liked", to go before the name of the item."""
        return self._did[value > 0.5].format(value)
