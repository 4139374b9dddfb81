"""All reasons that are true of an item shown.

A part of the score that is the user's own is spoken of if it lifts the item by at least :data:`LEAST_OF_OWN` of what
the strongest of them does; of a part, what the user did is named that adds at least :data:`LEAST_OF_EVIDENCE` of what
adds most. What holds for everybody, such as popularity, is the weaker reason: it is said where nothing of the user's
own lifts the item, or where that has been told of another. Nothing is said of fewer than :data:`LEAST_PEOPLE` people,
or of fewer than :data:`LEAST_FRIENDS` friends.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.loop.reasons.assign import Candidate
from palate.loop.reasons.english import say
from palate.loop.reasons.part import Evidence, Part
from palate.loop.reasons.phrases import ACTS, ONE_OF, Facts
from palate.loop.reasons.reason import Kind, Reason
from palate.loop.reasons.words import shared_words
from palate.model.model import Model

LEAST_OF_OWN = 0.25
LEAST_LIFT = 0.01  # nats: an item that is not a hundredth likelier than the mean item is not lifted
LEAST_OF_EVIDENCE = 0.3
LEAST_PEOPLE = 5
LEAST_FRIENDS = 3  # of whom a number is said
RANKED = 50_000  # items at most, of whose ranks anything is said
_MOST_NAMED = 12  # things that may be named of a part of an item
_LEAST_GROUP = 3  # items of a category that are spoken of together
_LITTLE = 2  # things that a user did for each item shown, of which fewer are little
_MOST_TWO = 4  # things at most that are told two in one
_UNLIKED = 0.2  # of the strength of a reason: of one that speaks of what was disliked,
_TWO_IN_ONE = 0.5  # of two things together
_BROAD = 0.8  # of a category
_VAGUE = 0.5  # of what says nothing in particular
_OF_ALL = 0.25  # of what holds for everybody
_PLAIN = 0.9  # of a number of people, against a rank
_OWN = (Kind.ABOUT_YOU, Kind.FRIENDS)  # of the user, without a thing that they did
_RANKS = (1, 10, ONE_OF)
_RANKED_OF = 4  # times as many items as a rank goes down to, from which it says something


@dataclass(frozen=True, eq=False)
class Shown:
    """A list and what is known of whom it is for.

    Attributes:
        model: With what its items have learnt.
        items: Positions of those shown, (k,).
        evidence: What the user did and answered, n things.
        titles: What to call items in a sentence, by position.
        act: What people do with items.
        people: How many liked both what each thing is about and each item shown, (n, k), where that may be told.
    """

    model: Model
    items: Positions
    evidence: Sequence[Evidence]
    titles: Mapping[int, str]
    act: str
    people: Array | None = None

    @cached_property
    def groups(self) -> dict[Kind, tuple[list[list[str]], dict[str, NDArray[np.intp]]]]:
        """By maker and by category: the names of each item shown, and the rows of what the user did with such."""
        catalogue = self.model.catalogue
        single = [row for row, one in enumerate(self.evidence) if len(one.items) == 1 and one.speaks_for]
        items = np.array([self.evidence[row].items[0] for row in single], dtype=np.intp)
        names = {Kind.SAME_MAKER: catalogue.makers_of, Kind.SAME_CATEGORY: catalogue.categories_of}
        return {kind: (of(self.items), _rows(single, of(items))) for kind, of in names.items()}


def _counted(shown: Shown, parts: Sequence[Part]) -> Array:
    """How many liked both what a thing is about and each item shown, (n, k), as far as a reason may tell it."""
    people = np.zeros((len(shown.evidence), len(shown.items)))
    told = {
        row
        for part in parts
        if part.shares is not None and part.kind is Kind.TOGETHER
        for place in range(len(shown.items))
        for row in _strongest(part.shares[:, place])[0].tolist()
        if len(shown.evidence[row].items) == 1
    }
    rows = np.array(sorted(told), dtype=np.intp)
    items = np.array([shown.evidence[row].items[0] for row in rows], dtype=np.intp)
    people[rows] = shown.model.liked.both(items, shown.items)
    return people


def _rows(rows: Sequence[int], names: Sequence[Sequence[str]]) -> dict[str, NDArray[np.intp]]:
    found: dict[str, list[int]] = {}
    for row, some in zip(rows, names, strict=True):
        for name in some:
            found.setdefault(name, []).append(row)
    return {name: np.array(some, dtype=np.intp) for name, some in found.items()}


def candidates(shown: Shown, parts: Sequence[Part]) -> list[list[Candidate]]:
    """Of each item shown, at least one."""
    shown = replace(shown, people=_counted(shown, parts))
    return [_of_item(shown, parts, place) or [_at_least(shown, place)] for place in range(len(shown.items))]


def _of_item(shown: Shown, parts: Sequence[Part], place: int) -> list[Candidate]:
    again = next((part for part in parts if part.kind is Kind.AGAIN and part.lifts[place]), None)
    if again is not None:  # whoever did it knows why
        return [_again(shown, again, place)]
    found = []
    for own in (True, False):
        some = [part for part in parts if (part.shares is not None or part.kind in _OWN) is own]
        told = [
            (float(part.lifts[place]), list(_FROM[part.kind](shown, part, place)))
            for part in some
            if _lifts(part, place)
        ]
        most = max((lift for lift, ones in told if ones), default=0.0)
        for lift, ones in told:
            if lift >= LEAST_OF_OWN * most:
                weight = lift / most * (1.0 if own else _OF_ALL) if ones else 0.0
                found += [replace(one, strength=weight * one.strength) for one in ones]
    return found


def _lifts(part: Part, place: int) -> bool:
    return bool(part.lifts[place] >= LEAST_LIFT)


def _own(shown: Shown, part: Part, place: int) -> Iterator[Candidate]:
    """What the user did and answered: single things and, of little, two in one; of items also those of one maker."""
    assert part.shares is not None
    named = _named(shown, part, place)
    if len(shown.evidence) >= _LITTLE * len(shown.items):
        yield from named
    else:  # the same may be told again, of another number of people, and two things in one
        for one in (*named, *_pairs(named)):
            yield replace(one, evidence=one.reason.text())
    if part.kind is not Kind.ANSWERS:
        yield from _groups(shown, part, place, Kind.SAME_MAKER, least=1, weight=1.0)
        yield from _groups(shown, part, place, Kind.SAME_CATEGORY, least=_LEAST_GROUP, weight=_BROAD)


def _named(shown: Shown, part: Part, place: int) -> list[Candidate]:
    """The things that add most, those that say that something is liked if there are any."""
    assert part.shares is not None
    found: dict[bool, list[Candidate]] = {True: [], False: []}
    for row, strength in zip(*(some.tolist() for some in _strongest(part.shares[:, place])), strict=True):
        one = shown.evidence[row]
        # "liked by people who liked" what the user did not like persuades nobody
        kind = Kind.KNOWN if part.kind is Kind.TOGETHER and not one.speaks_for else part.kind
        facts = Facts((one.deed(shown.titles),), shown.act)
        if kind is Kind.TOGETHER and shown.people is not None:
            facts = replace(facts, people=int(shown.people[row, place]))
        elif kind is Kind.SAME_WORDS:
            words = shared_words(shown.model.catalogue, one.items[0], int(shown.items[place]))
            facts = replace(facts, words=words)
        told: Hashable = ("item", one.items[0]) if len(one.items) == 1 else ("answer", row)
        if _fits(shown, one, place) if kind is Kind.ANSWERS else _people_behind(shown, kind, facts, one, place):
            found[one.speaks_for].append(_candidate(shown, kind, facts, [one], part, strength, told))
    return found[True] or [replace(one, strength=_UNLIKED * one.strength) for one in found[False]]


def _pairs(named: Sequence[Candidate]) -> Iterator[Candidate]:
    """Two things in one."""
    for one, other in combinations(named[:_MOST_TWO], 2):
        facts, more = one.reason.facts, other.reason.facts
        if one.reason.kind is other.reason.kind:
            people = max(facts.people, more.people)  # at least so many with either
            reason = replace(one.reason, facts=replace(facts, deeds=facts.deeds + more.deeds, people=people))
            both = replace(reason, items=one.reason.items + other.reason.items)
            yield Candidate(both, _TWO_IN_ONE * min(one.strength, other.strength), (one.evidence, other.evidence))


def _groups(shown: Shown, part: Part, place: int, kind: Kind, *, least: int, weight: float) -> Iterator[Candidate]:
    """Several items that the user met, as one, where they add as much as the strongest single one, and as all do."""
    assert part.shares is not None
    shares, (names, rows_of) = part.shares[:, place], shown.groups[kind]
    most, mean = _most(shares), float(shares[shares > 0.0].mean()) if _most(shares) else 0.0
    for name in names[place]:
        rows = rows_of.get(name, np.zeros(0, dtype=np.intp))
        rows = rows[shares[rows] > 0.0]
        added = float(shares[rows].sum())
        if (
            len(rows) < least
            or added < most * (1.0 if len(rows) > 1 else LEAST_OF_EVIDENCE)
            or added < mean * len(rows)
        ):
            continue
        first = shown.evidence[int(rows[shares[rows].argmax()])]
        facts = Facts((first.deed(shown.titles),), shown.act, name=name, own=len(rows))
        told = ("item", first.items[0]) if len(rows) == 1 else (kind, name)
        named = [shown.evidence[row] for row in rows]
        yield _candidate(shown, kind, facts, named, part, weight * min(1.0, added / most), told)


def _fits(shown: Shown, one: Evidence, place: int) -> bool:
    """Whether an item is of the category that somebody said they like, or not of the one they do not."""
    if not one.name or one.name not in shown.model.concepts.names:
        return True
    of_item = {name.casefold() for name in shown.groups[Kind.SAME_CATEGORY][0][place]}
    return (one.name.casefold() in of_item) == one.speaks_for


def _people_behind(shown: Shown, kind: Kind, facts: Facts, one: Evidence, place: int) -> bool:
    """Whether enough people stand behind it that what a user did speaks for an item; words need nobody."""
    if kind is Kind.KNOWN:
        counts = shown.model.catalogue.counts[[*one.items, shown.items[place]]]
        return bool(one.items) and bool(counts.min() >= LEAST_PEOPLE)
    return len(one.items) == 1 and (kind is Kind.SAME_WORDS or facts.people >= LEAST_PEOPLE)


def _about_you(shown: Shown, part: Part, place: int) -> Iterator[Candidate]:
    yield _candidate(shown, Kind.ABOUT_YOU, Facts(), [], part, _VAGUE, Kind.ABOUT_YOU)


def _friends(shown: Shown, part: Part, place: int) -> Iterator[Candidate]:
    """How many friends met an item; none of them is named."""
    people = 0 if part.people is None else int(part.people[place])
    if people >= LEAST_FRIENDS:
        facts = Facts(act=shown.act, people=people)
        yield _candidate(shown, Kind.FRIENDS, facts, [], part, 1.0, (Kind.FRIENDS, people))


def _again(shown: Shown, part: Part, place: int) -> Candidate:
    """On how many days the user did an item before."""
    found = shown.model.list_model
    assert part.people is not None and found is not None and found.repeats is not None
    act = found.repeats.act if found.repeats.act in ACTS else "choose"
    facts = Facts(act=act, own=int(part.people[place]))
    return _candidate(shown, Kind.AGAIN, facts, [], part, 1.0, (Kind.AGAIN, int(shown.items[place])))


def _well_liked(shown: Shown, part: Part, place: int) -> Iterator[Candidate]:
    item = int(shown.items[place])
    count = int(shown.model.catalogue.counts[item])
    if count >= LEAST_PEOPLE:
        facts = Facts(people=count, share=float(_liked_share(shown.model, item)))
        yield _candidate(
            shown, Kind.WELL_LIKED, facts, [], part, 1.0, (Kind.WELL_LIKED, say(Kind.WELL_LIKED.value, facts))
        )


def _popular(shown: Shown, part: Part, place: int) -> Iterator[Candidate]:
    """How many met an item; its place among all and in its categories."""
    item, catalogue = int(shown.items[place]), shown.model.catalogue
    people = int(liked_people(shown.model, item))
    if people < LEAST_PEOPLE:
        return
    facts = Facts(act=shown.act, people=people)
    if part.kind is Kind.LATELY and not shown.model.taste.likelihood.events_only:
        facts = replace(facts, act="rate")  # popularity of late counts who met it, not who liked it
    yield _candidate(shown, part.kind, facts, [], part, _PLAIN, (part.kind, "people"))
    for name in ("", *shown.groups[Kind.SAME_CATEGORY][0][place]):
        members = catalogue.members(name) if name else np.arange(len(catalogue))
        rank = _rank(shown, part, members, item)
        if rank:
            ranked = replace(facts, name=name, rank=rank)
            yield _candidate(shown, part.kind, ranked, [], part, 1.0, (part.kind, name, rank))


def _rank(shown: Shown, part: Part, members: Positions, item: int) -> int:
    """Place of an item among these by its level, if it is one of the first ten; 100 of the first hundred; 0 otherwise.

    A place among not many more than so many says nothing.
    """
    if len(members) > RANKED:
        return 0
    level = part.level or (lambda items: liked_people(shown.model, items))
    rank = 1 + int((level(members) > level(np.array([item]))).sum())
    few = next((few for few in _RANKS if rank <= few), 0)
    return 0 if not few or _RANKED_OF * few > len(members) else rank if few < _RANKS[-1] else few


def _at_least(shown: Shown, place: int) -> Candidate:
    """What can be said of an item that no part lifts, or of which too few have said anything."""
    item, model = int(shown.items[place]), shown.model
    count = int(model.catalogue.counts[item])
    if count < LEAST_PEOPLE:
        promises = float(count == 0 and model.catalogue.content is not None)
        kind, facts = Kind.NEW, Facts(people=count, share=promises)
    elif model.taste.likelihood.events_only:
        kind, facts = Kind.POPULAR, Facts(act=shown.act, people=int(liked_people(model, item)))
    else:
        kind, facts = Kind.WELL_LIKED, Facts(people=count, share=float(_liked_share(model, item)))
    return Candidate(Reason(kind, facts), 1e-3, (kind, facts))


def _candidate(
    shown: Shown, kind: Kind, facts: Facts, named: Sequence[Evidence], part: Part, strength: float, told: Hashable
) -> Candidate:
    ids = shown.model.catalogue.ids
    items = tuple(ids[item] for one in named for item in one.items)
    return Candidate(Reason(kind, facts, items, part.name), strength, told)


def _strongest(shares: Array) -> tuple[NDArray[np.intp], Array]:
    """Rows of what adds much, most first, with their shares of the most, in (0, 1]."""
    most = _most(shares)
    if not most:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    rows = np.argsort(-shares, kind="stable")[:_MOST_NAMED]
    rows = rows[shares[rows] >= LEAST_OF_EVIDENCE * most]
    return rows, shares[rows] / most


def _most(shares: Array) -> float:
    return float(shares.max(initial=0.0))


def liked_people(model: Model, items: Positions | int) -> Array:
    """How many liked each of some items, or did with it what counts as that."""
    return np.asarray(np.rint(model.catalogue.counts[items] * _liked_share(model, items)))


def _liked_share(model: Model, items: Positions | int) -> Array:
    """Of those who rated an item, who liked it."""
    levels = model.catalogue.levels[items]
    return np.asarray(levels[..., model.level_values >= model.scale.like].sum(-1))


_FROM: Mapping[Kind, Callable[[Shown, Part, int], Iterator[Candidate]]] = {
    Kind.TOGETHER: _own,
    Kind.SAME_WORDS: _own,
    Kind.KNOWN: _own,
    Kind.ANSWERS: _own,
    Kind.ABOUT_YOU: _about_you,
    Kind.FRIENDS: _friends,
    Kind.WELL_LIKED: _well_liked,
    Kind.POPULAR: _popular,
    Kind.LATELY: _popular,
}
