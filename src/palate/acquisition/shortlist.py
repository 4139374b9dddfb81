"""Which few candidates an expensive strategy is worth computing for, where there are too many."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from palate.acquisition.belief.a_optimal_relative import a_optimal_relative
from palate.acquisition.candidates import Candidates
from palate.acquisition.fast.dispatch import fast_values
from palate.arrays import TINY, Array, Mask, Positions
from palate.errors import OptionError
from palate.posteriors.belief import Belief

DIRECTIONS = 4  # axes along which the taste is least certain
# Of the list, one after the other; half is left to the score that comes nearest to what is wanted.
_BY_DIRECTION, _BY_POPULARITY, _AT_RANDOM = 1 / 4, 1 / 8, 1 / 8


def shortlist(
    belief: Belief,
    candidates: Candidates,
    m: int,
    *,
    allowed: Mask | None = None,
    rng: np.random.Generator,
) -> Positions:
    """Positions of ``m`` different candidates for one user, sorted, or of all that are allowed if these are fewer.

    Half have the largest ``a-optimal-relative`` times reach, a quarter the largest share of their variance along the
    axes of which least is known, times reach, an eighth the most ratings, and an eighth is drawn: what the first three
    never see would otherwise never be asked. Costs one pass over the catalogue, whatever the strategy.

    Args:
        allowed: Candidates that may be chosen, (I,); all if None.
        rng: Draws the random share.
    Raises:
        OptionError: If m is below 1.
    """
    if m < 1:
        raise OptionError(f"m is {m}. Give at least 1 candidate.")
    free = np.ones(len(candidates), dtype=bool) if allowed is None else allowed.copy()
    if int(free.sum()) <= m:
        return np.flatnonzero(free)
    along = int(m * _BY_DIRECTION) // DIRECTIONS
    popular, drawn = int(m * _BY_POPULARITY), int(m * _AT_RANDOM)
    axes = _aligned(belief, candidates)
    _take(free, cheap_values(belief, candidates, rng=rng), m - along * len(axes) - popular - drawn)
    for scores in axes:
        _take(free, scores, along)
    _take(free, candidates.counts, popular)
    _take(free, rng.random(len(candidates)), drawn)
    chosen = ~free if allowed is None else allowed & ~free
    return np.flatnonzero(chosen)


def most_promising(worth: Array, m: int, *, rng: np.random.Generator) -> Positions:
    """Positions of the ``m`` largest, the largest first; of equal ones at the end some, drawn.

    Where nothing is known yet all are equal, and the first of the catalogue would be asked of everybody.
    """
    least = np.partition(worth, -m)[-m]
    above, equal = np.flatnonzero(worth > least), np.flatnonzero(worth == least)
    left = m - len(above)
    chosen = equal if len(equal) == left else np.sort(rng.choice(equal, left, replace=False))
    return np.concatenate([above[np.argsort(-worth[above], kind="stable")], chosen])


def cheap_values(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """``a-optimal-relative`` times reach for one user, (I,): what is promising, in one pass."""
    fast = fast_values("a-optimal-relative", belief, candidates)
    return a_optimal_relative(belief, candidates, rng=rng) * candidates.reach if fast is None else fast


def _aligned(belief: Belief, candidates: Candidates) -> list[Array]:
    """For each of the widest axes u of the belief, ``λ (w·u)² / v`` times reach, (I,)."""
    widths, axes = eigh(belief.covariance, driver="ev")
    widest = slice(len(widths) - min(DIRECTIONS, len(widths)), None)
    along = candidates.items.factors @ (axes[:, widest] * np.sqrt(np.maximum(widths[widest], 0.0)))
    worth = candidates.reach / np.maximum(np.square(along).sum(1) + candidates.noise, TINY)
    return [np.square(column) * worth for column in along.T]


def _take(free: Mask, scores: Array, count: int) -> None:
    """Takes the ``count`` free ones with the largest scores; of equal ones the first."""
    if count == 0:
        return
    places = np.flatnonzero(free)
    some = np.nan_to_num(scores[places], nan=-np.inf)
    least = np.partition(some, -count)[-count]
    above, equal = places[some > least], places[some == least]
    free[above] = False
    free[equal[: count - len(above)]] = False
