"""How answers come about: Gaussian ratings, probit likes, weighted implicit events.

A likelihood answers every question about its kind: how an answer looks to the batch fit (a weighted Gaussian
observation of ``t · w̃``), how one answer moves one belief, what to expect of the next one and how much it tells, and
what all of it is called. No other module asks which kind it is.

In every method ``mean`` and ``variance`` are of ``t · w̃``, what an answer is about, and ``noise`` is the variance of
an answer given that; all of any shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from palate.arrays import TINY, Array
from palate.entities import Form
from palate.errors import OptionError
from palate.errors.checks import number_of, one_of, several, shown
from palate.posteriors import ordered, probit
from palate.posteriors.belief import Belief
from palate.posteriors.likelihood import Entries, Lazy, Likelihood, Predicted, Value

_MOST_LEVELS = 50  # each takes an array of all items
_LEAST = 1e-12  # strength of an event; one of none at all says nothing, and is not divided by


class _Linear(Likelihood):
    is_linear = True
    is_binary = False

    def entries(self, values: Array, predicted: Predicted) -> Entries:
        return Entries(np.ones_like(values), values, np.zeros_like(values))

    def update(self, belief: Belief, factors: Array, level: Array | float, values: Array, noise: Array) -> Belief:
        one = belief.mean.ndim == 1
        predicted = level + (belief.mean @ factors if one else np.einsum("...d,...d->...", belief.mean, factors))
        return belief.update(factors, self._error(values, predicted), noise)

    def update_each(
        self, belief: Belief, factors: Array, levels: Array, values: Array, noise: Array
    ) -> Iterator[Belief]:
        return belief.after_each(factors, levels, self._error(values, np.zeros_like(values)), noise)

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
    meet (docs/lab-notes.md). The weights are tuned on MovieLens-100K (``benchmarks/ranking.py``); a fit of events alone
    finds its own on people's events held out (:mod:`palate.model.choose_events`).

    With a ``frequency`` φ each event comes from a taste of its own, N(z, φ) around the person's. Whatever the person
    likes, that costs the same, so beliefs about people are what they are without; an item, though, has φ |w|² more to
    explain with every event and every weak zero. So its factors are held back by how often it was met: the prior of
    iALS that is scaled by frequency (Rendle, Krichene, Zhang, Koren, *Revisiting the performance of iALS on item
    recommendation benchmarks*, RecSys 2022), as a likelihood, and precisions still add.
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
    frequency: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= number_of(self.background) < number_of(self.confidence) < np.inf:
            raise OptionError(
                f"an event has the precision {shown(self.confidence)}, an item without one {shown(self.background)}. "
                "Give the event a number above the other, and that 0 or more."
            )
        if not 0.0 <= number_of(self.frequency) < np.inf:
            raise OptionError(f"the frequency is {shown(self.frequency)}. Give a number from 0.")

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
        if len(levels) > _MOST_LEVELS:
            raise OptionError(
                f"the answers have {len(levels):,} levels, of at most {_MOST_LEVELS} ordered. Fit gaussian."
            )
        codes = np.searchsorted(levels, values)
        if predicted is None:
            cuts = ordered.first_cuts(codes, len(levels))
        else:
            cuts = ordered.fitting_cuts(codes, len(levels), *predicted())
        return Ordered(levels=tuple(levels.tolist()), cuts=tuple(cuts.tolist()))

    def _ends(self, values: Array) -> tuple[Array, Array]:
        """Cut points below and above each answer; one between levels counts as the nearer."""
        middle, edges = self._edges
        codes = np.searchsorted(middle, values, side="right")
        return edges[codes], edges[codes + 1]

    @cached_property
    def _edges(self) -> tuple[Array, Array]:
        levels = np.array(self.levels)
        return (levels[1:] + levels[:-1]) / 2.0, np.concatenate([[-np.inf], self.cuts, [np.inf]])

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


_KINDS: dict[str, type[Likelihood]] = {one.kind: one for one in (Gaussian, Probit, Implicit, Ordered)}


def named(kind: str, **weights: Any) -> Likelihood:
    """The likelihood of that name.

    Raises:
        OptionError: If there is none.
    """
    return _KINDS[one_of(kind, _KINDS, "likelihood")](**weights)


def as_dict(likelihood: Likelihood) -> dict[str, Any]:
    """What :func:`named` makes it from.

    Raises:
        OptionError: If it is one of your own.
    """
    if _KINDS.get(likelihood.kind) is not type(likelihood):
        known = ", ".join(_KINDS)
        raise OptionError(f"a folder cannot keep the likelihood {likelihood.kind!r}. Keep the learner, or fit {known}.")
    return {"kind": likelihood.kind, **asdict(likelihood)}


def _now(value: Lazy) -> Array:
    return value() if callable(value) else value
