"""Tap the ones you like: the group worth most, item by item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from palate.acquisition.offers import Array, Offers, Setting, nothing, shrunk, top
from palate.acquisition.select import best
from palate.entities import Form
from palate.posteriors.likelihoods import expected_curvature

LARGEST_GROUP = 10  # items; more do not fit on a screen
GROUP_SHORTLIST = 64  # items, the best when asked alone, of which groups are built


def group(setting: Setting, *, rng: np.random.Generator) -> Offers:
    """The group worth most, built item by item: each given what the earlier ones tell, while its seconds pay.

    Of an item that is not tapped it stays open whether it is disliked or not known. Greedy: Nemhauser, Wolsey, Fisher,
    *An analysis of approximations for maximizing submodular set functions*, Mathematical Programming 14, 1978.
    """
    everything = np.arange(len(setting.candidates))[None]
    score = setting.belief.score(setting.candidates.items.factors)
    alone = _tap(setting, everything, score, setting.variance, setting.fall).gain
    columns = top(np.where(setting.allowed, alone, -np.inf), GROUP_SHORTLIST)
    if columns.shape[1] < 2:
        return nothing(setting, Form.GROUP)
    n, users = len(columns), np.arange(len(columns))
    free = np.take_along_axis(setting.allowed, columns, 1)
    items = np.full((n, LARGEST_GROUP), -1)
    gain, taps, propensity = np.zeros(n), np.zeros(n), np.ones(n)
    covariance, growing = setting.belief.covariance.copy(), np.ones(n, dtype=bool)
    for size in range(min(LARGEST_GROUP, columns.shape[1])):
        tap = _tap_gain(setting, covariance, columns)
        picks, equal = best(tap.gain, free & growing[:, None], rng=rng)
        growing = growing & (picks >= 0)
        picks = np.maximum(picks, 0)
        more, likely = gain + tap.gain[users, picks], taps + tap.chance[users, picks]
        pays = more / setting.seconds.group(size + 1, likely) > gain / setting.seconds.group(max(size, 1), taps)
        growing &= pays | (size < 2)
        if not growing.any():
            break
        items[growing, size] = columns[users, picks][growing]
        gain, taps = np.where(growing, more, gain), np.where(growing, likely, taps)
        propensity = np.where(growing, propensity / np.maximum(equal, 1), propensity)
        free[users, picks] = False
        factors = setting.candidates.items.factors[columns[users, picks]]
        covariance = shrunk(covariance, factors, np.where(growing, tap.curvature[users, picks], 0.0))
    sizes = (items >= 0).sum(1)
    seconds = setting.seconds.look * sizes + setting.seconds.group(0, taps)
    return Offers(
        Form.GROUP,
        items,
        np.full(n, -1),
        np.where(sizes > 1, gain, -np.inf),
        np.ones(n),
        seconds,
        propensity,
        covariance,
    )


@dataclass(frozen=True, slots=True)
class _Tap:
    """Of each item in a group, (n, m) each: the gain, the curvature along its factors, P(tap)."""

    gain: Array
    curvature: Array
    chance: Array


def _tap_gain(setting: Setting, covariance: Array, columns: NDArray[np.intp]) -> _Tap:
    """Of some items (n, m) of each user, once covariances are what they are."""
    factors = setting.candidates.items.factors[columns]
    variance = np.einsum("nmd,nmd->nm", factors @ covariance, factors)
    fall = np.einsum("nmd,nmd->nm", factors @ (covariance @ setting.moment @ covariance), factors)
    score = np.einsum("nd,nmd->nm", setting.belief.mean, factors)
    return _tap(setting, columns, score, variance, fall)


def _tap(setting: Setting, columns: NDArray[np.intp], score: Array, variance: Array, fall: Array) -> _Tap:
    candidates, users = setting.candidates, np.arange(len(score))[:, None]
    known, worth, noise = candidates.known[users, columns], setting.worth[users, columns], candidates.noise[columns]
    if candidates.likelihood.kind == "implicit":  # a tap is an event; what is not tapped is the zero it was
        curvature = known / (variance + noise)
        return _Tap(fall * curvature * worth, curvature, known)
    mean = score + candidates.items.level[columns] - setting.cut
    curvature = expected_curvature(mean / np.sqrt(noise), variance / noise, known) / noise
    return _Tap(fall * curvature * worth, curvature, known * ndtr(mean / np.sqrt(variance + noise)))
