"""How good the labels of a campaign are."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from palate.campaign.campaign import Campaign
from palate.campaign.consensus import Consensus, consensus
from palate.campaign.quality import Quality, quality, weights_now
from palate.service.access import Allow, Caller
from palate.service.bodies import PathId
from palate.service.routing import FAULTS, answered, described

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/campaigns", tags=["campaigns"])


class Agreement(BaseModel):
    """How far annotators agree; null where it says nothing."""

    units: int = Field(description="On which at least two voted.")
    percent: float | None
    cohen: float | None
    fleiss: float | None
    krippendorff: float | None


class Right(BaseModel):
    """Questions of which the answer is known."""

    right: int
    of: int


class Same(BaseModel):
    """Questions that were asked again."""

    same: int
    of: int
    mean_difference: float | None


class OfSource(BaseModel):
    """What is known of an annotator."""

    source: str
    labels: int
    gold: Right
    repeats: Same
    basis: str = Field(description="What the reliability is read off: gold, repeats, agreement, or nothing.")
    reliability: float
    low: float
    high: float
    weight: float = Field(description="What each of their answers counts now.")
    median_seconds: float | None
    flags: list[str]


class RateChange(BaseModel):
    """That an option is chosen more or less often than before, or ratings are higher or lower."""

    value: float | None = Field(description="The option; null of ratings.")
    label: int = Field(description="At which it was noticed, from 0.")
    before: float
    after: float


class DriftOut(BaseModel):
    """Changes over all annotators."""

    changes: list[RateChange]


class ConsensusOut(BaseModel):
    """What the votes on an attribute come to."""

    items: int = Field(description="With votes.")
    expected_right: float | None = Field(description="Mean probability of the most likely options.")
    temperature: float = Field(description="Power to which the probabilities of the model are raised.")
    gold: int = Field(description="Items with votes whose truth is known.")
    is_calibrated: bool = Field(description="Whether that was enough to fit the temperature; otherwise it is a guess.")


class QualityOut(BaseModel):
    """How good the labels of a campaign are."""

    agreement: Agreement
    annotators: list[OfSource]
    drift: DriftOut
    consensus: ConsensusOut | None = Field(description="Of an attribute.")


class ItemConsensus(BaseModel):
    """What the votes on one item come to: one line each."""

    item_id: str
    option: int = Field(description="Place of the most likely one.")
    label: str
    probability: float
    probabilities: list[float] = Field(description="Of each option, in their order.")
    votes: int


@router.get("/{campaign_id}/quality", responses=described(QualityOut))
async def get_quality(campaign_id: PathId, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """Agreement, how reliable each annotator is and what speaks against them, and whether answers drift."""
    tenant = caller.tenant
    scale = tenant.fitted.scale

    def look() -> tuple[Quality, dict[str, float], Consensus | None]:
        campaign = tenant.campaigns.get(campaign_id)
        found = quality(tenant.campaigns, campaign_id, (scale.low, scale.high))
        weights = weights_now(tenant.recommender, campaign.subject)
        return found, weights, None if campaign.is_taste else consensus(tenant.campaigns, campaign_id)

    found, weights, truth = await tenant.changes.run(look)
    return answered(
        {
            "agreement": {name: _number(value) for name, value in found.agreement.items()},
            "annotators": [
                {
                    "source": one.source,
                    "labels": one.labels,
                    "gold": dict(zip(("right", "of"), one.gold, strict=True)),
                    "repeats": dict(zip(("same", "of"), one.repeats, strict=True))
                    | {"mean_difference": _number(one.mean_difference)},
                    "basis": one.basis,
                    "reliability": one.reliability,
                    "low": one.low,
                    "high": one.high,
                    "weight": weights.get(one.source, 1.0),
                    "median_seconds": _number(one.median_seconds),
                    "flags": list(one.flags),
                }
                for one in found.annotators
            ],
            "drift": {
                "changes": [
                    {"value": one.value, "label": one.place, "before": one.before, "after": one.after}
                    for one in found.drift
                ]
            },
            "consensus": None if truth is None else _said(truth),
        }
    )


@router.get(
    "/{campaign_id}/consensus.jsonl",
    responses={200: {"content": {"application/jsonl": {"schema": ItemConsensus.model_json_schema()}}}, **FAULTS},
)
async def get_consensus(campaign_id: PathId, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """What the votes on an attribute come to: a line for each item with votes."""
    campaigns = caller.tenant.campaigns

    def look() -> bytes:
        return _lines(campaigns.get(campaign_id), consensus(campaigns, campaign_id))

    return Response(await caller.tenant.changes.run(look), media_type="application/jsonl")


def _lines(campaign: Campaign, found: Consensus) -> bytes:
    rows = zip(found.items, found.labels, found.probabilities.tolist(), found.votes, strict=True)
    return b"".join(
        to_json(
            {
                "item_id": item,
                "option": option,
                "label": campaign.options[option],
                "probability": shares[option],
                "probabilities": shares,
                "votes": votes,
            }
        )
        + b"\n"
        for item, option, shares, votes in rows
    )


def _said(found: Consensus) -> dict[str, Any]:
    shares, temperature = found.probabilities, found.temperature
    sure = [row[option] for row, option in zip(shares.tolist(), found.labels, strict=True)]
    return {
        "items": len(found.items),
        "expected_right": sum(sure) / len(sure) if sure else None,
        "temperature": temperature.value,
        "gold": temperature.gold,
        "is_calibrated": temperature.is_calibrated,
    }


def _number(value: Any) -> float | int | None:
    """JSON has no word for what is not a number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
