"""Who met what together since the fit: what the list counts on top of the counts of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from immutables import Map, MapMutation

from palate.arrays import Positions
from palate.entities import Form
from palate.loop.replay import what_counts
from palate.loop.source import Source
from palate.model.model import Model
from palate.ranking.recent import Now, units
from palate.ranking.terms import Since

Pairs = Map[int, Map[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """Counts since the fit.

    Attributes:
        people: By item, how many have come to meet it.
        pairs: By item and other item, how many have come to meet both.
        late: By item, what those who met it add up to, each by the step of their time
            (:func:`palate.ranking.recent.units`); who met it in the data, too, counts again.
        times: By step, how many came.
    """

    people: Map[int, int] = field(default_factory=Map)
    pairs: Pairs = field(default_factory=Map)
    late: Map[int, int] = field(default_factory=Map)
    times: Map[int, int] = field(default_factory=Map)

    def moved(self, base: frozenset[int], before: Mapping[int, int], after: Mapping[int, int]) -> Company:
        """With a user who met these items, and since the fit ``before``, now ``after``: by item the step of a time."""
        if before == after:
            return self
        late, times = self.late.mutate(), self.times.mutate()
        for sign, steps in ((-1, before), (1, after)):
            for item, step in steps.items():
                _add(late, item, sign * units(step))
                _add(times, step, sign)
        old, new = before.keys() - base, after.keys() - base
        people, pairs, met = self.people.mutate(), self.pairs.mutate(), set(base | old)
        for item in sorted(old - new):
            met.remove(item)
            _count(people, pairs, item, met, -1)
        for item in sorted(new - old):
            _count(people, pairs, item, met, 1)
            met.add(item)
        return Company(people.finish(), pairs.finish(), late.finish(), times.finish())

    @property
    def since(self) -> Since:
        """As a list counts it."""
        places = sorted({item for counts in (self.people, self.late) for item, n in counts.items() if n})
        now = Now.of(self.times.items())
        more = np.array([self.people.get(item, 0) for item in places], dtype=np.float64)
        late = np.array([now.people_of(self.late.get(item, 0)) for item in places], dtype=np.float64)
        return Since(np.array(places, dtype=np.intp), more, self.pairs, late, now)


def _count(
    people: MapMutation[int, int], pairs: MapMutation[int, Map[int, int]], item: int, met: set[int], n: int
) -> None:
    _add(people, item, n)
    of_item = pairs.get(item, Map[int, int]()).mutate()
    for other in met:
        _add(of_item, other, n)
        of_other = pairs.get(other, Map[int, int]()).mutate()
        _add(of_other, item, n)
        pairs[other] = of_other.finish()
    pairs[item] = of_item.finish()


def _add(counts: MapMutation[int, int], key: int, n: int) -> None:
    counts[key] = counts.get(key, 0) + n


def met_since(model: Model, of: Source) -> tuple[Positions, dict[int, int]]:
    """What a user met in the data, as the fit counted it, and what they did since: both oldest first, each once.

    Of what they did since it says the step of the time (:mod:`palate.ranking.recent`); 0 where no time counts.

    What they rated, or liked where the model knows events only, and then what they did and meant well.
    """
    base = (
        np.zeros(0, np.intp) if model.list_model is None or of.row is None else model.list_model.met.of_person(of.row)
    )
    only_good = model.taste.likelihood.events_only
    rated = (one for one in what_counts(model, of) if one.is_real and one.answer.form is Form.RATE)
    said = [one for one in rated if one.values and (one.values[-1] > 0.0 or not only_good)]
    since = [event for event in of.seen if (event.liking or 0.0) * model.vocabulary.strength(event.kind) > 0.0]
    did = [(one.answer.item_id, one.answer.answered_at) for one in said]
    did += [(event.item_id, event.at) for event in since]
    recent, steps = None if model.list_model is None else model.list_model.recent, dict[int, int]()
    for item, at in did:
        place = model.catalogue.position(item)
        steps.pop(place, None)
        steps[place] = 0 if recent is None else recent.step(at)
    return base, steps


def met(model: Model, of: Source) -> Positions:
    """Positions of what a user met, oldest first, each once, as far as a list goes by it (:mod:`.list_scores`).

    Answers alone are no history: where nothing was done, in the data or since, there is none, unless answers are what
    the model takes for events.
    """
    base, since = met_since(model, of)
    if not len(base) and not of.seen and not model.taste.likelihood.events_only:
        return np.zeros(0, np.intp)
    again = set(since)
    return np.array([*(item for item in base.tolist() if item not in again), *since], dtype=np.intp)


def done(of: Source) -> Positions:
    """Positions of what a user did, for or against it, in the data and since, (n,)."""
    return np.zeros(0, np.intp) if of.history is None else of.history.items[of.history.liking != 0.0]
