"""What a targeted strategy aims at: ``q``, the chance that an item is one the user will be shown.

A strategy is aimed by what its candidates hold: :func:`aimed_at`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_each
from palate.arrays import Array, Positions
from palate.errors import OptionError
from palate.errors.checks import one_of
from palate.posteriors.belief import Belief

KNOWN = "known"  # by what the user is likely to know, as candidates come
NAMES = (KNOWN, "slate", "popularity", "uniform")
SLATE = 10
DRAWS = 64  # a chance of 0.1 is then known to ± 0.04; the choice of item is stable well before
_EDGE = 2.0**-40  # a scrambled point may be 0, whose normal would be infinite
_AT_ONCE = 8  # draws scored together, so that the memory is that many catalogues


def aimed_at(name: str, belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Candidates:
    """The same candidates, with the targets of that name.

    Raises:
        OptionError: If there are none of that name.
    """
    if one_of(name, NAMES, "targets") == KNOWN:
        return candidates
    if name == "slate":
        return replace(candidates, targets=slate_targets(belief, candidates, rng=rng))
    targets = popularity_targets if name == "popularity" else uniform_targets
    return replace(candidates, targets=targets(candidates))


def uniform_targets(candidates: Candidates) -> Array:
    """Every item alike, (J,)."""
    return np.full(len(candidates.shown), 1.0 / len(candidates.shown))


def popularity_targets(candidates: Candidates) -> Array:
    """By the ratings each item has, (J,); every item alike where there is no rating at all."""
    counts = candidates.population.counts
    return counts / counts.sum() if counts.any() else uniform_targets(candidates)


def slate_targets(
    belief: Belief, candidates: Candidates, *, k: int = SLATE, rng: np.random.Generator, draws: int = DRAWS
) -> Array:
    """By how often an item is among the k best of a taste drawn from the belief, (J,) or (n, J), O(draws J D) a user.

    Thompson draws: an item that may be good enters some of the slates, one that cannot be never does. What a user has
    rated is in no slate, unless everything is rated.

    Raises:
        OptionError: If k or the number of draws is below 1.
    References:
        Chapelle, Li, An empirical evaluation of Thompson sampling, NIPS 2011 (the draws); Bickford Smith et al.,
        Prediction-oriented Bayesian active learning, AISTATS 2023 (aiming at a distribution of targets).
    """
    if k < 1 or draws < 1:
        raise OptionError(f"a slate of {k} items from {draws} draws: both must be at least 1.")
    return for_each(belief, candidates, lambda one, offered: _of_one(one, offered, k, rng, draws))


def draw_tastes(belief: Belief, draws: int, *, rng: np.random.Generator) -> Array:
    """Tastes drawn from a belief about one user, (draws, D); Cholesky would refuse the 0 of a taste that is known."""
    return np.asarray(belief.mean + rng.standard_normal((draws, belief.dim)) @ _root(belief).T)


def spread_tastes(belief: Belief, draws: int, *, rng: np.random.Generator) -> Array:
    """Tastes spread evenly over a belief about one user, (draws, D), draws a power of 2: a mean over them is nearer.

    Scrambled Sobol points, so that each taste is one draw from the belief; the widest axis comes first, where they are
    most even. Owen, J. Complexity 14(4), 1998.
    """
    from scipy.stats import qmc  # takes a second

    points = qmc.Sobol(belief.dim, rng=rng).random(draws)
    normal = ndtri(np.clip(points, _EDGE, 1.0 - _EDGE))
    return np.asarray(belief.mean + normal @ _root(belief)[:, ::-1].T)


def _root(belief: Belief) -> Array:
    """R with ``R Rᵀ`` the covariance, its narrowest axis first."""
    widths, axes = np.linalg.eigh(belief.covariance)
    return np.asarray(axes * np.sqrt(np.maximum(widths, 0.0)))


def showable(candidates: Candidates) -> Positions:
    """Positions of what may still be shown to one user: everything but what is rated, or everything if all is."""
    left = np.ones(len(candidates.shown), dtype=bool)
    left[candidates.given.rated()[0]] = False
    return np.flatnonzero(left) if left.any() else np.arange(len(left))


def _of_one(belief: Belief, candidates: Candidates, k: int, rng: np.random.Generator, draws: int) -> Array:
    open_ = showable(candidates)
    level, factors = candidates.shown.level[open_], candidates.shown.factors[open_]
    k = min(k, len(open_))
    tastes, entered = draw_tastes(belief, draws, rng=rng), np.zeros(len(candidates.shown))
    for start in range(0, draws, _AT_ONCE):
        scores = level + tastes[start : start + _AT_ONCE] @ factors.T
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        entered += np.bincount(open_[best.ravel()], minlength=len(entered))
    return np.asarray(entered / entered.sum())
