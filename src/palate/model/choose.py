"""Which likelihood suits a data set: by its kind, and, where two would do, by answers held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array
from palate.datasets.coding import Coded
from palate.datasets.tables import Dataset
from palate.entities import RATING
from palate.posteriors import likelihoods
from palate.posteriors.answers import Answers
from palate.posteriors.fit import fit
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.likelihoods import Gaussian, Implicit, Ordered, Probit
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.random import derive_rng

FEWEST = 2_000  # answers below which the kind of data decides
MOST_LIKES, MOST_STARS = 100_000, 20_000  # answers that are looked at, of users drawn: a few seconds either way
MOST_LEVELS = 12  # more are no stars
HELD_OUT = 0.2
_STANDARD_ERRORS = 2.0
_OPTIONS = FitOptions(dim=8, sweeps=20)


def choose_likelihood(data: Dataset, likelihood: str | Likelihood) -> Likelihood:
    """The likelihood itself, that of a name, or (``auto``) the one that suits the data.

    Events alone are implicit, ratings of 0 and 1 are likes (probit), others gaussian; but the other one that could hear
    them is taken (gaussian likes; ordered stars) where answers held out are more likely under it than chance explains,
    and no worse expected (:meth:`Told.better_than`).
    """
    if isinstance(likelihood, Likelihood):
        return likelihood
    if likelihood != "auto":
        return likelihoods.named(likelihood)
    levels = data.interactions[RATING].drop_nulls().unique().sort()
    if levels.is_empty():
        return Implicit()
    # other two levels keep their unit, since answers come on the data's scale
    default, other = (Probit(), Gaussian()) if set(levels) == {0.0, 1.0} else (Gaussian(), Ordered())
    coded = data.coded()
    if len(coded.values) < FEWEST or not 2 <= len(levels) <= MOST_LEVELS or (len(levels) == 2 and other == Ordered()):
        return default
    most = MOST_LIKES if default.is_binary else MOST_STARS
    found = {one.kind: told(coded, one, most) for one in (default, other)}
    return other if found[other.kind].better_than(found[default.kind]) else default


@dataclass(frozen=True, slots=True)
class Told:
    """How well answers held out are told.

    Attributes:
        logs: Log likelihood of the level of each, in nats, (N,).
        errors: Squared error of what was expected of each, (N,).
    """

    logs: Array
    errors: Array

    def better_than(self, other: Told) -> bool:
        """Whether they are more likely, by two standard errors and more, and no worse expected."""
        gain = self.logs - other.logs
        by_chance = _STANDARD_ERRORS * float(gain.std()) / np.sqrt(len(gain))
        return bool(gain.mean() > by_chance and self.errors.mean() <= other.errors.mean())


def told(coded: Coded, likelihood: Likelihood, most: int) -> Told:
    """How well a short fit to four of five answers tells the fifth; the same split for every likelihood."""
    rng = derive_rng(0, "held-out answers")
    users, items, values = _drawn(coded, most, rng)
    levels = np.unique(values)
    held = rng.random(len(values)) < HELD_OUT
    seen = np.isin(items, items[~held])  # of an item nobody else answered about nothing can be told
    shape = (int(users.max()) + 1, int(items.max()) + 1)
    answers = Answers.build(users[~held], items[~held], values[~held], shape)
    rated = np.unique(answers.values.indices)
    fitted = fit(answers.of_items(rated), likelihood=likelihood, options=_OPTIONS, rng=rng)
    taste = Taste.build(Items.of_packed(fitted.factors, fitted.covariances, fitted.noise), fitted.likelihood)
    belief = taste.believe(answers.of_items(rated).values, of_users=fitted.user_noise)
    test = held & seen
    rows, columns = users[test], np.searchsorted(rated, items[test])
    mean, variance = taste.items.predict_pairs(belief, rows, columns)
    noise = taste.items.noise[columns] * fitted.user_noise[rows]
    variance = variance + noise - taste.items.noise[columns]
    chances = fitted.likelihood.level_chances(levels, mean, variance)
    codes = np.searchsorted(levels, values[test])
    log = np.log(np.maximum(chances[np.arange(len(codes)), codes], 1e-12))
    expected = fitted.likelihood.on_scale(levels[0], levels[-1]).expected(mean, variance, noise)
    return Told(log, (expected - values[test]) ** 2)


def _drawn(coded: Coded, most: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int32], Array]:
    """Users, items and values of about ``most`` answers, of users drawn, with codes of their own."""
    drawn = drawn_users(coded.users, len(coded.user_ids), most, rng)[coded.users]
    users, items = (np.unique(codes[drawn], return_inverse=True)[1] for codes in (coded.users, coded.items))
    return users.astype(np.int32), items.astype(np.int32), coded.values[drawn]


def drawn_users(users: NDArray[np.int32], n_users: int, most: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which users, (U,), are drawn so that they have about ``most`` of these answers, and one at least is."""
    order = rng.permutation(n_users)
    counts = np.bincount(users, minlength=n_users)[order]
    drawn = np.zeros(n_users, dtype=bool)
    drawn[order[np.cumsum(counts) <= max(most, int(counts[0]))]] = True
    return drawn
