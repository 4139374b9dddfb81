"""What has been given and answered in a campaign, as the database has it, read as it changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from palate.campaign.campaign import ANSWERED, ASK, LEASED, Campaign, Lease
from palate.entities import AnswerKind
from palate.errors import UnknownCampaign
from palate.store.side_tables import LEASE, Execute

Pair = tuple[str, str]  # user and item
LEASES = f"SELECT {', '.join(LEASE)} FROM leases"
CAMPAIGN = "SELECT id, specification, state, made_at, changed, given, bought FROM campaigns"
WITH_FAMILY = (  # of whoever answered; None: their own
    f"SELECT {', '.join(LEASE)}, (SELECT family FROM records WHERE records.key = leases.label_key) FROM leases"
)


@dataclass(slots=True)
class OfPair:
    """What came of a pair so far.

    Attributes:
        answers: How often it was answered to learn something new; skipped is not.
        skips: How often it was skipped.
        held: Leases that have not ended.
        ended: Leases whose time has passed, by id; nobody else was given the pair since.
    """

    answers: int = 0
    skips: int = 0
    held: int = 0
    ended: set[str] = field(default_factory=set)


@dataclass(slots=True)
class OfSource:
    """What an annotator holds and has answered, by lease.

    Attributes:
        had: Pairs that they are not to be given again.
    """

    held: dict[str, Lease] = field(default_factory=dict)
    answered: dict[str, Lease] = field(default_factory=dict)
    had: Counter[Pair] = field(default_factory=Counter)
    skipped: int = 0

    @property
    def labels(self) -> int:
        """Answers that are no skips."""
        return len(self.answered) - self.skipped

    def repeatable(self, distance: int) -> list[Lease]:
        """Ratings that they gave once, some answers ago."""
        again = {pair for pair, n in self.had.items() if n > 1}
        before = sorted(self.answered.values(), key=lambda lease: lease.answered_at or 0.0)[:-distance]
        return [one for one in before if one.kind == AnswerKind.RATING and one.pair not in again]

    @property
    def median_seconds(self) -> float | None:
        """Of an answer: since it was given, or since the answer before it."""
        done = sorted((one.answered_at or 0.0, one.leased_at) for one in self.answered.values())
        befores = [0.0, *(at for at, _ in done)]
        took = [max(0.0, at - max(leased, before)) for (at, leased), before in zip(done, befores, strict=False)]
        return median(took) if took else None


class Ledger:
    """All leases of a campaign, counted.

    Attributes:
        given: As the database counts what was given, when it was last read.
        bought: Labels that count against the budget.
        votes: Of an attribute, by item: the answered leases that chose an option, by id.
        families: Of leases that were answered by one of several who share their errors, by id.
        touched: Pairs whose counts have changed since they were last taken out of here.
    """

    def __init__(self, id: str) -> None:
        self.id, self.changed, self.given, self.bought = id, -1, -1, 0
        self.campaign: Campaign
        self._row: tuple[Any, ...] = ()
        self.leases: dict[str, Lease] = {}
        self.sources: dict[str, OfSource] = defaultdict(OfSource)
        self.votes: dict[str, dict[str, Lease]] = defaultdict(dict)
        self.families: dict[str, str] = {}
        self.touched: set[Pair] = set()
        self._users: dict[str, dict[str, OfPair]] = defaultdict(dict)
        self._live: dict[str, Lease] = {}  # what counts as held

    def read(self, execute: Execute, now: float) -> None:
        """What is new in the database.

        Args:
            now: Seconds since the epoch, taken before.
        Raises:
            UnknownCampaign: If there is no such campaign.
        """
        found = execute(f"{CAMPAIGN} WHERE id = {{0}}", (self.id,))
        if not found:
            raise UnknownCampaign("campaign", self.id)
        *row, changed, given, bought = found[0]
        if changed > self.changed:
            if tuple(row) != self._row:  # to read it takes as long as its users are many
                self.campaign, self._row = Campaign.of_row(tuple(row)), tuple(row)
            # after it: what came between is read again the next time, and never missed
            for *of, family in execute(
                f"{WITH_FAMILY} WHERE campaign = {{0}} AND changed > {{0}}", (self.id, self.changed)
            ):
                lease = Lease(*of)
                if family:
                    self.families[lease.id] = family
                self.put(lease, now)
        self.changed, self.given, self.bought = changed, given, bought
        for lease in [lease for lease in self._live.values() if not lease.is_held(now)]:
            self.put(lease, now)

    def put(self, lease: Lease, now: float) -> None:
        """A lease as it is now."""
        self.drop(lease.id)
        self.leases[lease.id] = lease
        if lease.is_held(now):
            self._live[lease.id] = lease
        self._count(lease, 1)

    def drop(self, id: str) -> None:
        """As if there had never been such a lease."""
        lease = self.leases.pop(id, None)
        if lease is not None:
            self._count(lease, -1)
            self._live.pop(id, None)

    def _count(self, lease: Lease, by: int) -> None:
        is_held, is_answered = lease.id in self._live, lease.state == ANSWERED
        source, is_skip = self.sources[lease.source], is_answered and lease.kind == AnswerKind.SKIPPED
        for leases, is_in in ((source.held, is_held), (source.answered, is_answered)):
            if is_in and by > 0:
                leases[lease.id] = lease
            elif is_in:
                del leases[lease.id]
        source.skipped += by * is_skip
        if is_held or is_answered:
            source.had[lease.pair] += by
            if not source.had[lease.pair]:
                del source.had[lease.pair]
        if is_answered and lease.kind == AnswerKind.RATING and not self.campaign.is_taste:
            if by > 0:
                self.votes[lease.item_id][lease.id] = lease
            else:
                del self.votes[lease.item_id][lease.id]
            self.touched.add(lease.pair)
        if lease.purpose != ASK:
            return
        pair = self._users[lease.user_id].setdefault(lease.item_id, OfPair())
        pair.held += by * is_held
        pair.skips += by * is_skip
        pair.answers += by * (is_answered and not is_skip)
        if lease.state == LEASED and not is_held:
            pair.ended.add(lease.id) if by > 0 else pair.ended.discard(lease.id)
        self.touched.add(lease.pair)

    def of(self, pair: Pair) -> OfPair:
        """What came of a pair."""
        return self.pairs_of(pair[0]).get(pair[1]) or OfPair()

    def pairs_of(self, user_id: str) -> dict[str, OfPair]:
        """What came of the pairs of a user, by item."""
        return self._users.get(user_id, {})

    @property
    def pairs(self) -> list[Pair]:
        """All that was given or answered."""
        return [(user, item) for user, items in self._users.items() for item in items]

    def is_free(self, pair: Pair) -> bool:
        """Whether somebody else may be given it."""
        found = self.of(pair)
        return found.answers + found.held < self.campaign.overlap

    @property
    def held(self) -> int:
        """How many are somebody's now."""
        return len(self._live)

    @property
    def budget_left(self) -> int | None:
        """Labels that may still be given out; None without a limit."""
        return None if self.campaign.budget is None else max(0, self.campaign.budget - self.bought - self.held)

    @property
    def labels(self) -> int:
        """Answers that are no skips."""
        return sum(source.labels for source in self.sources.values())
