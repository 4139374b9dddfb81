"""What a group and a pair say of what a user knows, in the linear model of who can answer what.

An item that is not tapped was not liked or is not known: ``P(tap) = π P(known)``, π the chance that it is liked if it
is known. "Not tapped" is then an observation of the same factors with loadings ``π l``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from palate.posteriors.answerability import LOWEST, Answerability
from palate.posteriors.taste import Belief, Taste

Array = NDArray[np.float64]


def like_chance(taste: Taste, belief: Belief, items: NDArray[np.intp] | int, cut: float) -> Array:
    """P(a user likes an item that they know): of one user and one item or several, or of n users and an item each."""
    factors = taste.items.factors[items]
    mean = taste.like_level(cut)[items] + np.einsum("...d,...d->...", belief.mean, factors)
    variance = np.einsum("...d,...de,...e->...", factors, belief.covariance, factors)
    return np.asarray(ndtr(mean / np.sqrt(variance + taste.items.answer_noise[items])))


def known_chance(answerability: Answerability, exposure: Belief, items: NDArray[np.intp] | int) -> Array:
    """P(a user knows an item), within [0.001, 1]; shapes as above."""
    score = np.einsum("...e,...e->...", exposure.mean, answerability.loadings[items])
    return np.asarray(np.clip(answerability.rate[items] + score, LOWEST, 1.0))


def not_named(
    answerability: Answerability, exposure: Belief, items: NDArray[np.intp] | int, chance: Array | float
) -> Belief:
    """The belief about what a user knows after an item was not named, which happens with a chance if it is known.

    Args:
        chance: π: that it is liked, of an item not tapped; that the other is known, of a pair of which one is not.
    """
    rate, loadings = answerability.rate[items], answerability.loadings[items]
    chance = np.asarray(chance)
    predicted = chance * (rate + np.einsum("...e,...e->...", exposure.mean, loadings))
    named = chance * rate
    noise = named - named**2 - chance**2 * np.einsum("...e,...e->...", loadings, loadings)
    return exposure.update(chance[..., None] * loadings, -predicted, np.maximum(noise, LOWEST))
