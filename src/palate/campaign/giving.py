"""Who is given which pair: chosen from what is known, and given only if nobody else was faster."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import RLock
from typing import NamedTuple

import numpy as np

from palate.campaign.campaign import ASK, GIVEN_ON, GOLD, LEASED, OPEN, RELEASED, REPEAT, Campaign, Lease
from palate.campaign.ledger import Ledger
from palate.campaign.taste_order import Next, TasteOrder
from palate.campaign.votes_order import VotesOrder
from palate.errors import StoreBusy
from palate.recommender import Recommender
from palate.store.side_tables import LEASE
from palate.store.sql_log import SqlLog
from palate.store.transaction import Transaction

STALE = 0.8  # of the gain of the best free pair, below which one that nobody has seen yet is replaced
APART = 5  # answers at least between a question and its repeat
WAIT_SECONDS = 20.0  # that a pair is looked for while others are faster


class Want(NamedTuple):
    """What an annotator asks for.

    Attributes:
        k: Pairs that they want to hold.
        held: Ids of leases that they hold and have not looked at.
    """

    source: str
    k: int = 1
    held: tuple[str, ...] = ()


@dataclass(slots=True)
class Given:
    """What an annotator holds now.

    Attributes:
        leases: First those that they held before.
        whys: Why each is asked.
        stale: Ids of those that were taken back, since there is better to ask.
        done: Why there is none; empty otherwise: ``paused``, ``closed``, ``budget``, ``gain`` or ``asked``.
        mine, team: Labels of the annotator, and of all.
        budget_left: That may still be given out; None without a limit.
        gain_left: Of the best pair that is free; 0 without one.
    """

    campaign: Campaign
    leases: list[Lease] = field(default_factory=list)
    whys: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    done: str = ""
    mine: int = 0
    team: int = 0
    budget_left: int | None = None
    gain_left: float = 0.0


@dataclass(slots=True)
class _Writes:
    new: list[Lease] = field(default_factory=list)
    released: list[Lease] = field(default_factory=list)
    given_on: list[Lease] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.new or self.released)


class Giving:
    """The pairs of one campaign. Safe to share between threads, and between processes, which agree by the database.

    A process chooses from what it has read. The commit that gives checks that nothing was given since by anybody else;
    otherwise it is read and chosen again.
    """

    def __init__(self, recommender: Recommender, log: SqlLog, id: str) -> None:
        self._recommender, self._log = recommender, log
        self.ledger = Ledger(id)
        self._order: TasteOrder | VotesOrder | None = None
        self.lock = RLock()

    def read(self) -> float:
        """What is new; when that was."""
        now = self._log.now()
        self.ledger.read(self._log.select, now)
        return now

    def order(self) -> TasteOrder | VotesOrder:
        """The pairs, valued as they are now, once the ledger was read."""
        if self._order is None:
            order = TasteOrder if self.ledger.campaign.is_taste else VotesOrder
            self._order = order(self._recommender)
        self._order.refresh(self.ledger)
        return self._order

    def give(self, wants: Sequence[Want], rng: np.random.Generator) -> list[Given]:
        """To each what they ask for, the first first; one commit for all.

        Raises:
            UnknownCampaign: If there is no such campaign.
            StoreBusy: If others were faster all the time.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        with self.lock:
            while True:
                now, writes = self.read(), _Writes()
                try:
                    order = self.order()
                    given = [self._choose(want, order, now, writes, rng) for want in wants]
                    if not writes or self._log.together(partial(self._commit, writes=writes)):
                        return given
                except BaseException:
                    self._forget(writes, now)
                    raise
                self._forget(writes, now)
                if time.monotonic() > deadline:
                    raise StoreBusy("others were given pairs of this campaign all the time. Ask again.")
                time.sleep(rng.uniform(0.0, 0.01))

    def _forget(self, writes: _Writes, now: float) -> None:
        """What was chosen and not given."""
        for lease in writes.new:
            self.ledger.drop(lease.id)
        for lease in (*writes.released, *writes.given_on):
            self.ledger.put(lease, now)

    def _choose(
        self, want: Want, order: TasteOrder | VotesOrder, now: float, writes: _Writes, rng: np.random.Generator
    ) -> Given:
        ledger, campaign = self.ledger, self.ledger.campaign
        found, source = Given(campaign), ledger.sources[want.source]
        best = None
        if campaign.state != "closed":
            for lease in list(source.held.values()):
                if lease.id in want.held and self._is_stale(lease, order, source.had):
                    found.stale.append(lease.id)
                    writes.released.append(lease)
                    ledger.put(lease._replace(state=RELEASED), now)
            order.revalue(ledger)
            found.leases = sorted(source.held.values(), key=lambda lease: lease.leased_at)[: want.k]
        found.done = campaign.state if campaign.state != OPEN else ""
        while len(found.leases) < want.k and not found.done:
            best = order.next(source.had, want.source)
            if ledger.budget_left == 0:
                found.done = "budget"
            elif best is None:
                found.done = "asked"
            elif campaign.stop is not None and best.gain < campaign.stop:
                found.done = "gain"
            else:
                self._take(want.source, best, now, found, writes, rng)
                order.revalue(ledger)
                best = None
        best = best or order.next(source.had, want.source)
        found.whys = [order.why(lease.pair, lease.gain) for lease in found.leases]
        found.done = "" if found.leases else found.done
        found.mine, found.team, found.budget_left = source.labels, ledger.labels, ledger.budget_left
        found.gain_left = 0.0 if best is None else best.gain
        return found

    def _is_stale(self, lease: Lease, order: TasteOrder | VotesOrder, had: object) -> bool:
        best = order.next(had, lease.source) if lease.purpose == ASK else None  # type: ignore[arg-type]
        return best is not None and order.value_of(lease, self.ledger) < STALE * best.gain

    def _take(
        self, source: str, best: Next, now: float, found: Given, writes: _Writes, rng: np.random.Generator
    ) -> None:
        campaign, ledger = self.ledger.campaign, self.ledger
        purpose, pair = self._other(source, rng) or (ASK, best.pair)
        if purpose == ASK:
            ended = [ledger.leases[id] for id in sorted(ledger.of(pair).ended)]
            for lease in ended:
                ledger.put(lease._replace(state=GIVEN_ON), now)
            writes.given_on += ended
        model = self._order.model if self._order is not None else ""
        lease = Lease(
            uuid.uuid4().hex, ledger.id, 0, source, *pair, purpose, LEASED, now, now + campaign.lease_seconds, best.gain
        )._replace(model=model)
        ledger.put(lease, now)
        writes.new.append(lease)
        found.leases.append(lease)

    def _other(self, source: str, rng: np.random.Generator) -> tuple[str, tuple[str, str]] | None:
        """Now and then, in the place of the next pair, one whose answer is known, or that they answered before."""
        campaign, of = self.ledger.campaign, self.ledger.sources[source]
        if campaign.gold_every and rng.random() * campaign.gold_every < 1.0:
            open_ = [item for item in campaign.gold if ("", item) not in of.had]
            if open_:
                return GOLD, ("", open_[int(rng.integers(len(open_)))])
        if campaign.repeat_every and rng.random() * campaign.repeat_every < 1.0:
            again = of.repeatable(APART)
            if again:
                return REPEAT, again[int(rng.integers(len(again)))].pair
        return None

    def _commit(self, log: Transaction, writes: _Writes) -> bool:
        """Give what was chosen, if it is still to be had."""
        ledger, campaign = self.ledger, self.ledger.campaign
        found = log.execute("SELECT given, bought FROM campaigns WHERE id = {0}", (ledger.id,))
        if not found or found[0][0] != ledger.given:
            return False
        if campaign.budget is not None and writes.new:
            going = "state = 'leased' AND expires_at > {0}"
            ((held,),) = log.execute(
                f"SELECT count(*) FROM leases WHERE campaign = {{0}} AND {going}", (ledger.id, self._log.now())
            )
            if found[0][1] + held - len(writes.released) + len(writes.new) > campaign.budget:
                return False
        for lease in (*writes.released, *writes.given_on):
            if log.execute("SELECT state FROM leases WHERE id = {0}", (lease.id,)) != [(LEASED,)]:
                return False  # it was answered at the last moment
        ((changed,),) = log.execute(
            "UPDATE campaigns SET changed = changed + 1, given = given + {0} WHERE id = {0} RETURNING changed",
            (int(bool(writes.new)), ledger.id),
        )
        for state, leases in ((RELEASED, writes.released), (GIVEN_ON, writes.given_on)):
            for lease in leases:
                log.execute("UPDATE leases SET state = {0}, changed = {0} WHERE id = {0}", (state, changed, lease.id))
        marks = ", ".join(["{0}"] * len(LEASE))
        for lease in writes.new:
            log.execute(f"INSERT INTO leases ({', '.join(LEASE)}) VALUES ({marks})", lease._replace(changed=changed))
        return True
