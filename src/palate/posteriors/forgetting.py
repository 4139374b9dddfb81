"""What somebody said long ago counts less: an answer of the age ``a`` has the weight ``2^(−a / half-life)``.

In the precision ``Λ`` and ``η = Λ m`` of a belief N(m, Λ⁻¹), with those of its start marked 0, that is

    Λ ← Λ₀ + s (Λ − Λ₀),    η ← η₀ + s (η − η₀),    s = 2^(−Δt / half-life)

for a time Δt that passes: the belief goes back to its start, and grows uncertain. Of Gaussian answers this is the same
as the weights, so that a batch of answers and one after the other come to the same. Kulhavý, Zarrop, *On a general
concept of forgetting*, International Journal of Control 58(4), 1993 (stabilised exponential forgetting).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.arrays import Array
from palate.posteriors.belief import Belief


@dataclass(frozen=True, slots=True, eq=False)
class Forgetting:
    """How fast answers fade, and when those of the fit were given.

    Attributes:
        half_life: Seconds after which an answer counts half.
        times: Of the answers of the fit, seconds since the epoch, (N,); NaN where unknown. Such an answer counts as
            given when its user was heard last.
    """

    half_life: float
    times: Array

    def share(self, seconds: Array | float) -> Array:
        """How much is left after a time."""
        return np.exp2(-np.asarray(seconds) / self.half_life)

    def of(self, times: Array) -> tuple[Array, float | None]:
        """The weights of one user's answers when the last was given, (n,), and when that was; None where unknown."""
        if np.isnan(times).all():
            return np.ones(len(times)), None
        last = float(np.nanmax(times))
        return self.share(np.nan_to_num(last - times)), last

    def weights(self, start: Array) -> Array:
        """The same of all users, (N,).

        Args:
            start: Where the answers of each begin, (U + 1,).
        """
        found = np.ones(len(self.times))
        for first, end in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
            found[first:end] = self.of(self.times[first:end])[0]
        return found


def faded(belief: Belief, start: Belief, share: float) -> Belief:
    """The belief of which so much is left, the rest being its start again."""
    before, now = np.linalg.inv(start.covariance), np.linalg.inv(belief.covariance)
    covariance = np.linalg.inv(before + share * (now - before))
    covariance = (covariance + covariance.T) / 2.0
    pull = before @ start.mean
    return Belief(covariance @ (pull + share * (now @ belief.mean - pull)), covariance)
