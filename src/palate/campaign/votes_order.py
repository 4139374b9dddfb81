"""Which item to have an attribute of asked next: what this annotator's vote is expected to tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from palate.arrays import Array, Positions
from palate.campaign.campaign import Lease
from palate.campaign.ledger import Ledger, Pair
from palate.campaign.taste_order import Next
from palate.recommender import Recommender

if TYPE_CHECKING:
    from palate.oracles.crowd import Crowd

STRATEGY = "information"
FEW = 512  # items with votes, all of which are valued each time
SHORT = 256  # of more, those of most value for an annotator, which are valued each time
RENEWED = 64  # votes of an annotator after which all are valued again
NEAR = 0.9  # of the most value; of such items the first comes, or those of one answer would come together
MOVED = 1_024  # votes of anybody after which they are


@dataclass(frozen=True, slots=True)
class _Short:
    """The items of most value for an annotator.

    Attributes:
        rows: Of the order.
        votes: Of the annotator when they were valued.
        moved: Votes of all then.
    """

    rows: Positions
    votes: int
    moved: int


class VotesOrder:
    r"""The items of a campaign about an attribute, valued by what a vote tells (:mod:`palate.oracles.crowd`).

    That is the mutual information of the truth and this annotator's vote, in nats: much where the votes so far
    leave the truth open and this annotator is usually right, nothing where a vote of theirs, or of their family, is
    there. Where a vote is given and not cast yet, it is taken to tell as much as this annotator's would: of what is
    open, H, with information I, a share :math:`1 - I/H` is left for the next.

    Each vote is a step of incremental EM; one sweep over all comes when the order is made. An item whose answer is
    known (gold) is no part of the order; votes on it tell who is right.
    """

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        self._of: tuple[object, ...] = ()
        self.model = ""

    def refresh(self, ledger: Ledger) -> None:
        """With all that was told and given up to now."""
        model, campaign = self._recommender.fitted, ledger.campaign
        is_new = self._of != (id(model), campaign.items, campaign.gold)
        if is_new:
            self._of = id(model), campaign.items, campaign.gold
            self._begin(ledger)
        self.revalue(ledger)
        if is_new:
            self._crowd.sweep(most=20, tolerance=1e-3)

    def _begin(self, ledger: Ledger) -> None:
        from palate.oracles.crowd import Crowd

        model, campaign = self._recommender.fitted, ledger.campaign
        catalogue, out = model.catalogue, model.withdrawn  # what a filter leaves out is to be labelled
        ids = campaign.items or catalogue.ids
        self._ids = [one for one in ids if one in catalogue and one not in out and one not in campaign.gold]
        self._rows = {item: row for row, item in enumerate(self._ids)}
        self._crowd: Crowd = Crowd(len(campaign.options))
        self._cast: dict[str, dict[str, tuple[int, str]]] = {}  # by item and annotator: option and family
        self._family: dict[str, str] = {}  # of an annotator who has one
        self._votes = Counter[str]()  # of an annotator
        self._moved: list[int] = []  # rows whose votes have changed, in order
        self._short: dict[str, _Short] = {}
        n = len(self._ids)
        self._is_voted, self._is_free = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
        self._held = np.zeros(n, dtype=np.int64)
        ledger.touched.update(ledger.pairs, (("", item) for item in ledger.votes))

    def revalue(self, ledger: Ledger) -> None:
        """Once more was given."""
        touched = sorted({item for _, item in ledger.touched})  # in an order: so floats come out the same
        ledger.touched.clear()
        for item in touched:
            self._hear(item, ledger)
            row = self._rows.get(item)
            if row is not None:
                self._is_free[row] = ledger.is_free(("", item))
                self._held[row] = ledger.of(("", item)).held

    def _hear(self, item: str, ledger: Ledger) -> None:
        """The votes on an item as they stand; of several of one annotator the last."""
        leases = sorted(ledger.votes.get(item, {}).values(), key=lambda lease: (lease.answered_at or 0.0, lease.id))
        stand = {one.source: (int(one.value or 0), ledger.families.get(one.id, "")) for one in leases}
        before = self._cast.get(item, {})
        if stand == before:
            return
        for source in before.keys() - stand.keys():
            self._crowd.withdraw(item, source)
            self._votes[source] -= 1
        for source, (option, family) in sorted(stand.items()):
            if before.get(source) != (option, family):
                self._crowd.vote(item, source, option, family=family)
                self._votes[source] += source not in before
                self._family[source] = family
        self._cast[item] = stand
        if item in self._rows:
            self._moved.append(self._rows[item])
            self._is_voted[self._rows[item]] = bool(stand)

    def next(self, had: Collection[Pair], source: str = "") -> Next | None:
        """The item of most value for an annotator that is free, and not among these; the first of equal ones.

        Args:
            source: The annotator; empty: one of whom nothing is known.
        """
        voted = np.flatnonzero(self._is_voted & self._is_free)
        some = voted if len(voted) <= FEW else self._of_short(voted, source)
        found = self._best(some, had, source)
        return self._best(voted, had, source) if found is None and len(some) < len(voted) else found

    def _best(self, voted: Positions, had: Collection[Pair], source: str) -> Next | None:
        """Of these with votes, of those that are given, and of the first of the others: these are worth the same."""
        given = np.flatnonzero((self._held > 0) & self._is_free)
        rows = np.union1d(np.union1d(voted, given), self._first_fresh(had))
        values = self._values(rows, source)
        order = [at for at in np.argsort(-values, kind="stable") if values[at] > 0.0]
        best = next((at for at in order if ("", self._ids[rows[at]]) not in had), None)
        if best is None:
            return None
        near = np.flatnonzero(values >= NEAR * values[best])  # rows ascend
        first = next(at for at in near if ("", self._ids[rows[at]]) not in had)
        return Next(("", self._ids[rows[first]]), float(values[first]))

    def _first_fresh(self, had: Collection[Pair]) -> Positions:
        """The first item that has no vote, is given to nobody, and is not among these."""
        is_fresh = ~self._is_voted & self._is_free & (self._held == 0)
        while len(is_fresh) and is_fresh[row := int(is_fresh.argmax())]:
            if ("", self._ids[row]) not in had:
                return np.array([row], dtype=np.intp)
            is_fresh[row] = False
        return np.empty(0, dtype=np.intp)

    def _of_short(self, voted: Positions, source: str) -> Positions:
        """Of many with votes those of most value when they were valued last, and those that have changed since."""
        known, n = self._short.get(source), self._votes[source]
        if known is None or n - known.votes >= RENEWED or len(self._moved) - known.moved >= MOVED:
            values = self._values(voted, source)
            best = voted[np.argpartition(-values, SHORT)[:SHORT]]
            known = self._short[source] = _Short(best, n, len(self._moved))
        rows = np.union1d(known.rows, np.array(self._moved[known.moved :], dtype=np.intp))
        return rows[self._is_voted[rows] & self._is_free[rows]]

    def value_of(self, lease: Lease, ledger: Ledger) -> float:
        """What an item that is given would be worth now if it were not."""
        row = self._rows.get(lease.item_id)
        return 0.0 if row is None else float(self._values(np.array([row]), lease.source, without=1)[0])

    def why(self, _pair: Pair, _gain: float) -> str:
        """The reason in words; nothing that tells how others voted, or that the answer is known."""
        return "your vote is expected to tell most about the items that have fewest votes, or on which people differ"

    def _values(self, rows: Positions, source: str, *, without: int = 0) -> Array:
        """What a vote of an annotator tells, (n,)."""
        items = [self._ids[row] for row in rows]
        family = self._family.get(source, "")
        values = self._crowd.information(source or None, items, family=family)
        given = np.flatnonzero(self._held[rows] > without)
        if len(given):
            held = self._held[rows[given]] - without
            open_ = self._crowd.entropy([items[place] for place in given])
            values[given] *= (1.0 - values[given] / np.maximum(open_, values[given] + 1e-300)) ** held
        return values
