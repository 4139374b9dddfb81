"""A or B: the two items worth most when compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from palate.acquisition.questions.context import Offers, QuestionContext, nothing, the_best, top
from palate.arrays import Array, Positions
from palate.entities import Form
from palate.posteriors.probit import expected_curvature, yes_chance

PAIR_SHORTLIST = 24  # items, the best when asked alone; all their pairs are compared


def pair(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """The two items worth most when compared, of those worth most alone, O(m² D)."""
    candidates, n = setting.candidates, len(setting.allowed)
    alone = setting.fall * setting.of_rating * candidates.reach
    columns = top(np.where(setting.allowed, alone, -np.inf), PAIR_SHORTLIST)
    size = columns.shape[1]
    if size < 2:
        return nothing(setting, Form.PAIR)
    both = _Both.of(setting, columns)
    is_open = np.take_along_axis(setting.allowed, columns, 1)
    may = (is_open[:, :, None] & is_open[:, None, :] & np.triu(np.ones((size, size), dtype=bool), 1)).reshape(n, -1)
    flat = (n, size * size)
    gain = (both.fall * both.curvature * both.chance * both.worth).reshape(flat)

    def items(found: Positions) -> Positions:
        return np.take_along_axis(columns, np.stack(np.divmod(found, size), 1), 1)

    def along(found: Positions) -> Array:
        first, second = items(found).T
        return np.asarray(candidates.items.factors[first] - candidates.items.factors[second])

    chance, curvature = both.chance.reshape(flat), both.curvature.reshape(flat)
    picks, offer = the_best(setting, Form.PAIR, gain, may, chance, curvature, along, rng=rng)
    return replace(offer, items=np.where(picks[:, None] >= 0, items(np.maximum(picks, 0)), -1))


@dataclass(frozen=True, slots=True)
class _Both:
    """All pairs of m items of each of n users, (n, m, m) each: the fall per curvature, that, the chance, the worth."""

    fall: Array
    curvature: Array
    chance: Array
    worth: Array

    @classmethod
    def of(cls, setting: QuestionContext, columns: Positions) -> _Both:
        items, users = setting.candidates.items, np.arange(len(columns))[:, None]
        factors = items.factors[columns]
        level = items.level[columns] + np.einsum("nd,nmd->nm", setting.belief.mean, factors)
        noise = setting.candidates.noise[columns]
        mean, noise = level[:, :, None] - level[:, None, :], noise[:, :, None] + noise[:, None, :]
        variance = _between(factors, setting.belief.covariance)
        known, worth = setting.candidates.known[users, columns], setting.worth[users, columns]
        decided = _decided(setting, mean, variance + noise, factors, columns)
        return cls(
            _between(factors, setting.moved),
            expected_curvature(mean, variance, noise),
            known[:, :, None] * known[:, None, :] * decided,
            np.sqrt(worth[:, :, None] * worth[:, None, :]),
        )


def _between(factors: Array, matrices: Array) -> Array:
    """``(f_a − f_b)ᵀ M (f_a − f_b)`` for all pairs, (n, m, D) with (n, D, D) to (n, m, m)."""
    gram = factors @ matrices @ np.swapaxes(factors, 1, 2)
    own = np.einsum("naa->na", gram)
    return np.asarray(np.maximum(own[:, :, None] + own[:, None, :] - 2.0 * gram, 0.0))


def _decided(setting: QuestionContext, mean: Array, variance: Array, factors: Array, columns: Positions) -> Array:
    """P(one of the two is rated higher), (n, m, m): two ratings on the same level are no preference."""
    if setting.candidates.likelihood.is_binary:
        own = np.einsum("nmd,nde,nme->nm", factors, setting.belief.covariance, factors)
        level = setting.candidates.items.level[columns] + np.einsum("nd,nmd->nm", setting.belief.mean, factors)
        liked = yes_chance(level, own + setting.candidates.noise[columns])
        return np.asarray(liked[:, :, None] * (1.0 - liked[:, None, :]) + liked[:, None, :] * (1.0 - liked[:, :, None]))
    spread, half = np.sqrt(variance), setting.step / 2.0
    return np.asarray(1.0 - (ndtr((half - mean) / spread) - ndtr((-half - mean) / spread)))
