"""How answers come about: Gaussian ratings, probit likes, weighted implicit events.

A likelihood answers every question about its kind: how an answer looks to the batch fit (a weighted Gaussian
observation of ``t · w̃``), how one answer moves one belief, what to expect of the next one and how much it tells, and
what all of it is called. No other module asks which kind it is.

In every method ``mean`` and ``variance`` are of ``t · w̃``, what an answer is about, and ``noise`` is the variance of
an answer given that; all of any shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
from scipy.special import ndtr

from palate.arrays import TINY, Array
from palate.entities import Form
from palate.errors import OptionError
from palate.errors.checks import number_of, one_of, several, shown
from palate.posteriors import ordered, probit
from palate.posteriors.belief import Belief

Kind = Literal["gaussian", "probit", "implicit", "ordered"]
Predicted = Callable[[], tuple[Array, Array]]  # mean and variance of ``t · w̃`` of each answer, (N,) each
Lazy = Array | Callable[[], Array]  # where it takes time to compute: only some kinds need it
Value = TypeVar("Value", Array, float)
_LEAST = 1e-12  # strength of an event; one of none at all says nothing, and is not divided by


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

    @staticmethod
    def named(kind: str, **weights: float) -> Likelihood:
        """The likelihood of that name.

        Raises:
            OptionError: If there is none.
        """
        return _KINDS[one_of(kind, _KINDS, "likelihood")](**weights)

    def as_dict(self) -> dict[str, Any]:
        """What :meth:`named` makes it from.

        Raises:
            OptionError: If it is one of your own.
        """
        if _KINDS.get(self.kind) is not type(self):
            known = ", ".join(_KINDS)
            raise OptionError(f"a folder cannot keep the likelihood {self.kind!r}. Keep the learner, or fit {known}.")
        return {"kind": self.kind, **asdict(self)}

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


class _Linear(Likelihood):
    is_linear = True
    is_binary = False

    def entries(self, values: Array, predicted: Predicted) -> Entries:
        return Entries(np.ones_like(values), values, np.zeros_like(values))

    def update(self, belief: Belief, factors: Array, level: Array | float, values: Array, noise: Array) -> Belief:
        predicted = level + np.einsum("...d,...d->...", belief.mean, factors)
        return belief.update(factors, self._error(values, predicted), noise)

    def pull(self, values: Array, level: Array, noise: Array) -> Array:
        return self._error(values, level) / noise

    def _error(self, values: Array, predicted: Array) -> Array:
        """Answers less what was predicted."""
        return values - predicted

    def expected(self, mean: Array, variance: Lazy, noise: Array) -> Array:
        return mean

    def slope(self, mean: Array, variance: Array, noise: Array) -> Array:
        return np.ones_like(mean)

    def curvature(self, mean: Array, variance: Array, noise: Array, reliability: float = 1.0) -> Array:
        return reliability / (reliability * variance + noise)

    def information(self, mean: Array, variance: Array, noise: Array) -> Array:
        return 0.5 * np.log1p(variance / noise)


@dataclass(frozen=True)
class Gaussian(_Linear):
    """Ratings on a scale.

    Attributes:
        low, high: Ends of the scale. What is expected of an answer stays between them: what taste says counts as far as
            the scale goes, so the order stays, and what is less sure comes further inside. None: it has no ends.
    """

    kind = "gaussian"
    learns_scale = True
    answers = ()
    unit = "expected rating, {low:g} to {high:g}"
    _said = ("{:g}", "{:g}")
    _did = ("gave {:g} to", "gave {:g} to")

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        ends = (self.low, self.high)
        if ends != (None, None) and not -np.inf < number_of(self.low) < number_of(self.high) < np.inf:
            raise OptionError(
                f"a scale goes from {shown(self.low)} to {shown(self.high)}. Give two numbers, the lower first."
            )

    def on_scale(self, low: float, high: float) -> Gaussian:
        return self if self.low is not None or low >= high else replace(self, low=low, high=high)

    def _spread(self, variance: Array) -> Array:
        assert self.low is not None and self.high is not None
        return np.asarray(np.sqrt(np.maximum(variance, (1e-9 * (self.high - self.low)) ** 2)))

    def expected(self, mean: Array, variance: Lazy, noise: Array) -> Array:
        if self.low is None or self.high is None:
            return mean
        spread = self._spread(_now(variance) - noise)
        below, above = (mean - self.low) / spread, (self.high - mean) / spread
        # E[max(s, low)] less what lies above high: s is what taste says, as sure as it is
        return self.low + spread * (_beyond(below) - _beyond(-above))

    def slope(self, mean: Array, variance: Array, noise: Array) -> Array:
        if self.low is None or self.high is None:
            return np.ones_like(mean)
        spread = self._spread(variance - noise)
        return np.asarray(ndtr((mean - self.low) / spread) - ndtr((mean - self.high) / spread))


@dataclass(frozen=True)
class Implicit(_Linear):
    """Events for (1) and against (-1) an item, each of which takes the place of its weak zero.

    One for, of the strength s, takes a share s of that place: precision and pull lie as far between those of the weak
    zero and those of a whole event. One against takes all of it, and the strength says how far below zero it lies: who
    turns an item down has met it, as they have what they like, and a whole -1 would push away all they are likely to
    meet (docs/lab-notes.md). The weights are tuned on MovieLens-100K (``benchmarks/ranking.py``).
    """

    kind = "implicit"
    events_only = True
    # an event is a tap, a naming or a click a choice; there is nothing else to say
    forms = frozenset((Form.RATE, Form.GROUP, Form.PAGE, Form.RECALL, Form.PICK, Form.SLATE))
    words: ClassVar = {"like": 1.0, "dislike": -1.0}
    unit = "strength of preference"
    _did = ("turned down", "chose")

    confidence: float = 18.0
    background: float = 6.0

    def __post_init__(self) -> None:
        if not 0.0 <= number_of(self.background) < number_of(self.confidence) < np.inf:
            raise OptionError(
                f"an event has the precision {shown(self.confidence)}, an item without one {shown(self.background)}. "
                "Give the event a number above the other, and that 0 or more."
            )

    def observed(self, values: Array) -> tuple[Array, Array | None]:
        return self._target(values), self.weight(values)

    def weight(self, values: Array) -> Array:
        return np.where(values < 0.0, 1.0, np.maximum(values, _LEAST))

    def _target(self, values: Array) -> Array:
        return np.where(values > 0.0, 1.0, values)

    def _error(self, values: Array, predicted: Array) -> Array:
        """One in the place of a weak zero counts as if further from it."""
        return self._target(values) * self.confidence / (self.confidence - self.background) - predicted

    def in_words(self, value: float) -> str:
        return self._said[value > 0.0]

    def as_deed(self, value: float) -> str:
        return self._did[value > 0.0]


class Probit(Likelihood):
    """Like or dislike: whether ``t · w̃`` and a noise come out above zero."""

    kind = "probit"
    is_linear = False
    is_binary = True
    power = 2
    words: ClassVar = {"like": 1.0, "dislike": 0.0}
    unit = "chance of a like"
    _did = ("did not like", "liked")

    def entries(self, values: Array, predicted: Predicted) -> Entries:
        """With the curvature that is expected where ``t · w̃`` is normal, and the target where its slope points.

        A weight of 1, as with a latent value of which only the mean moves (Albert, Chib, JASA 88, 1993), charges more
        than an answer tells: the sweeps then find no taste and are far too sure. Opper, Archambeau, *The variational
        Gaussian approximation revisited*, Neural Computation 21(3), 2009.
        """
        sign, (mean, variance) = np.where(values > 0.5, 1.0, -1.0), predicted()
        bound, slope, curvature = probit.expected_log(sign * mean, variance)
        target = mean + sign * slope / curvature
        return Entries(curvature, target, bound + 0.5 * curvature * ((target - mean) ** 2 + variance))

    def update(self, belief: Belief, factors: Array, level: Array | float, values: Array, noise: Array) -> Belief:
        return belief.update_probit(factors, level, values, noise)

    def level_chances(self, levels: Array, mean: Array, variance: Array) -> Array:
        return ordered.chances(np.zeros(len(levels) - 1), mean, variance)

    def pull(self, values: Array, level: Array, noise: Array) -> Array:
        return (2.0 * values - 1.0) / noise

    def expected(self, mean: Array, variance: Lazy, noise: Array) -> Array:
        return probit.yes_chance(mean, _now(variance))

    def slope(self, mean: Array, variance: Array, noise: Array) -> Array:
        return np.asarray(np.exp(-0.5 * mean**2 / variance) / np.sqrt(2.0 * np.pi * variance))

    def curvature(self, mean: Array, variance: Array, noise: Array, reliability: float = 1.0) -> Array:
        return probit.expected_curvature(mean, variance, noise, reliability=reliability)

    def information(self, mean: Array, variance: Array, noise: Array) -> Array:
        return probit.information(mean, variance, noise)


@dataclass(frozen=True)
class Ordered(Likelihood):
    """Stars whose steps are uneven: a level says between which cut points ``t · w̃`` and a noise of variance 1 lie.

    Attributes:
        levels: Ascending, (K,).
        cuts: Where the next one begins, (K − 1,). A fit learns both.
    """

    kind = "ordered"
    is_linear = False
    is_binary = False
    power = 2
    answers = ()
    unit = "expected rating, {low:g} to {high:g}"
    _said = ("{:g}", "{:g}")
    _did = ("gave {:g} to", "gave {:g} to")

    levels: tuple[float, ...] = ()
    cuts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _set_numbers(self, "levels", "cuts")
        if len(self.cuts) != max(len(self.levels) - 1, 0):
            raise OptionError(
                f"{len(self.levels)} levels have {len(self.cuts)} cut points. Give one fewer, or neither."
            )

    def learnt_from(self, values: Array, predicted: Predicted | None = None) -> Ordered:
        if predicted is None and self.levels:
            return self
        levels = np.array(self.levels) if self.levels else np.unique(values)
        codes = np.searchsorted(levels, values)
        if predicted is None:
            cuts = ordered.first_cuts(codes, len(levels))
        else:
            cuts = ordered.fitting_cuts(codes, len(levels), *predicted())
        return Ordered(levels=tuple(levels.tolist()), cuts=tuple(cuts.tolist()))

    def _ends(self, values: Array) -> tuple[Array, Array]:
        """Cut points below and above each answer; one between levels counts as the nearer."""
        middle = (np.array(self.levels)[1:] + np.array(self.levels)[:-1]) / 2.0
        edges = np.concatenate([[-np.inf], self.cuts, [np.inf]])
        codes = np.searchsorted(middle, values, side="right")
        return edges[codes], edges[codes + 1]

    def entries(self, values: Array, predicted: Predicted) -> Entries:
        mean, variance = predicted()
        bound, slope, curvature = ordered.expected_log(*self._ends(values), mean, variance)
        target = mean + slope / curvature
        return Entries(curvature, target, bound + 0.5 * curvature * ((target - mean) ** 2 + variance))

    def update(self, belief: Belief, factors: Array, level: Array | float, values: Array, noise: Array) -> Belief:
        return belief.update_interval(factors, level, *self._ends(values), noise)

    def level_chances(self, levels: Array, mean: Array, variance: Array) -> Array:
        return ordered.chances(np.array(self.cuts), mean, variance)

    def pull(self, values: Array, level: Array, noise: Array) -> Array:
        return (self.threshold(values) - level) / noise

    def expected(self, mean: Array, variance: Lazy, noise: Array) -> Array:
        return np.asarray(ordered.chances(np.array(self.cuts), mean, _now(variance)) @ np.array(self.levels))

    def answer_variance(self, mean: Array, variance: Array) -> Array:
        chances, levels = ordered.chances(np.array(self.cuts), mean, variance), np.array(self.levels)
        return np.asarray(chances @ levels**2 - (chances @ levels) ** 2)

    def slope(self, mean: Array, variance: Array, noise: Array) -> Array:
        return np.asarray(ordered.chance_slopes(np.array(self.cuts), mean, variance) @ np.array(self.levels))

    def curvature(self, mean: Array, variance: Array, noise: Array, reliability: float = 1.0) -> Array:
        """Fisher information; an unreliable answer is any level as likely."""
        cuts, total = np.array(self.cuts), noise + variance
        chances = reliability * ordered.chances(cuts, mean, total) + (1.0 - reliability) / (len(cuts) + 1)
        slopes = reliability * ordered.chance_slopes(cuts, mean, total)
        return np.asarray((slopes**2 / np.maximum(chances, TINY)).sum(-1))

    def information(self, mean: Array, variance: Array, noise: Array) -> Array:
        return ordered.information(np.array(self.cuts), mean, variance, noise)

    def threshold(self, answer: Value) -> Value:
        levels, cuts = np.array(self.levels), np.array(self.cuts)
        middle = (levels[1:] + levels[:-1]) / 2.0
        if len(cuts) < 2:  # no step to go on by beyond the one cut point
            found = cuts[0] + (answer - middle[0]) if len(cuts) else 0.0 * answer
        else:
            inside = np.interp(answer, middle, cuts)
            per = (cuts[-1] - cuts[0]) / (middle[-1] - middle[0])
            found = inside + per * (np.minimum(answer - middle[0], 0.0) + np.maximum(answer - middle[-1], 0.0))
        return found


def _set_numbers(of: object, *names: str) -> None:
    for name in names:
        given = tuple(number_of(one) for one in several(getattr(of, name), name, "[1, 2, 3]"))
        if any(upper <= lower for lower, upper in pairwise(given)) or not np.isfinite(given).all():
            raise OptionError(f"{name} are {shown(list(given))}. Give finite numbers, ascending.")
        object.__setattr__(of, name, given)


def _beyond(x: Array) -> Array:
    """``E[max(x + ε, 0)]`` for a standard normal ε."""
    return np.asarray(x * ndtr(x) + np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi))


def _now(value: Lazy) -> Array:
    return value() if callable(value) else value


_KINDS: dict[str, type[Likelihood]] = {one.kind: one for one in (Gaussian, Probit, Implicit, Ordered)}
