"""How many of the labels that a machine leaves are wrong at most, by those that people gave to random ones of them.

While a pool is labelled, people get what the machine is least sure of, and some drawn at random from what is then left.
Of the drawn ones those count that would still be left, and that the machine of now labels wrong without having learnt
from them. Were more than ``K`` of those left wrong, then every draw was from items of which more than ``K`` are so, and
as few wrong ones as were found would be unlikely, whatever the machine is: they are a sum of hypergeometric numbers.

One looks after each round, and stops as soon as the bound is good enough. The chance of ever stopping by luck is kept:
each look may spend what the doubt has come to by then, as much of it as of the pool is labelled, and only runs that no
earlier look has stopped spend any of it. That all looks together miss with the probability ``doubt`` at most rests on
one thing beside the draws: what the machine has wrong of those left it had wrong before.

References:
    Lan, DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70(3), 1983; Clopper, Pearson, The use
    of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26, 1934, without replacement
    in Buonaccorsi, A note on confidence intervals for proportions in finite populations, The American Statistician
    41(3), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.arrays import Array, Positions


@dataclass(frozen=True, slots=True)
class Look:
    """What a round has brought.

    Attributes:
        labelled: By people so far.
        drawn: Random ones of them in this round.
        among: Of how many those were drawn.
        wrong: Random ones of all rounds that would still be left, and that the machine, without them, labels otherwise.
        left: To the machine.
    """

    labelled: int
    drawn: int
    among: int
    wrong: int
    left: int


def is_shown(tolerated: int, looks: Sequence[Look], *, of: int, doubt: float) -> bool:
    """Whether the last look, or one before it, shows that at most so many of those left are wrong.

    Args:
        looks: One a round, all of them.
        of: Size of the pool.
        doubt: Chance that any look shows what is not so.
    """
    if tolerated < 0:
        return False
    if looks and looks[-1].left <= tolerated:
        return True  # all of them may be wrong
    chances, spent = np.ones(1), 0.0  # of so many wrong ones found and nothing shown yet, were one more left wrong
    for one in looks:
        chances = np.convolve(chances, _wrong_drawn(one, tolerated + 1))
        below = np.cumsum(chances)
        limit = int(np.searchsorted(below, doubt * one.labelled / of - spent, side="right"))  # few enough: below it
        if one.wrong < limit:
            return True
        spent += float(below[limit - 1]) if limit else 0.0
        chances[:limit] = 0.0
    return False


def most_wrong(looks: Sequence[Look], *, of: int, doubt: float) -> int:
    """How many of those left after the last look are wrong at most, but with probability ``doubt`` over all looks."""
    low, high = -1, looks[-1].left if looks else of
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_shown(middle, looks, of=of, doubt=doubt) else (middle, high)
    return high


def _wrong_drawn(one: Look, wrong: int) -> Array:
    """Chances of 0, 1, 2, ... wrong ones among those drawn in a round, of items of which so many are wrong."""
    few = np.arange(one.drawn + 1)
    right, wrong = one.among - min(wrong, one.among), min(wrong, one.among)
    possible = (few <= wrong) & (one.drawn - few <= right)
    log = _ways(wrong, few) + _ways(right, one.drawn - few) - _ways(one.among, np.array(one.drawn))
    return np.where(possible, np.exp(np.where(possible, log, 0.0)), 0.0)


def _ways(n: int, k: Positions) -> Array:
    """Logarithm of how many ways there are to draw k of n; anything where there are none."""
    from scipy.special import gammaln

    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1))
