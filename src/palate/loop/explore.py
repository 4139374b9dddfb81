"""Lists that are drawn, with the probability of each place: what an estimate of another policy needs.

A list is drawn from S by Plackett and Luce at a temperature τ: the first place goes to item i with the probability
``exp(S_i / τ) / Σ_j exp(S_j / τ)``, each next one likewise among the items that are left. That is the order of
``S_i / τ + G_i`` with standard Gumbel noise (Yellott, *The relationship between Luce's choice axiom, Thurstone's theory
of comparative judgment, and the double exponential distribution*, Journal of Mathematical Psychology 15, 1977).
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from palate.arrays import Array, Positions
from palate.loop.list_order import top


def drawn(scores: Array, k: int, *, temperature: float, rng: np.random.Generator) -> Positions:
    """Places of the first k of a list drawn from these scores, (k,).

    Args:
        scores: S of the items that may be shown, (n,).
    """
    return top(scores / temperature + rng.gumbel(size=len(scores)), min(k, len(scores)))


def place_chances(scores: Array, places: Positions, *, temperature: float) -> Array:
    """The probability of each item of a list, given those above it, (k,).

    Args:
        scores: S of the items that may be shown, (n,).
        places: Of the items of the list in these, first to last, (k,).
        temperature: τ; 0 always shows the best, in the order of the scores.
    """
    left, found = np.array(scores, dtype=np.float64), np.zeros(len(places))
    for rank, place in enumerate(places.tolist()):
        if temperature > 0.0:
            found[rank] = np.exp((left[place] - temperature * logsumexp(left / temperature)) / temperature)
        else:
            found[rank] = float(int(left.argmax()) == place)
        left[place] = -np.inf
    return found
