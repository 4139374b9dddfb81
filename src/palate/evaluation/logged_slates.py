"""What the log tells of another policy: lists that were drawn, place by place, and what came of them.

A slate of the log says with which probability each place was filled (:class:`palate.records.Slate`); events and answers
say of which slate they came. The other policy draws as well: from the scores of a model, the one that serves or another
version, or from how popular items are. Of each slate it is asked with all that the log held before it, and with the
wishes of that list. Who does not allow ``research`` is left out of all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from palate.arrays import Array
from palate.entities import Answer, Form
from palate.errors import DataError, InputError
from palate.evaluation.off_policy import Logged
from palate.loop.checkpoint import replayed
from palate.loop.explore import place_chances
from palate.loop.list_scores import ListScores, list_scores
from palate.loop.lists import Wish, on_offer, temperature_of
from palate.loop.memory import Memory
from palate.model.model import Model
from palate.records import Event, Record, Slate
from palate.store.protocol import LabelStore, refusing

Scores = Callable[[ListScores], Array]


def by_model(scores: ListScores) -> Array:
    """S of every item, (I,): the list of a model."""
    return scores.total()


def by_popularity(scores: ListScores) -> Array:
    """``log(n + 1)`` of every item, n the people of the data, (I,): the same for everybody."""
    return np.asarray(np.log(scores.model.catalogue.counts + 1.0))


@dataclass(frozen=True, slots=True)
class Policy:
    """Another policy.

    Attributes:
        model: The model as its fit left it.
        fitted_seq: Row of the log up to which that has read. Slates up to it are not judged: the fit knows what came
            of them.
        scores: What it draws by.
        explore: Temperature at which it draws; None: that of each slate.
    """

    model: Model
    fitted_seq: int
    scores: Scores = by_model
    explore: float | None = None


class Found(NamedTuple):
    """Slates, as an estimate takes them (:func:`palate.evaluation.off_policy.estimate`).

    Attributes:
        logged: Place by place.
        left_out: Slates that the fit of the policy knows, or of users who do not allow research.
    """

    logged: Logged
    left_out: int


def logged_slates(log: LabelStore, policy: Policy) -> Found:
    """The slates of a log with what came of each place, and how likely the other policy had filled it so.

    A place earned 1 if something was done for the item there (by the documented events), or if an answer liked it.
    What is expected of a place is the mean of all other users'.

    Raises:
        DataError: If no slate is left.
        OptionError: If explore is no finite number from 0.
    """
    if policy.explore is not None:
        temperature_of(policy.explore, Wish())
    refused = refusing(log.records(), "research")
    rows, left_out = list[tuple[Slate, Array]](), 0
    earned: dict[str, set[str]] = {}
    memory = Memory(policy.model)
    for before, row in _chunks(log):
        told = [one for one in before if one.user_id not in refused]
        _earned(policy.model, told, earned)
        memory, _ = replayed(memory, told, policy.fitted_seq)
        if row is None:
            continue
        if row.seq <= policy.fitted_seq or row.user_id in refused:
            left_out += 1
        else:
            assert isinstance(row.content, Slate)
            rows.append((row.content, _chances(memory, row.content, policy)))
    if not rows:
        why = f"{left_out} slates are of before the fit, or of users who do not allow research"
        raise DataError(f"0 slates can be judged: {why}. Draw lists first: palate serve MODEL --explore 0.5.")
    return Found(_logged(rows, earned), left_out)


def _chunks(log: LabelStore) -> Iterator[tuple[list[Record], Record | None]]:
    """The rows before each slate, and the slate; last the rows after all of them, and None."""
    before: list[Record] = []
    for row in log.records():
        if isinstance(row.content, Slate) and not row.retracts:
            yield before, row
            before = []
        else:
            before.append(row)
    yield before, None


def _earned(model: Model, rows: Sequence[Record], earned: dict[str, set[str]]) -> None:
    """By slate, the items for which something was done in it."""
    for row in rows:
        one = row.content
        if row.retracts:
            continue
        if isinstance(one, Event) and one.slate:
            try:
                strength = model.vocabulary.strength(one.kind)
            except InputError:  # a kind that the model does not know
                continue
            if (one.liking or 0.0) * strength > 0.0:
                earned.setdefault(one.slate, set()).add(one.item_id)
        elif isinstance(one, Answer) and one.provenance.slate and one.is_rating:
            if one.form is Form.SLATE:
                earned.setdefault(one.provenance.slate, set()).update(one.tapped)
            elif one.form is Form.RATE and (one.value or 0.0) >= _like(model):
                earned.setdefault(one.provenance.slate, set()).add(one.item_id)


def _like(model: Model) -> float:
    return 1e-300 if model.taste.likelihood.events_only else model.scale.like


def _chances(memory: Memory, shown: Slate, policy: Policy) -> Array:
    """How likely the other policy fills each place so, given those above it, (k,); 0 of what it does not show."""
    found, catalogue = np.zeros(len(shown.items)), memory.fitted.catalogue
    scores = list_scores(memory, shown.user_id)
    wish = Wish(exclude=shown.exclude, category=shown.category or None)
    try:
        is_open, _ = on_offer(memory.source(shown.user_id), scores, wish)
    except InputError:  # a category that this model does not hold
        return found
    items = np.array([catalogue.position(item) if item in catalogue else -1 for item in shown.items])
    fits = (items >= 0) & is_open[items]
    n = len(items) if fits.all() else int(fits.argmin())  # below a place that it does not fill nothing is asked
    if n:
        at, temperature = np.flatnonzero(is_open), shown.explore if policy.explore is None else policy.explore
        places = np.searchsorted(at, items[:n])
        found[:n] = place_chances(policy.scores(scores)[at], places, temperature=temperature)
    return found


def _logged(rows: Sequence[tuple[Slate, Array]], earned: Mapping[str, set[str]]) -> Logged:
    most = max(len(shown.items) for shown, _ in rows)
    rewards, propensities, targets = (np.full((len(rows), most), np.nan) for _ in range(3))
    for place, (shown, chances) in enumerate(rows):
        n, got = len(shown.items), earned.get(shown.key, set())
        rewards[place, :n] = [item in got for item in shown.items]
        propensities[place, :n], targets[place, :n] = shown.propensities, chances
    users = np.array([shown.user_id for shown, _ in rows])
    expected = _of_others(rewards, users)
    return Logged(rewards, propensities, targets, expected, expected, users)


def _of_others(rewards: Array, users: Array) -> Array:
    """What each place earned in the mean over the lists of all other users, (n, K); 0 where there are none."""
    _, who = np.unique(users, return_inverse=True)
    there = np.isfinite(rewards)
    own = [np.zeros((int(who.max()) + 1, rewards.shape[1])) for _ in range(2)]
    for table, values in zip(own, (np.where(there, rewards, 0.0), there.astype(float)), strict=True):
        np.add.at(table, who, values)
    total, counts = (table.sum(0) - table for table in own)
    return np.asarray(np.divide(total, counts, out=np.zeros_like(total), where=counts > 0)[who])
