"""What may come out best for a user, and what it would be worth: shared by the strategies that value the slate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.bandit_indices import as_rewards
from palate.acquisition.targets import SLATE, showable
from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items

CONTENDERS = 100  # items that can reach the top; of a catalogue, those with the highest mean plus two deviations
_GRADE = 4.0  # of the highest rating, so that its gain is 2⁴ − 1
DISCOUNTS = 1.0 / np.log2(np.arange(2, SLATE + 2))


def contenders(belief: Belief, candidates: Candidates, most: int = CONTENDERS) -> NDArray[np.intp]:
    """Positions among ``shown`` of what one user may like best: the highest mean plus two standard deviations."""
    open_ = showable(candidates)
    items = candidates.shown.take(open_)
    promise = items.level + belief.score(items.factors) + 2.0 * np.sqrt(np.maximum(belief.variance(items.factors), 0.0))
    return open_[np.argsort(-promise, kind="stable")[:most]]


def gains(scores: Array, noise: Array, candidates: Candidates) -> Array:
    """Gain of an item in a list, as in (N)DCG, by its expected answer without noise; any shape (..., J).

    ``2^g − 1``, the grade g in [0, 4] being the place of the answer on the scale; for likes the chance of one.
    """
    if candidates.likelihood.is_binary:
        return candidates.likelihood.expected(scores, noise)
    return np.asarray(2.0 ** (_GRADE * as_rewards(scores, candidates.population)) - 1.0)


def best_dcg(expected: Array) -> Array:
    """``max_π Σ_r E[gain of π_r] / log2(1 + r)`` over lists of 10: the expected gains sorted, (..., J) to (...)."""
    k = min(SLATE, expected.shape[-1])
    best = np.partition(expected, expected.shape[-1] - k, axis=-1)[..., -k:]
    return np.asarray(np.sort(best, axis=-1)[..., ::-1] @ DISCOUNTS[:k])


def drawn_scores(tastes: Array, items: Items) -> Array:
    """Expected answer to each item by each taste, (T, I)."""
    return items.level + tastes @ items.factors.T
