"""What a strategy may look at: the belief about the items on offer, how they were rated, who may be shown them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from palate.acquisition.fast.moments import fast_moment, fast_variance
from palate.arrays import Array, Positions
from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.population import Given, Population
from palate.posteriors.statistics import pack, unpack


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items on offer to one user or to n users at once.

    Attributes:
        items: Beliefs about them.
        likelihood: How answers come about.
        counts: Ratings each has, (I,).
        levels: Share of each rating level among its ratings, (I, R); a row of an unrated item is 0.
        shown: Beliefs about the J items that may be shown: all there are, where ``items`` may be a part of them.
        targets: Probability that an item is one the user will be shown, (J,) or (n, J), summing to 1 over items: the
            ``q`` of targeted strategies.
        known: P(the user can answer), (I,) or (n, I).
        shown_known: P(the user knows an item that may be shown), (J,) or (n, J).
        reach: The same times what an answer of theirs is worth, (I,) or (n, I)
            (:meth:`palate.posteriors.answerability.Answerability.reach`); all one where everything can be answered.
        answerability: How P(can answer) of one item moves with the answer about another; None where nothing moves it.
        exposure: What is believed of the user in it.
        columns: Positions of the items in the population, (I,).
        population: Who the model was fitted on.
        given: What the user has been asked so far.
        like_cut: Expected answer from which an item is liked, as beliefs see it.
    """

    items: Items
    likelihood: Likelihood
    counts: Array
    levels: Array
    shown: Items
    targets: Array
    known: Array
    shown_known: Array
    reach: Array
    answerability: Answerability | None
    exposure: Belief | None
    columns: Positions
    population: Population
    given: Given
    like_cut: float
    # moments of the targets, and of which belief the relative one is
    _kept: dict[str, tuple[object, Array]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of_all(
        cls,
        population: Population,
        levels: Array,
        *,
        targets: Array,
        counts: Array | None = None,
        like_cut: float | None = None,
    ) -> Candidates:
        """Everything there is, to a user who can answer everything and has been asked nothing.

        Args:
            like_cut: The mean rating if None; of likes, 0.
        """
        items = population.taste.items
        everything = np.ones(len(items))
        if like_cut is None:
            like_cut = 0.0 if population.taste.likelihood.is_binary else population.mean
        return cls(
            items=items,
            likelihood=population.taste.likelihood,
            counts=population.counts if counts is None else counts,
            levels=levels,
            shown=items,
            targets=targets,
            known=everything,
            shown_known=everything,
            reach=everything,
            answerability=None,
            exposure=None,
            columns=np.arange(len(items)),
            population=population,
            given=Given.nothing(),
            like_cut=like_cut,
        )

    def aimed(
        self, answerability: Answerability, exposure: Belief, given: Given, *, answerable: bool = False
    ) -> Candidates:
        """The same for a user, or n, of whom this exposure is believed and who have been asked so much.

        Args:
            answerable: Whether only what they can answer is on offer, so that P(can answer) is 1.
        """
        known = answerability.probability(exposure)
        shown_known = known
        if answerable:
            known = np.ones_like(known)
        return replace(
            self,
            targets=shown_known / shown_known.sum(-1, keepdims=True),
            known=known,
            shown_known=shown_known,
            reach=known if answerable else answerability.reach(exposure),
            answerability=None if answerable else answerability,
            exposure=None if answerable else exposure,
            given=given,
        )

    def of(self, user: int) -> Candidates:
        """The same for one of n users."""

        def row(values: Array) -> Array:
            return values[user] if values.ndim == 2 else values

        exposure = self.exposure
        if exposure is not None and exposure.mean.ndim == 2:
            exposure = exposure.of(user)
        return replace(
            self,
            targets=row(self.targets),
            known=row(self.known),
            shown_known=row(self.shown_known),
            reach=row(self.reach),
            exposure=exposure,
            given=self.given.of(user) if self.given.columns.ndim == 2 else self.given,
        )

    def take(self, items: Positions) -> Candidates:
        """Some of them, in the order given; what may be shown stays."""
        some = replace(
            self,
            items=self.items.take(items),
            counts=self.counts[items],
            levels=self.levels[items],
            known=self.known[..., items],
            reach=self.reach[..., items],
            columns=self.columns[items],
        )
        some._kept.update(self._kept)  # the targets are the same
        return some

    @property
    def noise(self) -> Array:
        """Variance of an answer to each given the taste, (I,)."""
        return self.likelihood.answer_noise(self.items.answer_noise)

    def target_moment(self) -> Array:
        """``Q = Σ_j q_j w_j w_jᵀ``, (D, D) or (n, D, D)."""
        if "moment" not in self._kept:
            self._kept["moment"] = (None, self._moment(self.targets))
        return self._kept["moment"][1]

    def relative_moment(self, belief: Belief) -> Array:
        """The same with each target against its own variance, ``Q = Σ_j (q_j / v_j) w_j w_jᵀ``."""
        of, moment = self._kept.get("relative", (None, np.zeros(0)))
        if of is not belief.covariance:
            moment = self._moment(self.targets / self.variance_of_shown(belief))
            self._kept["relative"] = (belief.covariance, moment)
        return moment

    def _moment(self, targets: Array) -> Array:
        fast = fast_moment(self.population, self.likelihood, self.shown, targets)
        if fast is not None:
            return fast
        factors = self.shown.factors
        if targets.ndim == 1:
            return np.asarray((factors * targets[:, None]).T @ factors)
        return unpack(targets @ pack(factors[:, :, None] * factors[:, None, :]))

    def variance_of_shown(self, belief: Belief) -> Array:
        """Variance of an answer about what may be shown, (J,) or (n, J)."""
        fast = fast_variance(self.population, self.likelihood, self.shown, belief)
        if fast is not None:
            return fast
        return belief.variance(self.shown.factors) + self.likelihood.answer_noise(self.shown.answer_noise)

    def gain(self, belief: Belief) -> Array:
        """By how much an answer shrinks the covariance along ``S w``: 1 / v for ratings, (I,) or (n, I)."""
        return self.gain_at(belief.score(self.items.factors), belief.variance(self.items.factors))

    def gain_at(self, score: Array, variance: Array) -> Array:
        """The same where ``w · z`` has this mean and variance, (..., I) each."""
        return self.likelihood.curvature(self.items.level + score, variance, self.noise)

    def expected(self, belief: Belief) -> Array:
        """Expected answer to each: a rating, the chance of a like, or the strength of an event, (I,) or (n, I)."""
        mean = self.items.level + belief.score(self.items.factors)
        own = self.items.noise
        return self.likelihood.expected(mean, lambda: belief.variance(self.items.factors) + self.noise, own)

    def condition(self, belief: Belief, item: int) -> Belief:
        """The belief once the item is asked, before the answer is known: its mean stays, its covariance shrinks."""
        one = self.take(np.array([item]))
        along = belief.covariance @ one.items.factors[0]
        shrink = one.gain(belief)[..., 0, None, None]
        return Belief(belief.mean, belief.covariance - shrink * (along[..., :, None] * along[..., None, :]))
