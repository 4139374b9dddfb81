"""Scores for one user or several: of each alone, or the same for everybody."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.posteriors.belief import Belief


def for_each(belief: Belief, candidates: Candidates, score: Callable[[Belief, Candidates], Array]) -> Array:
    """What ``score`` gives for one user, (I,), or for each of n, (n, I)."""
    if belief.mean.ndim == 1:
        return score(belief, candidates)
    return np.stack([score(belief.of(user), candidates.of(user)) for user in range(len(belief.mean))])


def each_user(score: Callable[..., Array]) -> Callable[..., Array]:
    """A strategy for one user, (I,), as one for n users too, (n, I)."""

    @wraps(score)
    def of_all(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
        return for_each(belief, candidates, lambda one, offered: score(one, offered, rng=rng))

    return of_all


def for_everybody(of_item: Array, belief: Belief) -> Array:
    """Scores that hang on the item alone, (I,), for one user or for n: (I,) or (n, I)."""
    return np.broadcast_to(of_item, (*belief.mean.shape[:-1], of_item.shape[-1]))
