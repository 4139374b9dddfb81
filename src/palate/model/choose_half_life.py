"""How fast what people say fades, chosen by what they said later.

Of everybody the last fifth of the answers, by time, is held back; a short fit to the others tells the factors of the
items, and each half-life how well a belief that has faded until the first of those tells them. Nothing fades unless
one does better than that by more than chance explains: most data sets hold no drift that one could see.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.coding import Coded
from palate.model.choose import drawn_users
from palate.posteriors.answers import Answers
from palate.posteriors.belief import Belief
from palate.posteriors.fit import fit
from palate.posteriors.forgetting import Forgetting
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.random import derive_rng

FEWEST = 2_000  # answers with a time below which nothing is chosen
MOST = 20_000  # answers looked at, of users drawn
LEAST = 5  # answers of a user with a time
HELD_BACK = 0.2
SPANS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # half-lives tried, times the usual age of an answer when a later one comes
_STANDARD_ERRORS = 3.0  # six are tried
_OPTIONS = FitOptions(dim=8, sweeps=20)


def choose_forgetting(coded: Coded, answers: Answers, likelihood: Likelihood) -> Forgetting | None:
    """How fast answers fade; None where nothing says that they do.

    Args:
        coded: The answers of the data, with their times.
        answers: The same as the model keeps them.
    """
    found = None if likelihood.events_only else half_life(coded, likelihood)
    if found is None:
        return None
    times = coded.timestamps[np.argsort(coded.users, kind="stable")]
    assert len(times) == answers.values.nnz, "times of other answers"
    return Forgetting(found, times)


def half_life(coded: Coded, likelihood: Likelihood) -> float | None:
    """In seconds; None where answers that do not fade tell later ones as well."""
    timed = np.isfinite(coded.timestamps)
    often = np.bincount(coded.users[timed], minlength=len(coded.user_ids))[coded.users] >= LEAST
    kept = timed & often
    if kept.sum() < FEWEST:
        return None
    rng = derive_rng(0, "half-life")
    kept &= drawn_users(coded.users[kept], len(coded.user_ids), MOST, rng)[coded.users]
    order = np.flatnonzero(kept)[np.lexsort((coded.timestamps[kept], coded.users[kept]))]
    users, items = (np.unique(codes[order], return_inverse=True)[1] for codes in (coded.users, coded.items))
    values, times, held = coded.values[order], coded.timestamps[order], _last_of_each(users)
    return _chosen(users.astype(np.int32), items.astype(np.int32), values, times, held, likelihood, rng)


def _last_of_each(users: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which are among the last fifth of their user's, one at least, of answers sorted by user and time."""
    counts = np.bincount(users)
    place = np.arange(len(users)) - np.concatenate([[0], np.cumsum(counts)])[users]
    return np.asarray(place >= np.minimum(np.ceil((1.0 - HELD_BACK) * counts), counts - 1)[users])


def _chosen(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    values: Array,
    times: Array,
    held: NDArray[np.bool_],
    likelihood: Likelihood,
    rng: np.random.Generator,
) -> float | None:
    shape = (int(users.max()) + 1, int(items.max()) + 1)
    told = Answers.build(users[~held], items[~held], values[~held], shape)
    rated = np.unique(told.values.indices)
    fitted = fit(told.of_items(rated), likelihood=likelihood, options=_OPTIONS, rng=rng)
    taste = Taste.build(Items.of_packed(fitted.factors, fitted.covariances, fitted.noise), fitted.likelihood)
    until = np.full(shape[0], np.inf)
    np.minimum.at(until, users[held], times[held])  # the first that is held back
    ages = np.maximum(until[users[~held]] - times[~held], 0.0)
    usual = float(np.median(ages))
    if usual <= 0.0:
        return None
    test = held & np.isin(items, rated)
    rows, columns, levels = users[test], np.searchsorted(rated, items[test]), np.unique(values)
    codes = np.searchsorted(levels, values[test])
    left = told.of_items(rated).values

    def logs(half_life: float) -> Array:
        """Log likelihood of what is held back, a mean a user, (U,)."""
        weights = np.maximum(np.exp2(-ages / half_life), _NEARLY_NOTHING)
        belief = taste.believe(left, of_users=fitted.user_noise, weights=weights)
        return _of_users(rows, _logs(taste, belief, fitted.user_noise, rows, columns, levels, codes))

    plain = logs(np.inf)
    gains = {span: logs(span * usual) - plain for span in SPANS}
    best = max(gains, key=lambda span: float(gains[span].mean()))
    gain = gains[best]
    by_chance = _STANDARD_ERRORS * float(gain.std()) / np.sqrt(len(gain))
    return best * usual if gain.mean() > by_chance else None


_NEARLY_NOTHING = 1e-9  # of an answer: a weight is above 0


def _logs(
    taste: Taste,
    belief: Belief,
    user_noise: Array,
    rows: NDArray[np.int32],
    columns: NDArray[np.intp],
    levels: Array,
    codes: NDArray[np.intp],
) -> Array:
    mean, variance = taste.items.predict_pairs(belief, rows, columns)
    noise = taste.items.noise[columns]
    chances = taste.likelihood.level_chances(levels, mean, variance + (user_noise[rows] - 1.0) * noise)
    return np.log(np.maximum(chances[np.arange(len(codes)), codes], 1e-12))


def _of_users(rows: NDArray[np.int32], logs: Array) -> Array:
    counts = np.bincount(rows)
    return np.bincount(rows, weights=logs)[counts > 0] / counts[counts > 0]
