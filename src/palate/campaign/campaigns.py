"""The campaigns of a recommender: made, given out, answered, looked at."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any

import numpy as np

from palate.campaign.campaign import CLOSED, LEASED, RELEASED, STATES, Campaign, Lease, words_of
from palate.campaign.giving import Given, Giving, Want
from palate.campaign.ledger import CAMPAIGN, LEASES, WITH_FAMILY
from palate.campaign.taking import Submission, Taking
from palate.errors import CampaignError, KeyTaken, OptionError, UnknownCampaign
from palate.errors.checks import count, instance, key_of, normalise_id, one_of, several
from palate.errors.checks import flag as flag_of
from palate.recommender import Recommender
from palate.records import Record
from palate.store.side_tables import COLUMNS, Execute
from palate.store.sql_log import SqlLog
from palate.store.transaction import Transaction

MOST_LEASES = 20  # that an annotator holds of one campaign
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class OfAnnotator:
    """What an annotator did in a campaign.

    Attributes:
        flagged: Questions that they flagged.
        median_seconds: Of an answer; None before the first.
    """

    source: str
    labels: int
    skipped: int
    flagged: int
    median_seconds: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is.

    Attributes:
        labels: Answers that are no skips.
        leased: Pairs that are somebody's now.
        budget_left: Labels that may still be given out; None without a limit.
        spent: In the currency of the price.
        gain_left: Expected of the best pair that is free; 0 without one.
    """

    labels: int
    skipped: int
    flagged: int
    leased: int
    budget_left: int | None
    spent: float
    annotators: tuple[OfAnnotator, ...]
    gain_left: float


class Campaigns:
    """Labelling jobs on the log of a recommender. Safe to share between threads; processes agree by the database.

    Example:
        >>> from palate import Recommender
        >>> from palate.campaign import Campaign, Campaigns, Submission
        >>> from palate.datasets import planted_world
        >>> import numpy as np, tempfile
        >>> data = planted_world(users=60, items=40, rng=np.random.default_rng(0)).dataset
        >>> folder = tempfile.mkdtemp() + "/model"
        >>> with Recommender.create(folder, data, encoder="none") as recommender:
        ...     campaigns = Campaigns(recommender)
        ...     made = campaigns.make(Campaign("first", "How would they rate it?", users=["ann", "bob"], budget=10))
        ...     given = campaigns.next(made.id, "annotator-1", rng=np.random.default_rng(0))
        ...     kept = campaigns.submit([Submission("k1", given.leases[0].id, "annotator-1", value=4)])
        ...     campaigns.progress(made.id).labels
        1
    """

    def __init__(self, recommender: Recommender) -> None:
        log = instance(recommender, Recommender, "recommender", "palate.Recommender.open(...)").log
        self._recommender = recommender
        if not isinstance(log, SqlLog):
            raise OptionError("campaigns need a log in SQLite or PostgreSQL. Open the recommender on one.")
        self._log = log
        self._giving: dict[str, Giving] = {}
        self._lock = RLock()

    def make(self, campaign: Campaign) -> Campaign:
        """Keep a new one; it has an id and a time then. One with the id of another like it is that one.

        Raises:
            OptionError: If it is about taste and names no users.
            KeyTaken: If its id is that of another one.
            UnknownItem: If the model does not hold an item.
        """
        campaign = instance(campaign, Campaign, "campaign", "palate.campaign.Campaign(...)")
        if campaign.is_taste and not campaign.users:
            raise OptionError("a campaign about taste names 0 users. Say whose is asked about: users=['ann'].")
        self._recommender.fitted.catalogue.positions([*campaign.items, *campaign.gold])
        made = replace(campaign, id=campaign.id or uuid.uuid4().hex[:12], made_at=self._log.now())

        def keep(log: Transaction) -> Campaign:
            for row in log.execute(f"{CAMPAIGN} WHERE id = {{0}}", (made.id,)):
                there = Campaign.of_row(row[:4])
                if there.specification != made.specification:
                    raise KeyTaken(f"another campaign has the id {made.id!r}. Make this one under an id of its own.")
                return there
            columns = COLUMNS["campaigns"]
            row = (made.id, made.specification, made.state, 0, 0, 0, made.made_at)
            marks = ", ".join(["{0}"] * len(columns))
            log.execute(f"INSERT INTO campaigns ({', '.join(columns)}) VALUES ({marks})", row)
            return made

        return self._log.together(keep)

    def all(self) -> list[Campaign]:
        """Every campaign, the last first."""
        rows = self._log.select("SELECT id, specification, state, made_at FROM campaigns ORDER BY made_at DESC, id", ())
        return [Campaign.of_row(row) for row in rows]

    def get(self, id: str) -> Campaign:
        """The campaign of this id.

        Raises:
            UnknownCampaign: If there is none.
        """
        return self._read(self._log.select, normalise_id(id, "id"))

    def set_state(self, id: str, state: str) -> Campaign:
        """Open it, pause it (nothing new is given, labels are taken), or close it (labels are refused)."""
        state, id = one_of(state, STATES, "state"), normalise_id(id, "id")

        def change(log: Transaction) -> Campaign:
            self._read(log.execute, id)
            more = "changed = changed + 1, given = given + 1"
            log.execute(f"UPDATE campaigns SET state = {{0}}, {more} WHERE id = {{0}}", (state, id))
            return self._read(log.execute, id)

        return self._log.together(change)

    def next(self, id: str, source: str, k: int = 1, *, held: Sequence[str] = (), rng: np.random.Generator) -> Given:
        """The pairs that an annotator is to answer: those that they hold, then the best that are free.

        Args:
            source: Pseudonym of the annotator.
            k: Pairs, from 1 to 20.
            held: Ids of leases that they hold and have not looked at, which are replaced where there is much better.
            rng: Draws where a question is put whose answer is known, or that they answered before.
        Raises:
            UnknownCampaign: If there is no such campaign.
        """
        want = Want(
            normalise_id(source, "source"),
            count(k, "k", least=1, most=MOST_LEASES),
            tuple(normalise_id(one, "held") for one in several(held, "held")),
        )
        return self.next_all(id, [want], rng=rng)[0]

    def next_all(self, id: str, wants: Sequence[Want], *, rng: np.random.Generator) -> list[Given]:
        """:meth:`next` for several annotators, in one commit."""
        return self._of(normalise_id(id, "id")).give(wants, rng)

    def submit(self, given: Sequence[Submission]) -> list[Record]:
        """Keep labels under leases, all or none, on the disk before this returns.

        A label after its lease has ended is kept too. It is bought (counts against the budget, and is paid) only if
        nobody else was given the pair in the meantime and the budget is not needed for what others hold.

        Raises:
            UnknownCampaign: If there is no such lease.
            CampaignError: If a lease is another annotator's or was answered, or its campaign is closed.
            UnknownItem, AnswerError: If a label cannot be taken.
        """
        labels = [
            instance(one, Submission, "a label", "Submission(key, lease_id, source)")
            for one in several(given, "given", "[Submission(...)]")
        ]
        model, now = self._recommender.fitted, self._log.now
        return self._log.together(lambda log: Taking(log, model, now()).take(labels), [one.key for one in labels])

    def release(self, lease_id: str, source: str) -> Lease:
        """Give a pair back, so that somebody else may be given it.

        Raises:
            UnknownCampaign: If there is no such lease.
            CampaignError: If it is another annotator's, or answered.
        """

        def change(log: Transaction, lease: Lease) -> Lease:
            return self._changed(log, lease._replace(state=RELEASED)) if lease.state == LEASED else lease

        return self._with(lease_id, source, change)

    def extend(self, lease_id: str, source: str) -> Lease:
        """Hold a pair as long again from now.

        Raises:
            UnknownCampaign: If there is no such lease.
            CampaignError: If it is another annotator's, answered or ended, or the campaign is closed.
        """

        def change(log: Transaction, lease: Lease) -> Lease:
            campaign, now = self._read(log.execute, lease.campaign), self._log.now()
            if campaign.state == CLOSED:
                raise CampaignError("the campaign is closed. Ask for another one.", "campaign_closed")
            if not lease.is_held(now):
                raise CampaignError("the time for the question is over. Ask for the next one.", "lease_ended")
            return self._changed(log, lease._replace(expires_at=now + campaign.lease_seconds))

        return self._with(lease_id, source, change)

    def note(self, lease_id: str, source: str, *, flag: bool = False, comment: str = "", key: str = "") -> str:
        """Keep a flag and a comment on what was asked; the last one of a lease counts.

        Args:
            key: Made by the client: a repeat changes nothing.
        Returns:
            The key.
        Raises:
            UnknownCampaign, CampaignError: If there is no such lease, or it is another annotator's.
            KeyTaken: If the key is that of another note.
        """
        key, comment = key_of(key) or uuid.uuid4().hex, words_of(comment, "comment")
        said = (int(flag_of(flag, "flag")), comment)

        def change(log: Transaction, lease: Lease) -> Lease:
            found = log.execute("SELECT lease, flag, comment FROM notes WHERE key = {0}", (key,))
            if found:
                if found[0] != (lease.id, *said):
                    raise KeyTaken(f"another note has the key {key!r}. Send it under a key of its own.")
                return lease
            row = (key, lease.id, *said, self._log.now())
            log.execute("INSERT INTO notes (key, lease, flag, comment, made_at) VALUES ({0}, {0}, {0}, {0}, {0})", row)
            return lease

        self._with(lease_id, source, change, is_note=True)
        return key

    def progress(self, id: str) -> Progress:
        """How far a campaign is, and what each annotator did.

        Raises:
            UnknownCampaign: If there is none.
        """
        of = self._of(normalise_id(id, "id"))
        with of.lock:
            of.read()
            ledger, best = of.ledger, of.order().next(())
            flags: dict[str, int] = dict(self._log.select(_FLAGS, (ledger.id,)))
            annotators = [
                OfAnnotator(name, one.labels, one.skipped, flags.get(name, 0), one.median_seconds)
                for name, one in sorted(ledger.sources.items())
                if one.had
            ]
            ((spent,),) = self._log.select(
                "SELECT coalesce(sum(price), 0) FROM leases WHERE campaign = {0}", (ledger.id,)
            )
            skipped = sum(one.skipped for one in annotators)
            return Progress(
                ledger.labels,
                skipped,
                sum(flags.values()),
                ledger.held,
                ledger.budget_left,
                round(float(spent), 9),
                tuple(annotators),
                0.0 if best is None else best.gain,
            )

    def labels(self, id: str) -> Iterator[dict[str, Any]]:
        """What was asked and why, and what came of it: every lease with its label and its notes, in order."""
        return self._labels(self.get(id))

    def _labels(self, campaign: Campaign) -> Iterator[dict[str, Any]]:
        after = "", 0.0
        while True:
            rows = self._log.select(
                f"{WITH_FAMILY} WHERE campaign = {{0}} AND (leased_at > {{0}} OR (leased_at = {{0}} AND id > {{0}})) "
                f"ORDER BY leased_at, id LIMIT {_PAGE}",
                (campaign.id, after[1], after[1], after[0]),
            )
            for *of, family in rows:
                lease = Lease(*of)
                said = {name: value for name, value in lease._asdict().items() if name not in ("changed", "is_bought")}
                notes = self._log.select(
                    "SELECT flag, comment, made_at FROM notes WHERE lease = {0} ORDER BY made_at, key", (lease.id,)
                )
                kept = [{"flag": bool(flag), "comment": comment, "made_at": at} for flag, comment, at in notes]
                of_all = {"subject": campaign.subject, "family": family or ""}
                yield {**said, **of_all, "is_bought": bool(lease.is_bought), "notes": kept}
            if len(rows) < _PAGE:
                return
            after = rows[-1][0], rows[-1][COLUMNS["leases"].index("leased_at")]

    def _of(self, id: str) -> Giving:
        with self._lock:
            if id not in self._giving:
                self.get(id)
                self._giving[id] = Giving(self._recommender, self._log, id)
            return self._giving[id]

    def _read(self, execute: Execute, id: str) -> Campaign:
        found = execute(f"{CAMPAIGN} WHERE id = {{0}}", (id,))
        if not found:
            raise UnknownCampaign("campaign", id)
        return Campaign.of_row(found[0][:4])

    def _with(self, lease_id: str, source: str, change: Any, *, is_note: bool = False) -> Lease:
        """Change a lease that is this annotator's."""
        id, source = normalise_id(lease_id, "lease_id"), normalise_id(source, "source")

        def run(log: Transaction) -> Lease:
            found = log.execute(f"{LEASES} WHERE id = {{0}}", (id,))
            if not found:
                raise UnknownCampaign("lease", id)
            lease = Lease(*found[0])
            if lease.source != source:
                raise CampaignError(f"the question was not given to {source!r}. Use your own.", "lease_of_another")
            if lease.label_key is not None and not is_note:
                raise CampaignError("the question was answered. Take that label back first.", "lease_answered")
            changed: Lease = change(log, lease)
            return changed

        return self._log.together(run)

    def _changed(self, log: Transaction, lease: Lease) -> Lease:
        ((changed,),) = log.execute(
            "UPDATE campaigns SET changed = changed + 1 WHERE id = {0} RETURNING changed", (lease.campaign,)
        )
        log.execute(
            "UPDATE leases SET state = {0}, expires_at = {0}, changed = {0} WHERE id = {0}",
            (lease.state, lease.expires_at, changed, lease.id),
        )
        return lease._replace(changed=changed)


_FLAGS = """SELECT l.source, count(*) FROM leases l WHERE l.campaign = {0} AND
    (SELECT n.flag FROM notes n WHERE n.lease = l.id ORDER BY n.made_at DESC, n.key DESC LIMIT 1) = 1
    GROUP BY l.source"""
