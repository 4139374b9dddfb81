"""Several items at once: tap the ones you like, or rate the ones you know. The best such list, item by item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from palate.acquisition.draw import best
from palate.acquisition.questions.context import Offers, QuestionContext, nothing, shrunk, top
from palate.arrays import Array, Positions
from palate.entities import Form
from palate.posteriors.probit import expected_curvature, yes_chance

LARGEST_GROUP = 10  # items; more do not fit on a screen
GROUP_SHORTLIST = 64  # items, the best when asked alone, of which groups are built
# What an item must tell per second, as a share of what the list tells without it. A page goes on for longer: the one
# after it would tell less too, and begins with the tap that ends this one.
_LEAST = {Form.GROUP: 1.0, Form.PAGE: 0.5}


def group(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """The group worth most when those that are liked are tapped.

    Of an item that is not tapped it stays open whether it is disliked or not known.
    """
    return _built(setting, Form.GROUP, _rated if setting.candidates.likelihood.events_only else _liked, rng)


def page(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """The page worth most when those that are known are rated, each by one tap on its own scale.

    What is not known is passed over and costs the reading of a title; asked alone it would cost an answer. Pages of ten
    films are how MovieLens has met new users: Rashid, Albert, Cosley, Lam, McNee, Konstan, Riedl, *Getting to know
    you*, IUI 2002.
    """
    return _built(setting, Form.PAGE, _rated, rng)


@dataclass(frozen=True, slots=True)
class _Tap:
    """Of each item in a list, (n, m) each: the gain, the curvature along its factors, P(tap)."""

    gain: Array
    curvature: Array
    chance: Array


_Taps = Callable[[QuestionContext, Positions, Array, Array, Array], _Tap]  # columns, score, variance, fall: (n, m) each


def _built(setting: QuestionContext, form: Form, taps: _Taps, rng: np.random.Generator) -> Offers:
    """A list built item by item: each given what the earlier ones tell, while its seconds pay.

    References:
        Nemhauser, Wolsey, Fisher, An analysis of approximations for maximizing submodular set functions, Mathematical
        Programming 14, 1978 (greedy).
    """
    columns = _shortlist(setting, taps)
    if columns.shape[1] < 2:
        return nothing(setting, form)
    n, users = len(columns), np.arange(len(columns))
    free = np.take_along_axis(setting.allowed, columns, 1)
    items = np.full((n, LARGEST_GROUP), -1)
    gain, tapped, untapped, propensity = np.zeros(n), np.zeros(n), np.ones(n), np.ones(n)
    covariance, growing = setting.belief.covariance.copy(), np.ones(n, dtype=bool)
    for size in range(min(LARGEST_GROUP, columns.shape[1])):
        tap = _given(setting, covariance, columns, taps)
        picks, equal = best(tap.gain, free & growing[:, None], rng=rng)
        growing = growing & (picks >= 0)
        picks = np.maximum(picks, 0)
        chance = tap.chance[users, picks]
        more, likely = gain + tap.gain[users, picks], tapped + chance
        added = setting.seconds.look + setting.seconds.tap * chance
        so_far = gain / setting.seconds.group(max(size, 1), tapped)
        growing &= (tap.gain[users, picks] / added > _LEAST[form] * so_far) | (size < 2)
        if not growing.any():
            break
        items[growing, size] = columns[users, picks][growing]
        gain, tapped = np.where(growing, more, gain), np.where(growing, likely, tapped)
        untapped = np.where(growing, untapped * (1.0 - chance), untapped)
        propensity = np.where(growing, propensity / np.maximum(equal, 1), propensity)
        free[users, picks] = False
        factors = setting.candidates.items.factors[columns[users, picks]]
        covariance = shrunk(covariance, factors, np.where(growing, tap.curvature[users, picks], 0.0))
    sizes = (items >= 0).sum(1)
    return Offers(
        form,
        items,
        np.full(n, -1),
        np.where(sizes > 1, gain, -np.inf),
        np.ones(n) if form is Form.GROUP else 1.0 - untapped,  # no tap in a group is an answer as well
        setting.seconds.look * sizes + setting.seconds.group(0, tapped),
        propensity,
        covariance,
    )


def _shortlist(setting: QuestionContext, taps: _Taps) -> Positions:
    """Positions of the items worth most when they are asked about alone, (n, m)."""
    everything = np.arange(len(setting.candidates))[None]
    score = setting.belief.score(setting.candidates.items.factors)
    alone = taps(setting, everything, score, setting.variance, setting.fall).gain
    return top(np.where(setting.allowed, alone, -np.inf), GROUP_SHORTLIST)


def _given(setting: QuestionContext, covariance: Array, columns: Positions, taps: _Taps) -> _Tap:
    """Of some items (n, m) of each user, once covariances are what they are."""
    factors = setting.candidates.items.factors[columns]
    variance = np.einsum("nmd,nmd->nm", factors @ covariance, factors)
    fall = np.einsum("nmd,nmd->nm", factors @ (covariance @ setting.moment @ covariance), factors)
    score = np.einsum("nd,nmd->nm", setting.belief.mean, factors)
    return taps(setting, columns, score, variance, fall)


def _liked(setting: QuestionContext, columns: Positions, score: Array, variance: Array, fall: Array) -> _Tap:
    """A tap says that an item is liked; no tap that it is disliked or not known."""
    candidates, users = setting.candidates, np.arange(len(score))[:, None]
    known, worth, noise = candidates.known[users, columns], setting.worth[users, columns], candidates.noise[columns]
    mean = score + candidates.items.level[columns] - setting.cut
    curvature = expected_curvature(mean, variance, noise, known)
    return _Tap(fall * curvature * worth, curvature, known * yes_chance(mean, variance + noise))


def _rated(setting: QuestionContext, columns: Positions, score: Array, variance: Array, fall: Array) -> _Tap:
    """A tap says how it is rated, or that there was an event; no tap says nothing of taste."""
    candidates, users = setting.candidates, np.arange(len(score))[:, None]
    known, worth, noise = candidates.known[users, columns], setting.worth[users, columns], candidates.noise[columns]
    curvature = known * candidates.likelihood.curvature(score + candidates.items.level[columns], variance, noise)
    return _Tap(fall * curvature * worth, curvature, known)
