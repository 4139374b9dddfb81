"""How reliable those who label are: by questions whose answer is known, by questions asked again, by each other.

- Where a truth exists, it judges (gold questions). An attribute of an item has one; somebody's taste has none.
- A question that is asked again shows how alike one annotator answers it: of one user's taste, never of two users'.
- Others who voted on the same unit judge, too, one vote a family of sources whose errors are shared. Of taste the unit
  is one user and one item: what two annotators say in the place of one user.
- Answers that nobody can have read the question for, and two who deviate from all others in the same way.

What is usual is the median of the others. A source is flagged where it is significantly worse than seven tenths of
that, beyond chance: there the chance of ever being flagged is ``doubt``, however often one looks
(:mod:`palate.oracles.sequential`); for the usual ones it is far less. Nothing is deleted; what is judged is all that
stands now, so who labels well again is no longer flagged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from palate.arrays import Array
from palate.errors import DataError, OptionError
from palate.oracles.sequential import evidence, fell_at

Flag = Literal["gold", "agreement", "repeats", "speed", "collusion", "drift"]
DOUBT = 0.05  # chance that a source at the limit is ever flagged, all looks and all tests together
_TESTS = 4.0  # by the truth and the others, by repeats, of speed, of collusion
LEAST = 0.7  # of what is usual, beyond chance, that a source is to reach
USUAL = 0.8  # of the way from chance to always, where there are not three others to compare with
_FEWEST = 5  # observations of a source from which it counts among the usual ones
QUICK_SECONDS = 0.4  # to see a question, to choose and to press takes longer
QUICK_SHARE = 0.05  # of answers that may be quicker all the same: a key pressed twice
_SAMPLE = 1_000  # votes of which the likeness by chance is taken


class Vote(NamedTuple):
    """One label.

    Attributes:
        unit: What was labelled; of taste it names the user and the item.
        value: A number, or the place of an option.
        seconds: That it took; None where unknown.
        truth: Of a gold question.
        family: Of the source; empty: the source itself.
    """

    source: str
    unit: str
    value: float
    seconds: float | None = None
    truth: float | None = None
    family: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a source.

    Attributes:
        labels: How many it gave.
        gold: How many gold questions it answered rightly, and of how many.
        repeats: How many questions that were asked again it answered the same, and of how many.
        mean_difference: Of its two answers to them, absolute, in the unit of the answers; NaN without any.
        basis: What its reliability is read off: ``gold``, ``repeats``, ``agreement``, or empty where nothing tells.
        reliability: Posterior mean of how alike its answers are to what they are compared with, in [0, 1]; of options
            that is the share that is right. From where it fell, if it did.
        low, high: 95 % interval of it.
        weight: What its answers should count: 1 unless it is flagged.
        median_seconds: That an answer took; NaN where unknown.
        flags: What speaks against it.
    """

    source: str
    labels: int
    gold: tuple[int, int] = (0, 0)
    repeats: tuple[int, int] = (0, 0)
    mean_difference: float = float("nan")
    basis: str = ""
    reliability: float = 0.5
    low: float = 0.0
    high: float = 1.0
    weight: float = 1.0
    median_seconds: float = float("nan")
    flags: tuple[Flag, ...] = ()


class _Seen(NamedTuple):
    """Observations of one kind of one source, in order, in [0, 1].

    Attributes:
        chance, usual: What random answers and the usual ones reach.
        start: From which on it is worse, if it is.
    """

    values: Array
    chance: float
    usual: float
    start: int = 0

    @property
    def least(self) -> float:
        return self.chance + LEAST * max(self.usual - self.chance, 0.0)

    @property
    def since(self) -> Array:
        """Those from where it fell."""
        return self.values[self.start :]


Likeness = Callable[[float, float], float]


def judged(
    votes: Sequence[Vote], *, span: tuple[float, float] | None = None, doubt: float = DOUBT
) -> tuple[Judged, ...]:
    """What the labels of one campaign say of those who gave them, in the order of their first labels.

    Args:
        votes: In the order in which they were given, without those that were taken back. A second one of a source about
            one unit is a question that was asked again.
        span: Lowest and highest answer, where answers are numbers; None: they are options, alike or not.
        doubt: Chance that a source which is just good enough is ever flagged, in (0, 1).
    Raises:
        OptionError: If the span or the doubt is out of range.
        DataError: If a vote is not finite, or not within the span.
    """
    if not 0.0 < doubt < 1.0:
        raise OptionError(f"doubt is {doubt!r}. Give a share between 0 and 1.")
    if span is not None and not span[0] < span[1]:
        raise OptionError(f"the span {span!r} is empty. Give the lowest answer and a higher one.")
    for vote in votes:
        if not np.isfinite(vote.value) or (span is not None and not span[0] <= vote.value <= span[1]):
            raise DataError(f"a vote is {vote.value!r}, out of range. Leave it out.")
    alike = _likeness(span)
    by_source: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_source[vote.source].append(vote)
    asked = _compared(votes)
    kinds: tuple[Flag, ...] = ("gold", "agreement", "repeats")
    seen = {kind: _usual({source: own.get(kind, []) for source, own in asked.items()}, alike) for kind in kinds}
    colluding = _colluding(votes, span, doubt)
    most, found = _TESTS / doubt, list[Judged]()
    for source, own in by_source.items():
        known = {kind: seen[kind][source] for kind in kinds}
        worse = _worse(known, asked[source].order, most)
        flags: list[Flag] = [*worse, *_quick(own, most), *colluding.get(source, ())]
        found.append(_summed(source, own, asked[source], known | worse, flags))
    return tuple(found)


def with_flag(one: Judged, flag: Flag) -> Judged:
    """The same with one more flag, which changes no weight."""
    return one if flag in one.flags else replace(one, flags=(*one.flags, flag))


def _likeness(span: tuple[float, float] | None) -> Likeness:
    if span is None:
        return lambda one, two: float(one == two)
    width = span[1] - span[0]
    return lambda one, two: 1.0 - min(abs(one - two) / width, 1.0)


# ---- what answers are compared with ----

Said = dict[float, float]  # values, and the share of each
Pairs = list[tuple[float, Said]]  # an answer, and what it should be like


class _Compared(dict[Flag, Pairs]):
    """What the answers of a source are compared with, by kind; and the kinds in the order of the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[Flag] = []

    def add(self, kind: Flag, value: float, said: Said) -> None:
        self.setdefault(kind, []).append((value, said))
        self.order.append(kind)


def _compared(votes: Sequence[Vote]) -> dict[str, _Compared]:
    """Of each source: an answer whose truth is known with that, another with what the others say of its unit, and one
    that was given again with the one before.
    """
    units, found, last = _first(votes), defaultdict[str, _Compared](_Compared), dict[tuple[str, str], float]()
    for vote in votes:
        own, place = found[vote.source], (vote.source, vote.unit)
        if vote.truth is not None:
            own.add("gold", vote.value, {vote.truth: 1.0})
        elif place not in last and (said := shares(units[vote.unit].values(), without={_family(vote)})):
            own.add("agreement", vote.value, said)
        if place in last:
            own.add("repeats", vote.value, {last[place]: 1.0})
        last[place] = vote.value
    return found


def _first(votes: Sequence[Vote]) -> dict[str, dict[str, Vote]]:
    """By unit and source, the first vote."""
    units: dict[str, dict[str, Vote]] = defaultdict(dict)
    for vote in votes:
        units[vote.unit].setdefault(vote.source, vote)
    return units


def shares(votes: Iterable[Vote], *, without: Collection[str] = ()) -> Said:
    """What votes about one unit say together: each value and its share, one vote a family.

    Args:
        votes: About one unit: somebody else's taste is another one, and never comes in.
        without: Families that are left out.
    Returns:
        Nothing where nobody is left.
    """
    families: dict[str, list[float]] = defaultdict(list)
    for vote in votes:
        if _family(vote) not in without:
            families[_family(vote)].append(vote.value)
    said: Said = defaultdict(float)
    for values in families.values():
        for value in values:
            said[value] += 1.0 / (len(values) * len(families))
    return dict(said)


def _family(vote: Vote) -> str:
    return vote.family or vote.source


def _usual(pairs: Mapping[str, Pairs], alike: Likeness) -> dict[str, _Seen]:
    """The observations of each source, with what is usual among the others and by chance."""

    def like(value: float, said: Said) -> float:
        return sum(share * alike(value, other) for other, share in said.items())

    values = {source: np.array([like(*pair) for pair in own]) for source, own in pairs.items()}
    chance = _by_chance([pair for own in pairs.values() for pair in own], alike)
    means = {source: float(seen.mean()) for source, seen in values.items() if len(seen) >= _FEWEST}
    found = {}
    for source, seen in values.items():
        rest = [mean for other, mean in means.items() if other != source]
        usual = float(np.median(rest)) if len(rest) >= 3 else chance + USUAL * (1.0 - chance)
        found[source] = _Seen(seen, chance, usual)
    return found


def _by_chance(pairs: Pairs, alike: Likeness) -> float:
    """How alike any answer is to what any other should be like."""
    some = pairs[:: -(-len(pairs) // _SAMPLE)] if pairs else []
    given, said = Counter(value for value, _ in some), Counter[float]()
    for _, one in some:
        said.update(one)
    total = sum(n * share * alike(one, two) for one, n in given.items() for two, share in said.items())
    return total / len(some) ** 2 if some else 0.0


# ---- flags ----


def _worse(seen: Mapping[Flag, _Seen], order: Sequence[Flag], most: float) -> dict[Flag, _Seen]:
    """Which kinds of observation speak against a source, and from where on.

    What the truth and what the others say is one sequence, in the order of the answers: together they tell sooner.
    """
    found: dict[Flag, _Seen] = {}
    for together in (("gold", "agreement"), ("repeats",)):
        kinds, left = [kind for kind in order if kind in together], {kind: iter(seen[kind].values) for kind in seen}
        values, least = [next(left[kind]) for kind in kinds], [seen[kind].least for kind in kinds]
        if kinds and evidence(values, least)[-1] >= most:
            start = fell_at(values, least)
            for kind in dict.fromkeys(kinds[start:]):
                one = seen[kind]._replace(start=kinds[:start].count(kind))
                found |= {kind: one} if one.since.mean() < one.least else {}
    return {kind: found[kind] for kind in seen if kind in found}


def _quick(own: Iterable[Vote], most: float) -> tuple[Flag, ...]:
    slow = [float(vote.seconds >= QUICK_SECONDS) for vote in own if vote.seconds is not None]
    return ("speed",) if slow and evidence(slow, 1.0 - QUICK_SHARE)[-1] >= most else ()


def _colluding(votes: Sequence[Vote], span: tuple[float, float] | None, doubt: float) -> dict[str, tuple[Flag, ...]]:
    """Sources that deviate from all others together with one other source, and in the same way.

    Of each two: the units on which at least one of them deviates from what the rest say, and whether the other says
    the same there. Hard units make honest ones err alike, too; how often is read off all other pairs.
    """
    far, near = (0.5, 0.0) if span is None else ((span[1] - span[0]) / 4.0, (span[1] - span[0]) / 10.0)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for by_source in _first(votes).values():
        for one, two in combinations(sorted(by_source), 2):
            both = by_source[one], by_source[two]
            rest = _middle(shares(by_source.values(), without={*map(_family, both)}), is_number=span is not None)
            if rest is not None and max(abs(vote.value - rest) for vote in both) >= far:
                found[one, two].append(float(abs(both[0].value - both[1].value) <= near))
    total, n = sum(map(sum, found.values())), sum(map(len, found.values()))
    most = _TESTS / doubt * max(len({vote.source for vote in votes}) - 1, 1)
    flagged: dict[str, tuple[Flag, ...]] = {}
    for pair, same in found.items():
        usual = (total - sum(same)) / (n - len(same)) if n > len(same) else 0.0
        limit = usual + 0.25 * (1.0 - usual)
        if evidence(1.0 - np.array(same), 1.0 - limit)[-1] >= most:
            flagged |= dict.fromkeys(pair, ("collusion",))
    return flagged


def _middle(said: Said, *, is_number: bool) -> float | None:
    """The option that most say, None where two have as many; of numbers the mean."""
    if is_number or not said:
        return sum(value * share for value, share in said.items()) if said else None
    best, *rest = sorted(said.items(), key=lambda row: -row[1])
    return None if rest and rest[0][1] > best[1] - 1e-9 else best[0]


# ---- what is known of a source ----


def _summed(
    source: str, own: Sequence[Vote], pairs: _Compared, seen: Mapping[Flag, _Seen], flags: Sequence[Flag]
) -> Judged:
    against = [kind for kind in flags if kind in seen]
    basis = next((kind for kind in (*against, *seen) if len(seen[kind].values)), None)
    low, mean, high = (0.0, 0.5, 1.0) if basis is None else _posterior(seen[basis].since)
    gold, repeats = pairs.get("gold", []), pairs.get("repeats", [])
    seconds = [vote.seconds for vote in own if vote.seconds is not None]
    return Judged(
        source,
        len(own),
        (sum(value in said for value, said in gold), len(gold)),
        (sum(value in said for value, said in repeats), len(repeats)),
        float(np.mean([abs(value - last) for value, said in repeats for last in said])) if repeats else float("nan"),
        basis or "",
        mean,
        low,
        high,
        _weight(seen, flags),
        float(np.median(seconds)) if seconds else float("nan"),
        tuple(flags),
    )


def _posterior(values: Array) -> tuple[float, float, float]:
    """Low, mean and high of a mean in [0, 1], by a Beta from a uniform one; too wide where values are no 0 or 1."""
    from scipy.stats import beta

    right, wrong = 1.0 + float(values.sum()), 1.0 + float((1.0 - values).sum())
    low, high = beta.ppf([0.025, 0.975], right, wrong)
    return float(low), right / (right + wrong), float(high)


def _weight(seen: Mapping[Flag, _Seen], flags: Sequence[Flag]) -> float:
    """How far the answers since the fall are above chance, of the way to the usual; two who collude are one.

    Of one who is quick it is what the truth shows, or the others where there is none, at the lower end of the interval:
    a program may be quick and right, and whoever presses without looking is not.
    """
    weight = min([1.0, *(_above(seen[kind], _posterior(seen[kind].since)[1]) for kind in flags if kind in seen)])
    if "speed" in flags:
        of = seen["gold" if len(seen["gold"].values) else "agreement"]
        weight = min(weight, _above(of, _posterior(of.values)[0])) if len(of.values) else 0.0
    return round(weight * (0.5 if "collusion" in flags else 1.0), 2)


def _above(of: _Seen, mean: float) -> float:
    """Of the way from chance to the usual, in [0, 1]."""
    return float(np.clip((mean - of.chance) / max(of.usual - of.chance, 1e-9), 0.0, 1.0))
