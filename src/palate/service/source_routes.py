"""How much what a source says counts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field

from palate.entities.provenance import TASTE
from palate.records import Calibration, Record
from palate.service.access import Allow, Caller
from palate.service.bodies import Id, Kept, PathId, Strict
from palate.service.routing import answered, body_of, described, raw_body, ref

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/sources", tags=["sources"])


class Weight(Strict):
    """What each answer of a source counts beside one of the user's own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "w1", "weight": 0.5}]})

    key: Id = Field(description="Made by the client: the same key again changes nothing.")
    weight: Annotated[float, Field(ge=0.0, le=1.0)] = Field(description="1: as much; 0: its answers say nothing.")
    subject: Id = Field(TASTE, description="Of the answers: taste, or the name of an attribute.")


@router.post("/{source}/weight", responses=described(Kept), openapi_extra=body_of(ref(Weight)))
async def post_weight(
    source: PathId, request: Request, caller: Annotated[Caller, Depends(Allow(kept=True))]
) -> Response:
    """How reliable a source is from now on, for what it said before, too. The last call counts; no label is changed."""
    given = Weight.model_validate_json(await raw_body(request))
    tenant = caller.tenant
    Calibration(source, given.weight, given.subject, key=given.key)

    def calibrate() -> list[Record]:
        return [tenant.recommender.calibrate(source, given.weight, subject=given.subject, key=given.key)]

    (row,) = await tenant.write("calibration", calibrate)
    return answered({"key": row.content.key, "seq": row.seq, "repeated": row.is_repeat})
