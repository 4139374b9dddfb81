"""How good the labels of a campaign are: how far annotators agree, how reliable each is, whether answers drift.

What is found revises what a source counts (:class:`palate.records.Calibration`), by one more row and by recomputation:
no label is changed, and whoever labels well again counts in whole again. A weight that somebody else has set stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from palate.campaign.campaign import ANSWERED, GOLD, Campaign
from palate.campaign.campaigns import Campaigns
from palate.entities import AnswerKind
from palate.loop.checkpoint import calibrations_in
from palate.loop.drift import CONFIDENCE, RateChange, rate_changes
from palate.model.counted import PERSON
from palate.oracles import agreement
from palate.oracles.reliability import Judged, Vote, judged, with_flag
from palate.recommender import Recommender
from palate.records import Calibration

STEP = 0.1  # by which a weight has to change before a row says so; to 0 and to 1 it always does
_MARK = "quality:"  # begins the keys of the rows that are written here
_BETWEEN = "\x1f"  # user and item of a unit


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the labels of a campaign are.

    Attributes:
        agreement: ``units`` on which at least two voted, and ``percent``, ``cohen``, ``fleiss`` and ``krippendorff``
            (:mod:`palate.oracles.agreement`); of ratings the last is that of intervals.
        annotators: In the order of their first labels.
        drift: Where the share of an option, or the mean rating, has changed last, over all annotators.
    """

    agreement: Mapping[str, float]
    annotators: tuple[Judged, ...]
    drift: tuple[RateChange, ...]


def quality(campaigns: Campaigns, id: str, span: tuple[float, float]) -> Quality:
    """How good the labels of a campaign are now. It reads all its leases.

    Args:
        span: Lowest and highest rating of the model.
    Raises:
        UnknownCampaign: If there is none of this id.
        MissingExtra: Without river (extra serve).
    """
    campaign = campaigns.get(id)
    votes = votes_of(campaign, campaigns.labels(id))
    table = agreement.table_of((vote.source, vote.unit, vote.value) for vote in votes)
    level: agreement.Level = "interval" if campaign.is_taste else "nominal"
    measures = {
        "units": int(((table == table).sum(0) > 1).sum()) if table.size else 0,
        "percent": agreement.percent(table),
        "cohen": agreement.cohen(table),
        "fleiss": agreement.fleiss(table),
        "krippendorff": agreement.krippendorff(table, level),
    }
    values = [*span, *(vote.value for vote in votes)]  # some may be of an older model
    found = judged(votes, span=(min(values), max(values)) if campaign.is_taste else None)
    own = {one.source: [vote.value for vote in votes if vote.source == one.source] for one in found}
    each = CONFIDENCE / max(len(found), 1)
    drifting = {
        source
        for source, values in own.items()
        if rate_changes(values, are_options=not campaign.is_taste, confidence=each)
    }
    of_all = rate_changes([vote.value for vote in votes], are_options=not campaign.is_taste)
    annotators = tuple(with_flag(one, "drift") if one.source in drifting else one for one in found)
    return Quality(measures, annotators, tuple(of_all))


def votes_of(campaign: Campaign, rows: Iterable[Mapping[str, Any]]) -> list[Vote]:
    """The votes among the leases of a campaign (:meth:`palate.campaign.Campaigns.labels`), in the order of their times.

    Of taste a unit is one user and one item, so that what is said of two users never meets. An answer took as long as
    it was held, or since the one before it; of answers that claim the very same time that is not known.
    """
    answered = [row for row in rows if row["state"] == ANSWERED and row["item_id"]]
    answered.sort(key=lambda row: (row["answered_at"] or 0.0, row["id"]))
    before, found = dict[str, float](), list[Vote]()
    for row in answered:
        source, at = row["source"], row["answered_at"] or 0.0
        seconds = at - max(row["leased_at"], before.get(source, 0.0))
        is_known = at != before.get(source) and seconds > 0.0
        before[source] = at
        if row["kind"] == AnswerKind.RATING and row["value"] is not None:
            unit = _BETWEEN.join((row["user_id"], row["item_id"])) if campaign.is_taste else row["item_id"]
            truth = campaign.gold.get(row["item_id"]) if row["purpose"] == GOLD else None
            gold = None if truth is None else float(truth)
            known = seconds if is_known else None
            found.append(Vote(source, unit, float(row["value"]), known, gold, row["family"]))
    return found


def revisions(campaign: Campaign, found: Sequence[Judged], calibrations: Sequence[Calibration]) -> list[Calibration]:
    """The calibrations that what was found asks for.

    A weight that somebody has set stays, and one that another campaign has set is lowered and not raised.

    Args:
        calibrations: All that count, in order.
    """
    mine, new = f"{_MARK}{_short(campaign.id)}:", list[Calibration]()
    for one in found:
        rows = [row for row in calibrations if (row.source, row.subject) == (one.source, campaign.subject)]
        last = rows[-1] if rows else None
        if one.source == PERSON or (last is not None and not last.key.startswith(_MARK)):
            continue
        before = 1.0 if last is None else last.reliability
        is_mine = last is None or last.key.startswith(mine)
        is_small = abs(one.weight - before) < STEP and one.weight not in (0.0, 1.0)
        if one.weight == before or is_small or (one.weight > before and not is_mine):
            continue
        n = sum(row.key.startswith(mine) for row in rows)
        new.append(Calibration(one.source, one.weight, campaign.subject, key=f"{mine}{_short(one.source)}:{n}"))
    return new


def weights_now(recommender: Recommender, subject: str) -> dict[str, float]:
    """What answers about a subject count by their source, where it was calibrated."""
    rows = calibrations_in(recommender.log, recommender.log.last_seq)
    return {row.source: row.reliability for row in rows if row.subject == subject}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
