"""An annotator's label and its lease, in one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from palate.acquisition.oracle_choice import Action
from palate.campaign import taste_order, votes_order
from palate.campaign.campaign import ANSWERED, ASK, CLOSED, GIVEN_ON, LEASED, REPEAT, Campaign, Lease, words_of
from palate.campaign.ledger import CAMPAIGN, LEASES
from palate.entities import Answer, AnswerKind
from palate.entities.provenance import Provenance
from palate.errors import AnswerError, CampaignError, UnknownCampaign
from palate.errors.checks import key_of, normalise_id, one_of, time_of
from palate.loop.taken import check_answer
from palate.model.model import Model
from palate.records import Record
from palate.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Submission:
    """A label under a lease.

    Attributes:
        key: Made by the client: a repeat changes nothing.
        source: Who sends it.
        kind: ``rating``, ``unknown``, ``no-opinion`` or ``skipped``.
        value: The rating, or the place of the option.
        answered_at: Seconds since the epoch; when it is kept if None.
        reason: Why it was skipped.
        channel: The way it came.
        shown_at: When it came on the screen, in seconds since the epoch: it may have been fetched before.
        family: Of a source whose errors others share, such as another prompt of one model: about an attribute they have
            one vote together. Empty: its own.
    """

    key: str
    lease_id: str
    source: str
    kind: str = "rating"
    value: float | None = None
    answered_at: float | None = None
    reason: str = ""
    channel: str = ""
    shown_at: float | None = None
    family: str = ""

    def __post_init__(self) -> None:
        for name in ("key", "lease_id", "source"):
            object.__setattr__(self, name, normalise_id(getattr(self, name), name))
        one_of(self.kind, list(AnswerKind), "kind")
        for name in ("answered_at", "shown_at"):
            object.__setattr__(self, name, time_of(getattr(self, name), name))
        object.__setattr__(self, "reason", words_of(self.reason, "reason"))
        for name in ("channel", "family"):
            object.__setattr__(self, name, key_of(getattr(self, name), name))


class _Plan(NamedTuple):
    answer: Answer
    lease: Lease
    said: Submission
    is_new: bool = False
    is_bought: bool = False
    is_late: bool = False


class Taking:
    """Labels that are kept together.

    Args:
        now: Seconds since the epoch.
    """

    def __init__(self, log: Transaction, model: Model, now: float) -> None:
        self._log, self._model, self._now = log, model, now
        self._campaigns: dict[str, Campaign] = {}
        self._bought = Counter[str]()  # by campaign, with what is to be kept here
        self._answered = Counter[tuple[str, str, str]]()  # what is to be kept here, by campaign and pair
        self._by: dict[str, str] = {}  # leases that are to be answered here, by which key

    def take(self, given: Sequence[Submission]) -> list[Record]:
        """All of them, or none.

        Raises:
            UnknownCampaign, CampaignError: If there is no such lease, it is another's or answered, or its campaign is
                closed.
            UnknownItem, AnswerError: If a label cannot be taken.
        """
        plans = [self._plan(one) for one in given]
        records = [self._log.keep(plan.answer) for plan in plans]  # what raises comes before what is executed
        for plan in plans:
            if plan.is_new:
                self._settle(plan)
        return records

    def _plan(self, said: Submission) -> _Plan:
        lease = self._lease(said)
        campaign, known = self._campaign(lease.campaign), self._log.find(said.key)
        if known is not None:
            answer = self._answer(said, lease, campaign, 0.0)
            kept = known.content
            if isinstance(kept, Answer):  # how it was asked is not the client's to say
                answer = replace(answer, question=kept.question, propensity=kept.propensity)
            return _Plan(answer, lease, said)
        by = self._by.get(lease.id, lease.label_key if lease.state == ANSWERED else None)
        if by == said.key:
            return _Plan(self._answer(said, lease, campaign, 0.0), lease, said)
        if by is not None:
            raise CampaignError("the question was answered already. Take that label back first.", "lease_answered")
        if campaign.state == CLOSED:
            raise CampaignError("the campaign is closed and takes no labels. Open it again first.", "campaign_closed")
        if not lease.item_id:
            raise CampaignError("the user it was about was erased. Ask for the next one.", "lease_erased")
        is_late = not lease.is_held(self._now)
        is_bought = said.kind != AnswerKind.SKIPPED and self._is_bought(lease, campaign, is_late)
        answer = self._answer(said, lease, campaign, campaign.price * is_bought)
        self._by[lease.id] = said.key
        self._bought[campaign.id] += is_bought
        self._answered[(campaign.id, *lease.pair)] += lease.purpose == ASK and said.kind != AnswerKind.SKIPPED
        return _Plan(answer, lease, said, True, is_bought, is_late)

    def _lease(self, said: Submission) -> Lease:
        found = self._log.execute(f"{LEASES} WHERE id = {{0}}", (said.lease_id,))
        if not found:
            raise UnknownCampaign("lease", said.lease_id)
        lease = Lease(*found[0])
        if lease.source != said.source:
            raise CampaignError(f"the question was not given to {said.source!r}. Answer your own.", "lease_of_another")
        return lease

    def _campaign(self, id: str) -> Campaign:
        if id not in self._campaigns:
            ((*row, _, _, bought),) = self._log.execute(f"{CAMPAIGN} WHERE id = {{0}}", (id,))
            self._campaigns[id] = Campaign.of_row(tuple(row))
            self._bought[id] = bought
        return self._campaigns[id]

    def _is_bought(self, lease: Lease, campaign: Campaign, is_late: bool) -> bool:
        """In time while the budget lasts; late if nobody was given the pair or needs what is left of the budget."""
        spent = self._bought[campaign.id]
        if not is_late:
            return campaign.budget is None or spent < campaign.budget
        if lease.state == GIVEN_ON or (lease.purpose == ASK and self._taken(lease) >= campaign.overlap):
            return False
        return campaign.budget is None or spent + self._held("campaign = {0}", (campaign.id,)) < campaign.budget

    def _held(self, where: str, values: tuple[object, ...]) -> int:
        going = f"SELECT count(*) FROM leases WHERE {where} AND state = 'leased' AND expires_at > {{0}}"
        ((n,),) = self._log.execute(going, (*values, self._now))
        return int(n)

    def _taken(self, lease: Lease) -> int:
        """By how many the pair is held or answered."""
        of, pair = (
            "campaign = {0} AND item_id = {0} AND user_id = {0} AND purpose = 'ask'",
            (
                lease.campaign,
                lease.item_id,
                lease.user_id,
            ),
        )
        return self._held(of, pair) + self._answers(lease)

    def _answers(self, lease: Lease) -> int:
        ((n,),) = self._log.execute(
            "SELECT count(*) FROM leases WHERE campaign = {0} AND item_id = {0} AND user_id = {0} AND purpose = 'ask' "
            "AND state = 'answered' AND kind <> 'skipped'",
            (lease.campaign, lease.item_id, lease.user_id),
        )
        return int(n) + self._answered[(lease.campaign, *lease.pair)]

    def _answer(self, said: Submission, lease: Lease, campaign: Campaign, cost: float) -> Answer:
        of = Provenance(
            family=said.family,
            channel=said.channel,
            subject=campaign.subject,
            model=lease.model,
            question_id=lease.id,
            score=lease.gain,
            cost=cost,
            shown_at=said.shown_at,
        )
        kind = AnswerKind(said.kind)
        answer = Answer(
            lease.user_id or lease.source,  # of an attribute it is who says so
            lease.item_id,
            kind,
            said.value,
            lease.source,
            1.0 if lease.purpose == ASK else None,
            said.key,
            self._question(lease, campaign),
            lease.leased_at,
            self._now if said.answered_at is None else said.answered_at,
            provenance=of,
        )
        if campaign.is_taste:
            return check_answer(self._model, answer)
        self._model.catalogue.positions(answer.items)
        places = range(len(campaign.options))
        if answer.value is not None and answer.value not in places:
            raise AnswerError(f"the value {answer.value:g} is no option. Give a whole number from 0 to {places[-1]}.")
        return answer

    def _question(self, lease: Lease, campaign: Campaign) -> str:
        """Which strategy asked; of a pair that was answered before, that it is asked again, so that both count."""
        if not campaign.is_taste:
            return votes_order.STRATEGY
        is_first = lease.purpose != REPEAT and (
            (campaign.overlap == 1 and lease.state == LEASED) or not self._answers(lease)
        )
        return taste_order.STRATEGY if is_first else Action.AGAIN.value

    def _settle(self, plan: _Plan) -> None:
        said, lease, answer, bought = plan.said, plan.lease, plan.answer, int(plan.is_bought)
        cost = answer.provenance.cost or 0.0
        ((changed,),) = self._log.execute(
            "UPDATE campaigns SET changed = changed + 1, bought = bought + {0}, given = given + {0} WHERE id = {0} "
            "RETURNING changed",
            (bought, bought * plan.is_late, lease.campaign),
        )
        self._log.execute(
            "UPDATE leases SET state = 'answered', changed = {0}, label_key = {0}, kind = {0}, value = {0}, "
            "answered_at = {0}, reason = {0}, price = {0}, is_bought = {0} WHERE id = {0}",
            (
                changed,
                answer.key,
                said.kind,
                answer.value,
                answer.answered_at,
                said.reason or None,
                cost,
                bought,
                lease.id,
            ),
        )
