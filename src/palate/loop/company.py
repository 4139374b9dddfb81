"""Who met what together since the fit: what the list counts on top of the counts of the fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from immutables import Map, MapMutation
from numpy.typing import NDArray

from palate.arrays import Positions
from palate.entities import Form
from palate.loop.replay import what_counts
from palate.loop.source import Source
from palate.model.model import Model
from palate.ranking.recent import Now, units
from palate.ranking.terms import MetWith, Since

Move = tuple[frozenset[int], Mapping[int, int], Mapping[int, int]]
Keys = NDArray[np.int64]  # an item, another one, and whether one more met both or one less, in one number each
_AT_ONCE = 1 << 20  # pairs that are counted together


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """Counts since the fit.

    Attributes:
        people: By item, how many have come to meet it.
        pairs: By item, with which others people have come to meet it.
        late: By item, what those who met it add up to, each by the step of their time
            (:func:`palate.ranking.recent.units`); who met it in the data, too, counts again.
        times: By step, how many came.
    """

    people: Map[int, int] = field(default_factory=Map)
    pairs: Map[int, MetWith] = field(default_factory=Map)
    late: Map[int, int] = field(default_factory=Map)
    times: Map[int, int] = field(default_factory=Map)

    def moved(self, base: frozenset[int], before: Mapping[int, int], after: Mapping[int, int]) -> Company:
        """With a user who met these items, and since the fit ``before``, now ``after``: by item the step of a time."""
        return self.moved_all([(base, before, after)])

    def moved_all(self, moves: Iterable[Move]) -> Company:
        """:meth:`moved` of several users."""
        moves = [(base, before, after) for base, before, after in moves if before != after]
        if not moves:
            return self
        people, late, times = self.people.mutate(), self.late.mutate(), self.times.mutate()
        for base, before, after in moves:
            for sign, steps in ((-1, before), (1, after)):
                for item, step in steps.items():
                    _add(late, item, sign * units(step))
                    _add(times, step, sign)
                    if item not in base:
                        _add(people, item, sign)
        pairs, keys, n = self.pairs.mutate(), list[Keys](), 0
        for more in (some for move in moves for some in _keys(*move)):
            keys.append(more)
            n += len(more)
            if n >= _AT_ONCE:
                _count(pairs, keys)
                keys, n = [], 0
        _count(pairs, keys)
        return Company(people.finish(), pairs.finish(), late.finish(), times.finish())

    @property
    def since(self) -> Since:
        """As a list counts it."""
        places = sorted({item for counts in (self.people, self.late) for item, n in counts.items() if n})
        now = Now.of(self.times.items())
        more = np.array([self.people.get(item, 0) for item in places], dtype=np.float64)
        late = np.array([now.people_of(self.late.get(item, 0)) for item in places], dtype=np.float64)
        return Since(np.array(places, dtype=np.intp), more, self.pairs, late, now)


def _keys(base: frozenset[int], before: Mapping[int, int], after: Mapping[int, int]) -> Iterator[Keys]:
    """What one user changes: of each pair of items, in both orders."""
    old, new = before.keys() - base, after.keys() - base
    kept = _positions(base | (old & new))
    for is_more, changed in enumerate((_positions(old - new), _positions(new - old))):
        for items, others in ((changed, np.concatenate([kept, changed])), (kept, changed)):
            size = max(1, _AT_ONCE // max(1, len(others)))
            for some in np.split(items[:, None], range(size, len(items), size)):
                yield ((some << 32) + (others << 1) + is_more)[some != others]


def _positions(items: Iterable[int]) -> NDArray[np.int64]:
    return np.array(sorted(items), np.int64)


def _count(pairs: MapMutation[int, MetWith], keys: Sequence[Keys]) -> None:
    """Count pairs of items, each as often as it is there."""
    every = np.sort(np.concatenate([*keys, np.zeros(0, np.int64)]))
    if not len(every):
        return
    pair = every >> 1
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    people = np.add.reduceat(2 * (every & 1) - 1, starts)
    items, others = pair[starts] >> 31, pair[starts] & 0x7FFFFFFF
    begins = np.flatnonzero(np.diff(items, prepend=-1))
    for item, own, n in zip(
        items[begins].tolist(), np.split(others, begins[1:]), np.split(people, begins[1:]), strict=True
    ):
        left = _together(pairs.get(item), own.astype(np.intp), n)
        if len(left.items):
            pairs[item] = left
        elif item in pairs:
            del pairs[item]


def _together(before: MetWith | None, items: Positions, people: NDArray[np.int64]) -> MetWith:
    """With so many more, who may be fewer."""
    if before is not None:
        place = np.searchsorted(before.items, items)
        is_there = before.items[np.minimum(place, len(before.items) - 1)] == items
        total = before.people.copy()
        total[place[is_there]] += people[is_there]
        new, where = ~is_there, place[~is_there]
        items, people = np.insert(before.items, where, items[new]), np.insert(total, where, people[new])
    some = people != 0
    return MetWith(items, people) if some.all() else MetWith(items[some], people[some])


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
