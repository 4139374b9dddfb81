"""What a strategy may look at: the belief about the items on offer, how they were rated, who may be shown them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.posteriors.likelihoods import Likelihood, expected_curvature
from palate.posteriors.statistics import pack, unpack
from palate.posteriors.taste import Belief, Items

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items on offer to one user or to n users at once.

    Attributes:
        items: Beliefs about them.
        likelihood: How answers come about.
        counts: Ratings each has, (I,).
        levels: Share of each rating level among its ratings, (I, R); a row of an unrated item is 0.
        targets: Probability that an item is one the user will be shown, (I,) or (n, I), summing to 1 over items: the
            ``q`` of targeted strategies.
        reach: P(the user can answer) times what an answer of theirs is worth, (I,) or (n, I)
            (:meth:`palate.posteriors.answerability.Answerability.reach`); all one where everything can be answered.
    """

    items: Items
    likelihood: Likelihood
    counts: Array
    levels: Array
    targets: Array
    reach: Array

    def __len__(self) -> int:
        return len(self.items)

    def aimed(self, targets: Array, reach: Array) -> Candidates:
        """The same for users who will be shown other items, or have another chance of answering."""
        return replace(self, targets=targets, reach=reach)

    def take(self, items: NDArray[np.intp]) -> Candidates:
        """Some of them, in the order given; the targets stay what they are among these."""
        targets = self.targets[..., items]
        total = targets.sum(-1, keepdims=True)
        return Candidates(
            self.items.take(items),
            self.likelihood,
            self.counts[items],
            self.levels[items],
            np.where(total > 0, targets / np.where(total > 0, total, 1.0), 1.0 / max(1, len(items))),
            self.reach[..., items],
        )

    @property
    def noise(self) -> Array:
        """Variance of an answer to each given the taste, (I,)."""
        return self.likelihood.answer_noise(self.items.answer_noise)

    def target_moment(self) -> Array:
        """``Q = Σ_j q_j w_j w_jᵀ``, (D, D) or (n, D, D)."""
        factors = self.items.factors
        if self.targets.ndim == 1:
            return np.asarray((factors * self.targets[:, None]).T @ factors)
        return unpack(self.targets @ pack(factors[:, :, None] * factors[:, None, :]))

    def gain(self, belief: Belief) -> Array:
        """By how much an answer shrinks the covariance along ``S w``: 1 / v for ratings, (I,) or (n, I)."""
        variance = belief.variance(self.items.factors)
        if self.likelihood.kind != "probit":
            return 1.0 / (variance + self.noise)
        unit = self.noise
        mean = (self.items.level + belief.score(self.items.factors)) / np.sqrt(unit)
        return expected_curvature(mean, variance / unit) / unit

    def condition(self, belief: Belief, item: int) -> Belief:
        """The belief once the item is asked, before the answer is known: its mean stays, its covariance shrinks."""
        one = self.take(np.array([item]))
        along = belief.covariance @ one.items.factors[0]
        shrink = one.gain(belief)[..., 0, None, None]
        return Belief(belief.mean, belief.covariance - shrink * (along[..., :, None] * along[..., None, :]))
