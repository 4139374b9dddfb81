"""Which pair of user and item to ask about next, as if everything that is given were answered already.

The covariance of a Gaussian belief shrinks by an answer whatever it says. So what is given and not answered yet is
counted as if it were, and many annotators get what one alone would get, in that order (Desautels, Krause, Burdick,
*Parallelizing exploration-exploitation tradeoffs in Gaussian process bandit optimization*, JMLR 15, 2014, do so with
what a batch has not observed yet).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.candidates import Candidates
from palate.arrays import Array, Mask
from palate.campaign.campaign import Campaign, Lease
from palate.campaign.ledger import Ledger, OfPair, Pair
from palate.loop.ask_user import among
from palate.loop.memory import Memory
from palate.loop.offered import candidates_of
from palate.loop.state import UserState
from palate.model.catalogue import Catalogue
from palate.posteriors.answerability import known_chance
from palate.posteriors.belief import Belief
from palate.recommender import Recommender
from palate.recommender.privacy import allows
from palate.records import Calibration

STRATEGY = "a-optimal"
FEW = 4_096  # items, all of which are valued each time
SHORT = 512  # of a larger catalogue, those of most value, which are valued each time
RENEWED = 32  # changes of a user after which all are valued again


class Next(NamedTuple):
    """What to ask next, and its expected gain."""

    pair: Pair
    gain: float


@dataclass(slots=True)
class _Valued:
    """A user's items.

    Attributes:
        offered: All of them, as they were on offer when all were valued last.
        at: Places of those that are valued each time, which ``some`` are.
        places, values: Of those that may be asked about, best first.
        share: By which an answer is divided in ``why``: the summed variance of what the user may be shown.
        changes: Since all were valued.
    """

    offered: Candidates
    at: NDArray[np.intp]
    some: Candidates
    places: NDArray[np.intp]
    values: Array
    share: float
    changes: int = 0


class TasteOrder:
    """The pairs of a campaign about taste, valued; a user's again only once their belief or their leases change.

    Gain is what an answer is expected to take off the summed variance of what the user may be shown, in squared units
    of the rating, times the chance that the user can answer. The items are as they had been learnt when the order was
    made, and it is made anew for another model.
    """

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        self._of: tuple[object, ...] = ()
        self._seq, self.model = 0, ""
        self._rng = np.random.default_rng(0)  # for a strategy that draws nothing

    def refresh(self, ledger: Ledger) -> None:
        """With all that was told and given up to now."""
        now, campaign = self._recommender.snapshot(), ledger.campaign
        memory = now.learner.memory
        if self._of != (id(memory.fitted), campaign.users, campaign.items):
            self._begin(memory, campaign)
            moved: set[str] = set(campaign.users)
        else:
            rows = list(self._recommender.log.records(self._seq)) if now.seq > self._seq else []
            moved = {row.user_id for row in rows}
            if any(
                isinstance(row.content, Calibration) for row in rows
            ):  # whoever answered about them counts otherwise
                moved.update(campaign.users)
        self._seq, self.model = now.seq, now.version
        self._memory = memory.with_items_of(self._learnt)
        self.revalue(ledger, moved)

    def revalue(self, ledger: Ledger, moved: Collection[str] = ()) -> None:
        """Once more was given, or these users' beliefs have moved."""
        touched = {user for user, _ in ledger.touched}.union(moved)
        ledger.touched.clear()
        for user in touched & self._rows.keys():
            self._value(user, ledger)

    def _begin(self, memory: Memory, campaign: Campaign) -> None:
        self._of = id(memory.fitted), campaign.users, campaign.items
        memory.hold(campaign.users)
        self._learnt, catalogue = memory.learnt, memory.fitted.catalogue
        self._users, self._ids, self._places = campaign.users, catalogue.ids, _Places(catalogue)
        self._rows = {user: row for row, user in enumerate(self._users)}
        self._valued: dict[str, _Valued] = {}
        self._best = np.full(len(self._users), -np.inf)
        held = [item for item in campaign.items if item in catalogue]
        self._chosen = among(memory.fitted, held if campaign.items else None)

    def next(self, had: Collection[Pair], _source: str = "") -> Next | None:
        """The pair of most gain that is free, and not among these; the first of equal ones, whoever asks."""
        best, left = None, self._best.copy()
        while len(left) and (row := int(left.argmax())) >= 0 and left[row] > (-np.inf if best is None else best.gain):
            found = self._of_user(self._users[row], had)
            if found is not None and (best is None or found.gain > best.gain):
                best = found
            left[row] = -np.inf
        return best

    def _of_user(self, user: str, had: Collection[Pair]) -> Next | None:
        valued = self._valued[user]
        for place, value in zip(valued.places, valued.values, strict=True):
            if (user, self._ids[place]) not in had:
                return Next((user, self._ids[place]), float(value))
        return None

    def value_of(self, lease: Lease, ledger: Ledger) -> float:
        """What a pair that is given would be worth now if it were not; 0 where it need not be asked any more."""
        user, item = lease.pair
        place = self._places[item]
        if user not in self._rows or place is None:
            return 0.0
        state, pairs = self._memory.state(user), ledger.pairs_of(user)
        if place in state.closed and not _is_asked_again(pairs.get(item), ledger.campaign.overlap + 1):
            return 0.0
        offered = self._valued[user].offered
        belief, _ = self._pending(state, pairs, offered, without=place)
        one = offered.take(np.array([place]))
        return float((a_optimal(belief, one, rng=self._rng) * one.known)[0])

    def why(self, pair: Pair, gain: float) -> str:
        """The reason in words."""
        share = gain / max(self._valued[pair[0]].share, np.finfo(np.float64).tiny)
        return f"an answer is expected to lower the uncertainty about what this user may be shown by {share:.1%}"

    def _value(self, user: str, ledger: Ledger) -> None:
        """Value a user's items anew, with what is given as if it were answered."""
        memory, pairs, row = self._memory, ledger.pairs_of(user), self._rows[user]
        if not allows(memory.consent(user), "ask"):
            self._best[row] = -np.inf
            return
        state, before = memory.state(user), self._valued.get(user)
        allowed = self._allowed(state, pairs, ledger.campaign.overlap)
        if before is None or len(allowed) <= FEW or before.changes >= RENEWED:
            valued = self._all(memory, state, pairs, allowed)
        else:
            belief, _ = self._pending(state, pairs, before.offered)
            known = known_chance(memory.model.answerability, self._exposure(memory, state, pairs), before.at)
            values = a_optimal(belief, before.some, rng=self._rng) * known
            valued = _sorted(before, values, allowed)
        self._valued[user] = valued
        self._best[row] = valued.values[0] if len(valued.values) else -np.inf

    def _all(self, memory: Memory, state: UserState, pairs: Mapping[str, OfPair], allowed: Mask) -> _Valued:
        offered = candidates_of(memory.model, self._exposure(memory, state, pairs))
        belief, moment = self._pending(state, pairs, offered)
        values = a_optimal(belief, offered, rng=self._rng) * offered.known
        share = float(np.einsum("de,de->", moment, belief.covariance))
        at = np.arange(len(values))
        if len(values) > FEW:
            at = np.argpartition(np.where(allowed, -values, np.inf), SHORT)[:SHORT]
        some = offered if len(at) == len(values) else offered.take(at)
        none = np.empty(0)
        return _sorted(_Valued(offered, at, some, at, none, share), values[at], allowed, changes=0)

    def _exposure(self, memory: Memory, state: UserState, pairs: Mapping[str, OfPair]) -> Belief:
        """What is believed that the user can answer, once what is given is answered."""
        exposure = state.exposure
        for place in self._held(pairs):
            exposure = memory.model.answerability.observe(exposure, place, True)
        return exposure

    def _pending(
        self, state: UserState, pairs: Mapping[str, OfPair], offered: Candidates, without: int | None = None
    ) -> tuple[Belief, Array]:
        belief = state.belief
        for place in self._held(pairs):
            if place != without:
                belief = offered.condition(belief, place)
        return belief, offered.target_moment()

    def _held(self, pairs: Mapping[str, OfPair]) -> list[int]:
        """Places of the items that are given."""
        places = [self._places[item] for item, pair in pairs.items() if pair.held for _ in range(pair.held)]
        return [place for place in places if place is not None]

    def _allowed(self, state: UserState, pairs: Mapping[str, OfPair], overlap: int) -> Mask:
        """Items that a further annotator may be asked about."""
        allowed = self._chosen.copy()
        allowed[list(state.closed)] = False
        shut = [item for item, pair in pairs.items() if pair.answers + pair.held >= overlap]
        again = [item for item, pair in pairs.items() if _is_asked_again(pair, overlap)]
        for items, is_open in ((again, True), (shut, False)):
            places = [place for place in map(self._places.__getitem__, items) if place is not None]
            allowed[places] = self._chosen[places] & is_open
        return allowed


class _Places(dict[str, int | None]):
    """Positions of items; None of one that has left the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._catalogue = catalogue

    def __missing__(self, item: str) -> int | None:
        self[item] = found = self._catalogue.position(item) if item in self._catalogue else None
        return found


def _is_asked_again(pair: OfPair | None, overlap: int) -> bool:
    """Whether what closed a pair is the campaign's own, and others are to answer it too."""
    return pair is not None and bool(pair.answers or pair.skips) and pair.answers < overlap


def _sorted(of: _Valued, values: Array, allowed: Mask, *, changes: int | None = None) -> _Valued:
    """With these values, best first, of equal ones the first in the catalogue."""
    free = np.flatnonzero(allowed[of.at] & np.isfinite(values))
    order = free[np.lexsort((of.at[free], -values[free]))]
    n = of.changes + 1 if changes is None else changes
    return _Valued(of.offered, of.at, of.some, of.at[order], values[order], of.share, n)
