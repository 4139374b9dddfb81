"""The setting of a question to n users, and what the best one of some form offers each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.draw import best
from palate.arrays import Array, Mask, Positions
from palate.costs import Seconds
from palate.entities import Form
from palate.posteriors.belief import Belief
from palate.posteriors.belief import quadratic as of_many
from palate.posteriors.choices import Options
from palate.posteriors.concepts import Concepts


@dataclass(frozen=True, eq=False)
class QuestionContext:
    """n users, and what can be asked of each.

    Attributes:
        candidates: Items on offer; targets, known and reach of each user, (n, ...).
        belief: About the users.
        allowed: Items that may be asked, (n, I).
        seconds: What each form costs.
        cut: Expected rating from which an item is liked.
        step: Between two levels of the scale, where equal ratings are no preference; 0 where none are equal.
        concepts: The C categories.
        open_concepts: Those that may be asked, (n, C).
        preview_noise: Variance of what somebody makes of a preview, on top of a rating's.
        preview_reach: P(a preview lets the user tell), times what an answer is worth, (n, I).
        recall: What one that is liked is named out of; None where nobody is asked for one.
    """

    candidates: Candidates
    belief: Belief
    allowed: Mask
    seconds: Seconds
    cut: float
    step: float
    concepts: Concepts
    open_concepts: Mask
    preview_noise: float
    preview_reach: Array
    recall: Options | None = None

    @property
    def worth(self) -> Array:
        """What an answer of each user is worth, on average 1, (n, I)."""
        return self.candidates.reach / self.candidates.known

    @cached_property
    def moment(self) -> Array:
        """Of the targets: ``Q``, (n, D, D)."""
        if len(self.allowed) == 1:  # without pairs of factors, as in quadratic
            return replace(self.candidates, targets=self.candidates.targets[0]).target_moment()[None]
        return self.candidates.target_moment()

    @cached_property
    def moved(self) -> Array:
        """``S Q S``, (n, D, D)."""
        return np.asarray(self.belief.covariance @ self.moment @ self.belief.covariance)

    @cached_property
    def uncertainty(self) -> Array:
        """``Σ_j q_j Var(w_j · z)``, (n,)."""
        return np.asarray(np.einsum("nde,nde->n", self.moment, self.belief.covariance))

    @cached_property
    def fall(self) -> Array:
        """``wᵀ S Q S w`` of each item, (n, I)."""
        return quadratic(self.candidates.items.factors, self.moved)

    @cached_property
    def variance(self) -> Array:
        """``wᵀ S w`` of each item, (n, I)."""
        return quadratic(self.candidates.items.factors, self.belief.covariance)

    @cached_property
    def of_rating(self) -> Array:
        """Curvature of a rating of each item, (n, I) (:meth:`Candidates.gain`)."""
        if len(self.belief.mean) == 1:  # without pairs of factors, as in quadratic
            return self.candidates.gain(self.belief.of(0))[None]
        return self.candidates.gain(self.belief)


@dataclass(frozen=True, slots=True)
class Offers:
    """The best question of one form for each of n users.

    Attributes:
        items: Positions, -1 where there are fewer, (n, g).
        concept: Position among the concepts, -1 where it is about items, (n,).
        gain: Expected fall of the uncertainty, the chance of an answer counted; -inf where nothing can be asked, (n,).
        chance: P(the user can answer), (n,).
        seconds: Expected, (n,).
        propensity: 1 over the number of equally good choices, (n,).
        after: Covariances once it is answered, (n, D, D).
    """

    form: Form
    items: Positions
    concept: Positions
    gain: Array
    chance: Array
    seconds: Array
    propensity: Array
    after: Array

    @property
    def value(self) -> Array:
        """Gain per second, (n,)."""
        return self.gain / self.seconds


def the_best(
    setting: QuestionContext,
    form: Form,
    gain: Array,
    may: Mask,
    chance: Array,
    curvature: Array,
    along: Callable[[Positions], Array],
    *,
    rng: np.random.Generator,
) -> tuple[Positions, Offers]:
    """The best of O questions of one form for each user, -1 where there is none, and what it offers, (n, O) each.

    Args:
        along: The factors that an answer to each user's question sees, (n,) to (n, D).
    """
    picks, equal = best(gain, may, rng=rng)
    found, users = np.maximum(picks, 0), np.arange(len(gain))
    return picks, Offers(
        form,
        np.full((len(gain), 1), -1),
        np.full(len(gain), -1),
        np.where(picks >= 0, gain[users, found], -np.inf),
        chance[users, found],
        np.full(len(gain), setting.seconds.of(form)),
        1.0 / np.maximum(equal, 1),
        shrunk(setting.belief.covariance, along(found), curvature[users, found]),
    )


def nothing(setting: QuestionContext, form: Form) -> Offers:
    """Where no user can be asked a question of this form."""
    n = len(setting.allowed)
    nobody, one = np.full(n, -1), np.ones(n)
    return Offers(form, nobody[:, None], nobody, -np.inf * one, 0.0 * one, one, one, setting.belief.covariance)


def shrunk(covariance: Array, factors: Array, curvature: Array) -> Array:
    """Covariances after an answer that sees the factors, (n, D) and (n,)."""
    along = np.einsum("nde,ne->nd", covariance, factors)
    return np.asarray(covariance - curvature[:, None, None] * (along[:, :, None] * along[:, None, :]))


def top(scores: Array, m: int) -> Positions:
    """Positions of the m largest of each row, in the order of the columns, (n, m)."""
    m = min(m, scores.shape[1])
    if m == 0:
        return np.zeros((len(scores), 0), dtype=np.intp)
    return np.sort(np.argpartition(-scores, m - 1, axis=1)[:, :m], axis=1)


def quadratic(factors: Array, matrices: Array) -> Array:
    """``f_iᵀ M f_i``, (n, I); without pairs of factors where there is one user: of many items they would not fit."""
    return of_many(factors, matrices[0])[None] if len(matrices) == 1 else of_many(factors, matrices)
