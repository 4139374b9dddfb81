"""People, or items, never seen: what is believed, what can be answered, what is held out. One seed of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from palate.acquisition.candidates import Candidates
from palate.arrays import Array
from palate.datasets.coding import Coded
from palate.datasets.splits import new_items, new_users
from palate.datasets.tables import Dataset
from palate.entities import ITEM, RATING, USER
from palate.errors import DataError
from palate.learner import Learner
from palate.loop.ask_about_item import exchanged, items_as_users
from palate.loop.memory import Memory
from palate.loop.offered import candidates_of
from palate.model.fit import check_arguments, fit_model
from palate.model.model import Model
from palate.model.scale import Scale
from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief
from palate.posteriors.taste import Taste
from palate.random import derive_rng

ASKABLE = 0.5  # share of what there is that each subject can be asked about; the list is of the rest


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Test ratings of n subjects, padded to the longest.

    Attributes:
        columns: Candidate of each, (n, T).
        values: Its rating, (n, T).
        present: False where padded, (n, T).
        open: What a list may show, (n, I), where it is made of all candidates: of events, which do not say what else
            somebody would have been for. None where it is made of the test alone.
    """

    columns: NDArray[np.intp]
    values: Array
    present: NDArray[np.bool_]
    open: NDArray[np.bool_] | None = None

    @classmethod
    def build(cls, ratings: Array, test: NDArray[np.bool_], *, open: NDArray[np.bool_] | None = None) -> HeldOut:
        """From ratings (n, I), what of them is test and, of events, what may be shown."""
        longest = max(1, int(test.sum(1).max(initial=0)))
        columns = np.argsort(~test, axis=1, kind="stable")[:, :longest]
        present = np.take_along_axis(test, columns, 1)
        return cls(columns, np.where(present, np.take_along_axis(ratings, columns, 1), 0.0), present, open)


@dataclass(frozen=True, slots=True)
class World:
    """n subjects (new users, or new items) and I candidates to ask about (items, or users).

    The candidates are halved for each subject, by chance: about one half they can be asked, rated or not; the other is
    what a list may show, and its ratings are the test. So a question never spoils the list, and somebody who is asked
    about what they know does answer.

    Attributes:
        subjects: Their ids, (n,).
        taste: Beliefs about the candidates, and how answers come about.
        start: Belief about each subject before any answer.
        candidates: As a strategy sees them.
        answerability: Who can answer what.
        ratings: (n, I), NaN where there is none.
        times: When each was given, in seconds since the epoch, (n, I), NaN where nobody says.
        askable: The half that can be asked, (n, I).
        answerable: What of it has a rating, (n, I).
        held_out: The ratings of the other half.
        scale: Of the ratings.
        like_cut: Expected answer from which something is liked, as beliefs see it.
        fitted_users: Users the model was fitted on.
        learner: Of the fit, for timing; None where the sides are exchanged.
    """

    subjects: list[str]
    taste: Taste
    start: Belief
    candidates: Candidates
    answerability: Answerability
    ratings: Array
    times: Array
    askable: NDArray[np.bool_]
    answerable: NDArray[np.bool_]
    held_out: HeldOut
    scale: Scale
    like_cut: float
    fitted_users: int
    learner: Learner | None

    def shuffled(self, rng: np.random.Generator) -> World:
        """The same with the answerable ratings permuted within each subject: no first question may change."""
        ratings = self.ratings.copy()
        for row, open_ in zip(ratings, self.answerable, strict=True):
            row[open_] = rng.permutation(row[open_])
        return replace(self, ratings=ratings)


def answered(data: Dataset) -> Coded:
    """What people would answer: their ratings or, where there is none, like (1) or dislike (-1) as they did later."""
    if data.interactions[RATING].null_count() < data.interactions.height:
        return data.coded()
    coded = data.coded("event")
    return replace(coded, values=np.sign(coded.values))


def users_world(data: Dataset, *, encoder: str, seed: int, max_users: int) -> World:
    """A quarter of the users is new: the model is fitted on the others. Who they are, if the data says so, is known."""
    rng = derive_rng(seed, "new-users")
    data = _at_most(_complete(data), max_users, rng)
    split = new_users(data, share=0.25, rng=rng)
    learner = _fitted(split.train, encoder, seed)
    model = learner.model
    subjects, ratings, times, askable = newcomers(split.test, model, seed)
    return World(
        subjects=subjects,
        taste=model.taste,
        start=stacked([learner.state(user).start for user in subjects]),
        candidates=candidates_of(model),
        answerability=model.answerability,
        ratings=ratings,
        times=times,
        askable=askable,
        answerable=askable & ~np.isnan(ratings),
        held_out=_held_out(ratings, askable, model),
        scale=model.scale,
        like_cut=model.like_cut,
        fitted_users=len(model.user_ids),
        learner=learner,
    )


def newcomers(test: Dataset, model: Model, seed: int) -> tuple[list[str], Array, Array, NDArray[np.bool_]]:
    """People the model never saw: their ids, (n,), their ratings and when, and what each can be asked, (n, I) each."""
    subjects, ratings, times = _matrix(test, USER, ITEM, model)
    return subjects, ratings, times, _halves(ratings.shape[1], subjects, seed)


def items_world(data: Dataset, *, encoder: str, seed: int, max_users: int) -> World:
    """A fifth of the items is new, their content known: whom to ask about them. Only the sides are exchanged."""
    rng = derive_rng(seed, "new-items")
    data = _at_most(_complete(data), max_users, rng)
    split = new_items(data, share=0.2, rng=rng)
    model = _fitted(split.train, encoder, seed).model
    subjects, by_item, times = _matrix(split.test, ITEM, USER, model)
    askable = _halves(by_item.shape[1], subjects, seed)
    rows = model.catalogue.positions(subjects)
    offered = exchanged(model, model.population.beliefs, model.answers)
    return World(
        subjects=subjects,
        taste=offered.population.taste,
        start=items_as_users(model, rows),
        candidates=offered,
        answerability=Answerability.fit(model.answers.T.tocsr(), rng=rng),
        ratings=by_item,
        times=times,
        askable=askable,
        answerable=askable & ~np.isnan(by_item),
        held_out=_held_out(by_item, askable, model),
        scale=model.scale,
        like_cut=model.like_cut,
        fitted_users=len(model.user_ids),
        learner=None,
    )


def everybody(
    data: Dataset, *, seed: int, max_users: int
) -> tuple[Dataset, list[str], Array, NDArray[np.bool_], HeldOut]:
    """All users as if nobody were known: the data, the users, their ratings (n, I), what can be asked, the test."""
    data = _at_most(_complete(data), max_users, derive_rng(seed, "cold-system"))
    coded = answered(data)
    ratings = np.full((len(coded.user_ids), len(coded.item_ids)), np.nan)
    ratings[coded.users, coded.items] = coded.values
    known, askable = ~np.isnan(ratings), _halves(ratings.shape[1], coded.user_ids, seed)
    return data, coded.user_ids, ratings, known & askable, HeldOut.build(ratings, known & ~askable)


def stacked(beliefs: Sequence[Belief]) -> Belief:
    """Beliefs about one subject each as one about all."""
    return Belief(np.array([belief.mean for belief in beliefs]), np.array([belief.covariance for belief in beliefs]))


def _fitted(data: Dataset, encoder: str, seed: int) -> Learner:
    """Of answers alone the list needs nothing that histories say, so that is not learnt."""
    given = check_arguments({"data": data, "encoder": encoder, "seed": seed})
    return Learner(Memory(fit_model(**given, lists=False)), given["seed"])


def _complete(data: Dataset) -> Dataset:
    """With a row for every item of the interactions, so that a split does not hide that an item exists."""
    missing = data.interactions.select(pl.col(ITEM).unique(maintain_order=True)).join(data.items, on=ITEM, how="anti")
    return replace(data, items=pl.concat([data.items, missing], how="diagonal"))


def _at_most(data: Dataset, max_users: int, rng: np.random.Generator) -> Dataset:
    """The data of at most so many users, drawn at random."""
    users = data.interactions[USER].unique().sort()
    if len(users) <= max_users:
        return data
    drawn = users.gather(np.sort(rng.choice(len(users), max_users, replace=False)))
    return data.filter(pl.col(USER).is_in(drawn.implode()))


def _matrix(test: Dataset, rows: str, columns: str, model: Model) -> tuple[list[str], Array, Array]:
    """Ratings of the test side and when, (n, I) in the order of the model's other side, NaN where there is none."""
    coded = answered(test)
    order = model.catalogue.ids if columns == ITEM else model.user_ids
    place = {name: position for position, name in enumerate(order)}
    names = {USER: (coded.users, coded.user_ids), ITEM: (coded.items, coded.item_ids)}
    row_codes, row_ids = names[rows]
    column_codes, column_ids = names[columns]
    used = np.unique(row_codes)
    if len(used) == 0:
        raise DataError(f"no {rows} of the test has a rating. Give data with more ratings.")
    ratings, times = np.full((2, len(used), len(order)), np.nan)
    to = np.array([place.get(name, -1) for name in column_ids])
    known = to[column_codes] >= 0
    here = np.searchsorted(used, row_codes[known]), to[column_codes[known]]
    ratings[here], times[here] = coded.values[known], coded.timestamps[known]
    return [row_ids[code] for code in used], ratings, times


def _halves(n_candidates: int, subjects: list[str], seed: int) -> NDArray[np.bool_]:
    """What each subject can be asked, (n, I): by their name and the seed, so the same for every strategy."""
    coins = [derive_rng(seed, "askable", name).random(n_candidates) for name in subjects]
    return np.stack(coins) < ASKABLE


def _held_out(ratings: Array, askable: NDArray[np.bool_], model: Model) -> HeldOut:
    events_only = model.taste.likelihood.events_only
    return HeldOut.build(ratings, ~np.isnan(ratings) & ~askable, open=~askable if events_only else None)


WORLDS: dict[str, Callable[..., World]] = {"new-users": users_world, "new-items": items_world}
