"""What taps in a group say of taste: an item that is not tapped is disliked or not known, and nobody says which.

    P(tap) = P(known) P(liked)

How much somebody knows is uncertain, of all items alike: taken for certain, those who know more than was thought pass
for kind ones, and whoever likes what is popular is thought to like everything. So all chances to know are multiplied by
one factor of each user, log-normal about 1, and what the taps say is averaged over it:

    p(z | taps) ∝ Σ_q ω_q N(z) Π_i P(tap_i or none | z, factor_q)

each part by assumed-density filtering, the mixture by its mean and covariance.
"""

from __future__ import annotations

import numpy as np

from palate.arrays import TINY, Array, Mask, Positions
from palate.posteriors.answerability import Answerability, known_chance, like_chance
from palate.posteriors.belief import Belief
from palate.posteriors.taste import Taste

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
# The belief about what a user knows is linear and normal, activity is neither: its variance times this. Found on four
# data sets inside their training parts (docs/lab-notes.md).
_WIDER = 4.0
_SURE = 1e-3  # a chance to know is no nearer to 0 or 1


def observe_taps(
    taste: Taste,
    answerability: Answerability,
    belief: Belief,
    exposure: Belief,
    items: Positions,
    tapped: Mask,
    *,
    cut: float,
) -> Belief:
    """The belief about taste after a group was answered: of n users, or of one.

    Args:
        belief: About taste.
        exposure: About what they know, before the group.
        items: Of each user's group, (n, g), -1 where it is shorter; or (g,).
        tapped: Which of them were tapped, of the same shape.
        cut: Expected rating from which an item is liked.
    """
    if belief.mean.ndim == 1:
        one, knows = (Belief(b.mean[None], b.covariance[None]) for b in (belief, exposure))
        return observe_taps(taste, answerability, one, knows, items[None], tapped[None], cut=cut).of(0)
    there, parts = items >= 0, len(_NODES)
    users = np.repeat(np.arange(len(items)), parts)
    known = known_chance(answerability, exposure.of(np.repeat(np.arange(len(items)), items.shape[1])), items.ravel())
    known = known.reshape(items.shape)
    factor = np.exp(_deviation(answerability, exposure, items, known)[:, None] * _NODES).ravel()
    moved, log_weight = belief.of(users), np.tile(np.log(_WEIGHTS), len(items))
    for place, column in enumerate(items.T):
        item, tap, here = column[users], tapped[users, place], there[users, place]
        knows = np.clip(factor * known[users, place], _SURE, 1.0 - _SURE)
        chance = knows * like_chance(taste, moved, item, cut)
        log_weight += np.where(here, np.log(np.maximum(np.where(tap, chance, 1.0 - chance), TINY)), 0.0)
        after = taste.observe_like(moved, item, tap.astype(np.float64), cut=cut, known=knows)
        moved = after.where(here, moved)
    return _mixture(moved, log_weight.reshape(-1, parts))


def _deviation(answerability: Answerability, exposure: Belief, items: Positions, known: Array) -> Array:
    """Of the logarithm of the factor by which a user knows more, or less, of a group than was thought, (n,)."""
    there = (items >= 0).astype(np.float64)
    along = np.einsum("ng,nge->ne", there, answerability.loadings[items])
    variance = np.einsum("ne,nef,nf->n", along, exposure.covariance, along)
    return np.asarray(np.sqrt(np.log1p(_WIDER * variance / np.maximum((there * known).sum(1), TINY) ** 2)))


def _mixture(parts: Belief, log_weight: Array) -> Belief:
    """Mean and covariance of a mixture of q beliefs for each of n users, (n q, ...), of these weights (n, q)."""
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    shape = (*weight.shape, parts.dim)
    means = parts.mean.reshape(shape)
    mean = np.einsum("nq,nqd->nd", weight, means)
    away = means - mean[:, None]
    within = np.einsum("nq,nqde->nde", weight, parts.covariance.reshape(*shape, parts.dim))
    between = np.einsum("nq,nqd,nqe->nde", weight, away, away)
    covariance = within + (between + np.swapaxes(between, 1, 2)) / 2
    return Belief(mean, (covariance + np.swapaxes(covariance, 1, 2)) / 2)
