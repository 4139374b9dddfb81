"""Noisy counts and levels of items from the rounds of counts, and a public model of these alone.

It is the fallback: where few questions fall on items with enough answers, factors would be noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from palate.arrays import Array
from palate.federated.device import COUNTED
from palate.federated.options import FederatedOptions
from palate.federated.public import PublicModel
from palate.federated.text_prior import TextPrior, fitted

AROUND = 1.5  # variance of r around an item's level, in σ²: tastes come on top of it
_BIAS = 0.4  # standard deviation over users of how high they answer, in units of r
_FACTOR = 0.28  # standard deviation of an honest factor, in units of r
_SPREAD = 0.25  # Λ of levels to begin with
LEAST_SPREAD = 1e-3  # and at least
MOST_WEIGHT = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Opened sums of the rounds of counts.

    Attributes:
        users: Devices that took part.
        answered: Of ``n_u^−½`` over the users who answered each item, n_u being what they answered in all, (I,).
        levels: Of the same times how far above the centre they answered, (I,).
        std: Standard deviation of the noise on each number.
    """

    users: int
    answered: Array
    levels: Array
    std: float

    def with_more(self, other: Counted) -> Counted:
        """Two rounds of counts, each as much as its noise lets it."""
        share = 0.5 if other.std == 0.0 else self.std**-2 / (self.std**-2 + other.std**-2)
        return Counted(
            users=other.users,
            answered=share * self.answered + (1.0 - share) * other.answered,
            levels=share * self.levels + (1.0 - share) * other.levels,
            std=math.hypot(share * self.std, (1.0 - share) * other.std),
        )

    @property
    def per_user(self) -> float:
        """About √n_u of a user: what an answer's share of 1 is multiplied by to be an answer."""
        return max(float(self.answered.sum()) / max(self.users, 1), 1.0)

    @property
    def answers(self) -> Array:
        """About how many answered each item, (I,), from 0."""
        return np.asarray(np.maximum(self.answered, 0.0) * self.per_user)

    @property
    def at_least(self) -> Array:
        """The sums of shares, none below the noise, (I,): what is divided by."""
        return np.asarray(np.maximum(self.answered, self.std))

    @property
    def item_weights(self) -> Array:
        """ω, (I,): what many answered counts less, so that the clip leaves room for the rest."""
        known = np.maximum(self.at_least * self.per_user, 1.0)
        weights = (known / known.max()) ** -0.25
        return np.asarray(np.minimum(weights / np.median(weights), MOST_WEIGHT))

    def is_hopeless(self, options: FederatedOptions) -> bool:
        """Whether fewer than half of the expected questions fall on items of which a factor can be told from noise."""
        answers = (
            self.answered * self.per_user
        )  # noise below 0 stays: cut off, what is left of it would look like answers
        least = max(options.last_std / _FACTOR, 3.0 * self.std * self.per_user)
        enough = float(answers[answers >= least].sum())
        return enough <= 0.0 or enough < 0.5 * float(answers.sum())

    def level_prior(self, options: FederatedOptions, columns: Array) -> tuple[TextPrior, Array, Array]:
        """What is expected of each level, and observations of them with their variances, (I, 1) and (I,)."""
        least = self.at_least
        known = least > 0.0
        base = np.where(known, least, 1.0)
        observed = np.where(known, COUNTED * self.levels / base, 0.0)
        ratio = float(self.levels.sum()) / max(float(self.answered.sum()), 1.0)
        variance = (COUNTED * self.std / base) ** 2 * (1.0 + ratio**2)
        variance = np.where(known, variance + AROUND * options.noise / (base * self.per_user), np.inf)
        prior = fitted(columns, observed[:, None], variance, np.array([_SPREAD]), np.array([LEAST_SPREAD]))
        return prior, observed[:, None], variance


def with_means(public: PublicModel, counted: Counted, options: FederatedOptions, columns: Array) -> PublicModel:
    """The public model of the items' levels alone, text included; a device learns how high its own answers lie.

    Args:
        public: Of the round before.
        columns: The text, (I, E), as of :func:`palate.federated.text_prior.columns_of`.
    """
    prior, observed, variance = counted.level_prior(options, columns)
    means, variances = prior.posterior(observed, variance)
    return replace(
        public,
        factors=with_bias(means[:, 0]),
        variances=np.concatenate([variances, np.zeros_like(variances)], 1),
        noise=max(AROUND * options.noise - _BIAS**2, 0.5 * options.noise),  # the bias explains some of it
        item_weights=counted.item_weights,
        counts=counted.answers,
        answer_rate=np.clip(counted.answers / max(counted.users, 1), 1e-6, 1.0),
    )


def with_bias(levels: Array) -> Array:
    """Levels, (I,), and the one factor that is the same for all items, (I, 2)."""
    return np.stack([levels, np.full_like(levels, _BIAS)], 1)
