"""Who liked what together since the fit: what ``companions`` counts on top of the counts of the fit."""

from __future__ import annotations

from dataclasses import dataclass, field

from immutables import Map, MapMutation

from palate.entities import Form
from palate.loop.replay import what_counts
from palate.loop.source import Source
from palate.model.model import Model

Pairs = Map[int, Map[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """Counts since the fit.

    Attributes:
        people: By item, how many have come to like it.
        pairs: By item and other item, how many have come to like both.
    """

    people: Map[int, int] = field(default_factory=Map)
    pairs: Pairs = field(default_factory=Map)

    def moved(self, base: frozenset[int], before: frozenset[int], after: frozenset[int]) -> Company:
        """With a user who liked these items, and ``before`` since the fit, now ``after``."""
        if before == after:
            return self
        people, pairs, liked = self.people.mutate(), self.pairs.mutate(), set(base | before)
        for item in sorted(before - after):
            liked.remove(item)
            _count(people, pairs, item, liked, -1)
        for item in sorted(after - before):
            _count(people, pairs, item, liked, 1)
            liked.add(item)
        return Company(people.finish(), pairs.finish())


def _count(
    people: MapMutation[int, int], pairs: MapMutation[int, Map[int, int]], item: int, liked: set[int], n: int
) -> None:
    _add(people, item, n)
    of_item = pairs.get(item, Map[int, int]()).mutate()
    for other in liked:
        _add(of_item, other, n)
        of_other = pairs.get(other, Map[int, int]()).mutate()
        _add(of_other, item, n)
        pairs[other] = of_other.finish()
    pairs[item] = of_item.finish()


def _add(counts: MapMutation[int, int], key: int, n: int) -> None:
    counts[key] = counts.get(key, 0) + n


def liked(model: Model, of: Source) -> tuple[frozenset[int], frozenset[int]]:
    """Positions of what a user liked in the data, as the fit counted it, and of what else they have come to like."""
    base = _in_data(model, of.row)
    rated = (one for one in what_counts(model, of.row, of.answers) if one.is_real and one.answer.form is Form.RATE)
    more = {
        model.catalogue.position(one.answer.item_id)
        for one in rated
        if one.values and one.values[-1] >= model.scale.like
    }
    seen = () if of.history is None else of.history.items[of.history.liking > 0].tolist()
    return base, frozenset(more.union(seen) - base)


def _in_data(model: Model, row: int | None) -> frozenset[int]:
    if row is None:
        return frozenset()
    if model.events is not None:
        did = model.events.of(row)
        return frozenset(() if did is None else did.items[did.liking > 0].tolist())
    answers = model.answers[row]
    return frozenset(answers.indices[answers.data >= model.scale.like].tolist())
