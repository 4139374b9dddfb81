"""What one person's list is made of: a term an expert, in as few numbers as say all of it.

What people did since the fit is counted too. Those are whole numbers that add up, so the order they came in does not
matter, and what is taken back leaves no trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.ranking.experts.company import Company, Pairs
from palate.ranking.histories import EVEN
from palate.ranking.recent import START, Now, Recent

Single = NDArray[np.float32]
_SPARSE = 8  # entries times this are fewer than the items: they are kept by place
_NOBODY = np.zeros(0, np.intp)


class MetWith(NamedTuple):
    """How many met an item and others.

    Attributes:
        items: Positions of the others, ascending, (m,).
        people: Of each, never 0, (m,).
    """

    items: Positions
    people: NDArray[np.int64]

    def at(self, items: Positions) -> NDArray[np.int64]:
        """Of some items, (n,)."""
        place = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[place] == items, self.people[place], 0)


@dataclass(frozen=True, slots=True)
class Since:
    """What people came to meet since the fit.

    Attributes:
        items: Positions, ascending, (m,).
        people: How many more met each, (m,).
        pairs: By item, with which others people came to meet it, where there are any.
        late: How many met each, those before the last by age, (m,).
        now: As of when.
    """

    items: Positions = field(default_factory=lambda: _NOBODY)
    people: Array = field(default_factory=lambda: np.zeros(0))
    pairs: Mapping[int, MetWith] = field(default_factory=dict)
    late: Array = field(default_factory=lambda: np.zeros(0))
    now: Now = START

    def more(self, items: Positions) -> Array:
        """How many more met these, (n,)."""
        if not len(self.items):
            return np.zeros(len(items))
        place = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[place] == items, self.people[place], 0.0)


NOTHING = Since()


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """What an expert adds to M: ``weight · φ_i``, φ the values themselves or ``log(1 + s / (0.1 mean s))`` of them.

    Attributes:
        values: φ or s ≥ 0, (I,), or (m,) of some items where ``places`` says which; 0 of all others.
        over_mean: ``1 / (0.1 mean s)``, 0 where no item has any; None: the values are φ.
        places: Positions, ascending, (m,).
    """

    name: str
    weight: float
    values: Single
    over_mean: float | None = None
    places: Positions | None = None

    @classmethod
    def of_scores(cls, name: str, weight: float, scores: Single, n_items: int, places: Positions | None = None) -> Term:
        """Of s, (I,) or (m,); what is below 0 counts as 0."""
        scores = np.maximum(scores, np.float32(0.0))
        even = EVEN * float(scores.sum(dtype=np.float64)) / max(n_items, 1)
        return cls(name, weight, scores, 1.0 / even if even > 0.0 else 0.0, places)

    @property
    def said(self) -> Single:
        """``weight · φ`` of the items it has values of, (I,) or (m,)."""
        if self.over_mean is None:
            return np.asarray(np.float32(self.weight) * self.values)
        return np.asarray(np.float32(self.weight) * np.log1p(self.values * np.float32(self.over_mean)))

    def dense(self, n_items: int) -> Single:
        """``weight · φ``, (I,)."""
        found = np.zeros(n_items, np.float32)
        found[slice(len(self.values)) if self.places is None else self.places] = self.said
        return found

    def at(self, items: Positions) -> Single:
        """``weight · φ`` of some items, (n,)."""
        if not len(self.values):
            return np.zeros(len(items), np.float32)
        place = items if self.places is None else np.searchsorted(self.places, items)
        place = np.minimum(place, len(self.values) - 1)
        is_there = (items if self.places is None else self.places[place]) == (place if self.places is None else items)
        some = Term(self.name, self.weight, self.values[place], self.over_mean).said
        return np.where(is_there, some, np.float32(0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """What was met with each item of a history, N entries.

    Attributes:
        age: How many items of the history are newer, (N,).
        items: What was met with it, (N,).
        shared: How many people met both, (N,).
        norm: ``√(n_i n_j)``, (N,).
        n_items: I.
    """

    age: NDArray[np.intp]
    items: Positions
    shared: Single
    norm: Single
    n_items: int

    @classmethod
    def of(cls, pairs: Pairs, history: Positions, since: Since, n_items: int) -> Together:
        """Of items met, oldest first."""
        table, parts = pairs.together, list[tuple[Positions, Array]]()
        for item in history.tolist():
            entries = slice(*table.indptr[item : item + 2]) if item < len(pairs.count) else slice(0)
            own, shared = table.indices[entries].astype(np.intp), table.data[entries].astype(np.float64)
            more = since.pairs.get(item)
            parts.append((own, shared) if more is None else _added(own, shared, more))
        items = np.concatenate([own for own, _ in parts]) if parts else _NOBODY
        sizes = np.array([len(own) for own, _ in parts], np.intp)
        seen, age = np.repeat(history, sizes), np.repeat(np.arange(len(parts))[::-1], sizes)
        shared = np.concatenate([shared for _, shared in parts]) if parts else np.zeros(0)
        norm = _roots(pairs, since, seen, n_items) * _roots(pairs, since, items, n_items)
        return cls(age, items, shared.astype(np.float32), norm, n_items)

    def term(self, name: str, weight: float, shrinkage: float, decay: float) -> Term:
        """Of shrunk cosines; of decay below 1 what was met last counts most."""
        parts = self.shared / (self.norm + np.float32(shrinkage))
        if decay != 1.0:
            parts = parts * np.power(np.float32(decay), self.age.astype(np.float32))
        return _of_entries(name, weight, self.items, parts, self.n_items)


def company_term(name: str, weight: float, company: Company, history: Positions) -> Term:
    """Of a likeness that does not change as people come to meet items, for items of the fit met."""
    rows, n_items = company.likeness[history], company.likeness.shape[1]
    return _of_entries(name, weight, rows.indices.astype(np.intp), rows.data, n_items)


def _of_entries(name: str, weight: float, items: Positions, parts: Single, n_items: int) -> Term:
    """Of what adds up to s, an item and a part each, (N,)."""
    if _SPARSE * len(parts) > n_items:
        return Term.of_scores(name, weight, np.bincount(items, parts, n_items).astype(np.float32), n_items)
    places, at = np.unique(items, return_inverse=True)
    return Term.of_scores(name, weight, np.bincount(at, parts, len(places)).astype(np.float32), n_items, places)


def shares_of(
    pairs: Pairs, history: Positions, shown: Positions, since: Since, shrinkage: float, decay: float
) -> Array:
    """What each item met, oldest first, adds to the sum of shrunk cosines of each of some items, (n, k)."""
    shared = np.zeros((len(history), len(shown)))
    for row, one in enumerate(history.tolist()):
        if one in since.pairs:
            shared[row] = since.pairs[one].at(shown)
    met, scored = history < len(pairs.count), shown < len(pairs.count)
    shared[np.ix_(met, scored)] += pairs.together[history[met]][:, shown[scored]].toarray()
    norm = np.sqrt(_count(pairs, since, history)[:, None] * _count(pairs, since, shown))
    ages = np.arange(len(history), dtype=np.float64)[::-1]
    return np.asarray(decay ** ages[:, None] * np.where(history[:, None] == shown, 0.0, shared) / (norm + shrinkage))


def _added(items: Positions, shared: Array, more: MetWith) -> tuple[Positions, Array]:
    """What was met with one item, with what came since."""
    places, at = np.unique(np.concatenate([items, more.items]), return_inverse=True)
    total = np.bincount(at, np.concatenate([shared, more.people]), len(places))
    kept = total > 0.0
    return np.asarray(places[kept], np.intp), np.asarray(total[kept])


def _roots(pairs: Pairs, since: Since, items: Positions, n_items: int) -> Single:
    """Square roots of how many people met each of some items, (n,); where these are many, from those of all."""
    every = np.arange(n_items) if len(items) > n_items else None
    roots = np.sqrt(_count(pairs, since, items if every is None else every)).astype(np.float32)
    return roots if every is None else roots[items]


def _count(pairs: Pairs, since: Since, items: Positions) -> Array:
    """How many people met each of some items, 1 at least."""
    count = pairs.count
    known = count[np.minimum(items, len(count) - 1)] if len(count) else np.zeros(len(items))
    return np.maximum(np.where(items < len(count), known, 0.0) + since.more(items), 1.0)


def level_term(name: str, weight: float, fitted: Single, unseen: float, since: Since, n_items: int) -> Term:
    """A logarithm of popularity, with the people since.

    Args:
        fitted: Of the items of the fit.
        unseen: Of an item that nobody met.
    """
    if n_items == len(fitted) and not len(since.items):
        return Term(name, weight, fitted)
    values = np.full(n_items, unseen, np.float32)
    values[: len(fitted)] = fitted
    if len(since.items):
        before = np.full(len(since.items), unseen)
        known = since.items < len(fitted)
        before[known] = fitted[since.items[known]]
        values[since.items] = np.log(np.maximum(np.exp(before) + since.people, np.exp(unseen)))
    return Term(name, weight, values)


def late_term(name: str, weight: float, fitted: Single, recent: Recent, since: Since, n_items: int) -> Term:
    """The logarithm of popularity of late, as it is by now."""
    if n_items == len(fitted) and not len(since.items):
        return Term(name, weight, fitted)
    return Term(name, weight, recent.level(fitted, since.items, since.people, since.late, since.now, n_items))
