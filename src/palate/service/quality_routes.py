"""How good the labels of a campaign are."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from palate.campaign.quality import Quality, quality, weights_now
from palate.service.access import Allow, Caller
from palate.service.bodies import PathId
from palate.service.routing import answered, described

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


class QualityOut(BaseModel):
    """How good the labels of a campaign are."""

    agreement: Agreement
    annotators: list[OfSource]
    drift: DriftOut


@router.get("/{campaign_id}/quality", responses=described(QualityOut))
async def get_quality(campaign_id: PathId, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """Agreement, how reliable each annotator is and what speaks against them, and whether answers drift."""
    tenant = caller.tenant
    scale = tenant.fitted.scale

    def look() -> tuple[Quality, dict[str, float]]:
        found = quality(tenant.campaigns, campaign_id, (scale.low, scale.high))
        return found, weights_now(tenant.recommender, tenant.campaigns.get(campaign_id).subject)

    found, weights = await tenant.changes.run(look)
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
        }
    )


def _number(value: Any) -> float | int | None:
    """JSON has no word for what is not a number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
