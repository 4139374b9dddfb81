"""What the votes of a campaign about an attribute come to: what is true of each item, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from palate.arrays import Array
from palate.campaign.campaigns import Campaigns
from palate.campaign.quality import votes_of
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.oracles.crowd import Temperature


@dataclass(frozen=True, slots=True)
class Consensus:
    """What a crowd says, one vote a family (:mod:`palate.oracles.crowd`).

    Attributes:
        items: With votes, in the order of their first ones.
        labels: Place of the most likely option of each, (n,).
        probabilities: Of each option, tempered, (n, K).
        votes: How many votes each has, with those of a family apart, (n,).
        temperature: Fitted on the campaign's gold, if there is enough of it.
    """

    items: tuple[str, ...]
    labels: tuple[int, ...]
    probabilities: Array
    votes: tuple[int, ...]
    temperature: Temperature


def consensus(campaigns: Campaigns, id: str) -> Consensus:
    """What the labels of a campaign come to now. It reads all its leases.

    Raises:
        UnknownCampaign: If there is none of this id.
        OptionError: If it is about taste: what several say of it is never one truth.
    """
    from palate.oracles.crowd import Crowd

    campaign = campaigns.get(id)
    if campaign.is_taste:
        raise OptionError(
            f"the campaign {id!r} is about taste, of which there is no truth. Give one about an attribute."
        )
    crowd, counts = Crowd(len(campaign.options)), dict[str, set[str]]()
    for vote in votes_of(campaign, campaigns.labels(id)):
        crowd.vote(vote.unit, vote.source, int(vote.value), family=vote.family)
        counts.setdefault(vote.unit, set()).add(vote.source)
    crowd.sweep()
    temperature, items = crowd.calibrate(campaign.gold), crowd.items
    labels, n = crowd.labels(items), [len(counts[item]) for item in items]
    return Consensus(items, tuple(labels.tolist()), crowd.probabilities(items), tuple(n), temperature)
