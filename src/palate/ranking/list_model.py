"""The one list: what somebody meets next, from everything that is known of what they met.

    M_i = Σ_k w_k(n) φ_k(i, h)        h what they met, oldest first, n how much

Each φ is an expert (:mod:`palate.ranking.experts`): the logarithm of how likely the item is met next, up to a constant.
With the chance that it is liked it makes the list (:mod:`palate.loop.lists`). Everything is chosen on people held back
inside the data: the half-life of popularity, which experts count, and how much, by how much is known
(:mod:`palate.ranking.weights`). A logarithmic pool of experts: Genest, Zidek, *Combining probability distributions*,
Statistical Science 1(1), 1986.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Positions
from palate.ranking.chances import Chances
from palate.ranking.experts.company import DECAY, Company, Pairs
from palate.ranking.experts.friends import Friends, met_by_friends
from palate.ranking.experts.levels import LEAST, Level
from palate.ranking.histories import ByItem, Expert, Histories
from palate.ranking.recent import Recent
from palate.ranking.repeats import Repeats
from palate.ranking.terms import NOTHING, Since, Term, Together, company_term, late_term, level_term, shares_of
from palate.ranking.weights import Weights

EVER, LATELY = "popular", "popular lately"
PLAIN, COMPANY, BROAD = "company, not shrunk", "company", "company, shrunk more"
LATE = "company of late"
SHRINKAGES: Mapping[str, float] = {PLAIN: 0.0, COMPANY: 10.0, BROAD: 100.0, LATE: 10.0}
LEVELS = (EVER, LATELY)
FRIENDS = "met by friends"


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What each expert adds to M for one person.

    Attributes:
        names: Of the experts that count.
        values: ``w_k(n) φ_k(i, h)``, (K, I).
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]

    @property
    def total(self) -> Array:
        """M, (I,)."""
        return np.asarray(self.values.sum(0, dtype=np.float64))

    @property
    def level(self) -> Array:
        """What of it is the same for everybody, (I,)."""
        rows = [row for row, name in enumerate(self.names) if name in LEVELS]
        return np.asarray(self.values[rows].sum(0, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class ListModel:
    """A fitted list.

    Attributes:
        levels: Logarithms of popularity by name, (I,) each.
        pairs: What is met together; None where no expert needs it.
        experts: The others that count, by name: a walk, EASE, factors, content.
        new, known: Weights for people who are not in the fit, and for those who are.
        half_life: Of :data:`LATELY`, in days; None without times.
        new_chances, known_chances: How likely what is shown comes next.
        met: What the people of the fit met, oldest first.
        last: When the last of it was met, seconds since the epoch; None without times.
        repeats: What people do again; None where that is too little to learn from.
        recent: How :data:`LATELY` goes on from there; None where it does not count, or no time is known.
    """

    levels: Mapping[str, Array]
    pairs: Pairs | None
    experts: Mapping[str, Expert]
    new: Weights
    known: Weights
    half_life: float | None
    new_chances: Chances
    known_chances: Chances
    met: Histories
    last: float | None = None
    repeats: Repeats | None = None
    recent: Recent | None = field(init=False, repr=False)
    _levels: Mapping[str, NDArray[np.float32]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_levels", {name: level.astype(np.float32) for name, level in self.levels.items()})
        recent = None
        if LATELY in self.levels and self.half_life is not None and self.last is not None:
            recent = Recent.of(self.levels[EVER], self.levels[LATELY], self.half_life, self.last)
        object.__setattr__(self, "recent", recent)

    @property
    def n_items(self) -> int:
        return len(self.levels[EVER])

    def expert(self, name: str) -> Expert:
        """By its name, if it counts."""
        if name in self.levels:
            return Level(self.levels[name].astype(np.float32))
        if name in self.experts:
            return self.experts[name]
        if name == FRIENDS:
            return Friends(self.met.matrix())
        assert self.pairs is not None
        return Company(self.pairs.cosine(SHRINKAGES[name]), DECAY if name == LATE else 1.0)

    def terms(
        self,
        items: NDArray[np.intp],
        *,
        known: bool = False,
        since: Since = NOTHING,
        n_items: int | None = None,
        friends: Sequence[Positions] = (),
    ) -> list[Term]:
        """What each expert that counts says to somebody who met these, oldest first, each once.

        Args:
            known: Whether they are in the fit, and so in its counts.
            since: What people came to meet since the fit.
            n_items: With the items that came after the fit; None: those of the fit.
            friends: What each of those whom they follow met.
        """
        n_items = self.n_items if n_items is None else n_items
        weights = self.known if known and len(items) else self.new
        counts = dict(zip(weights.names, weights.of(len(items)).tolist(), strict=True))
        together = None
        if self.pairs is not None and any(counts.get(name) for name in SHRINKAGES):
            together = Together.of(self.pairs, items, since, n_items)
        fitted = Histories.of([items[items < self.n_items]], self.n_items)
        found = []
        for name, weight in counts.items():
            if not weight:
                continue
            if name == FRIENDS:
                found += self.of_friends(friends, weight, n_items)
                continue
            if name == LATELY and self.recent is not None:
                found.append(late_term(name, weight, self._levels[name], self.recent, since, n_items))
            elif name in self.levels:
                unseen = 0.0 if name == EVER else float(np.log(LEAST))
                found.append(level_term(name, weight, self._levels[name], unseen, since, n_items))
            elif name in SHRINKAGES:
                assert together is not None
                found.append(together.term(name, weight, SHRINKAGES[name], DECAY if name == LATE else 1.0))
            elif isinstance(expert := self.experts[name], Company):
                found.append(company_term(name, weight, expert, fitted.items))
            else:
                found.append(Term(name, weight, expert.evidence(fitted)[0]))
        return found

    @property
    def weight_of_friends(self) -> float:
        """What it counts that friends met an item, of people who have met nothing; 0 where it never does."""
        return float(self.new.of(0)[self.new.names.index(FRIENDS)]) if FRIENDS in self.new.names else 0.0

    def of_friends(self, friends: Sequence[Positions], weight: float, n_items: int) -> list[Term]:
        """What it says that friends met these, with this weight: one term, or none where they met nothing together."""
        places, scores = met_by_friends(friends)
        return [Term.of_scores(FRIENDS, weight, scores, n_items, places)] if len(places) else []

    def shares(self, name: str, items: Positions, shown: Positions, since: Since = NOTHING) -> Array:
        """What each of the items met, oldest first, adds to the score s of each of some items, (n, k), by one expert.

        Args:
            since: As of :meth:`terms`.
        """
        if name in SHRINKAGES:
            assert self.pairs is not None
            return shares_of(self.pairs, items, shown, since, SHRINKAGES[name], DECAY if name == LATE else 1.0)
        found = np.zeros((len(items), len(shown)))
        fitted, expert = items < self.n_items, self.expert(name)
        places = np.flatnonzero(shown < self.n_items)
        if isinstance(expert, Company):
            found[np.ix_(fitted, places)] = expert.shares_of(items[fitted], shown[places])
            return found
        assert isinstance(expert, ByItem)
        for place in places.tolist():
            found[fitted, place] = expert.shares(items[fitted], int(shown[place]))
        return found

    def parts(
        self, items: NDArray[np.intp], *, known: bool = False, since: Since = NOTHING, n_items: int | None = None
    ) -> Parts:
        """The same for all items."""
        n_items = self.n_items if n_items is None else n_items
        terms = self.terms(items, known=known, since=since, n_items=n_items)
        values = np.array([term.dense(n_items) for term in terms], dtype=np.float32).reshape(len(terms), n_items)
        return Parts(tuple(term.name for term in terms), values)

    def chance(self, scores: Array, n: int, *, known: bool = False) -> Array:
        """How likely each item is what comes next and is liked, from the scores S of all that may be shown, (I,)."""
        shares = np.exp(scores - scores.max())
        return self.chance_of(shares / shares.sum(), n, known=known)

    def chance_of(self, shares: Array, n: int, *, known: bool = False) -> Array:
        """The same from shares of the softmax of all that may be shown."""
        return self.chances(n, known=known).of(shares, n)

    def chances(self, n: int, *, known: bool) -> Chances:
        """How shares become chances for somebody who met n items."""
        return self.known_chances if known and n else self.new_chances
