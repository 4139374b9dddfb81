"""Campaigns: made and looked at by who runs them; asked for, answered, given back by annotators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import fields
from itertools import islice
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from palate.campaign import Campaign, Given, Lease, Submission
from palate.entities import AUDIO, IMAGE, TEXT
from palate.model.answer_keys import KEYS, keys_of
from palate.model.model import Model
from palate.model.spoken import as_said
from palate.records import Record
from palate.service.access import Allow, Caller
from palate.service.bodies import PathId
from palate.service.campaign_bodies import (
    Asked,
    CampaignIn,
    CampaignOut,
    CampaignsOut,
    LeaseLabel,
    LeaseStateOut,
    NextOut,
    NextQuery,
    NoteIn,
    NoteOut,
    ProgressOut,
    StateIn,
)
from palate.service.item_routes import SHOWN_TEXT
from palate.service.routing import FAULTS, answered, body_of, described, query_of, raw_body, read_query, ref, with_links

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1", tags=["campaigns"])
_LINES = 500  # of a download, at once
_CAMPAIGN = {"campaign_id": "$response.body#/campaign/id"}
_LINKS = dict.fromkeys(("get_campaign", "post_campaign_state"), _CAMPAIGN)


@router.post(
    "/campaigns", responses=with_links(described(CampaignOut), **_LINKS), openapi_extra=body_of(ref(CampaignIn))
)
async def post_campaigns(request: Request, caller: Annotated[Caller, Depends(Allow("service", kept=True))]) -> Response:
    """Make a campaign; it is open."""
    given = CampaignIn.model_validate_json(await raw_body(request)).model_dump()
    given["id"], tenant = given.pop("key") or "", caller.tenant
    campaign = Campaign(**{**given, "options": given["options"] or ()})
    made = await tenant.changes.run(lambda: tenant.campaigns.make(campaign))
    return answered({"campaign": _plain(made)})


@router.get("/campaigns", responses=described(CampaignsOut))
async def get_campaigns(caller: Annotated[Caller, Depends(Allow("service", "annotator"))]) -> Response:
    """Every campaign, the last first."""
    tenant = caller.tenant
    found = await tenant.changes.run(tenant.campaigns.all)
    is_annotator = caller.principal.role == "annotator"
    return answered({"campaigns": [_brief(one) if is_annotator else _plain(one) for one in found]})


@router.get("/campaigns/{campaign_id}", responses=described(ProgressOut))
async def get_campaign(campaign_id: PathId, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """A campaign, how far it is, and what each annotator did."""
    tenant = caller.tenant
    found = await tenant.asks.run(lambda: tenant.campaigns.progress(campaign_id))
    campaign = await tenant.changes.run(lambda: tenant.campaigns.get(campaign_id))
    said = {one.name: getattr(found, one.name) for one in fields(found)}
    said["expected_gain_left"] = said.pop("gain_left")
    return answered({"campaign": _plain(campaign), "progress": said})


@router.post("/campaigns/{campaign_id}/state", responses=described(CampaignOut), openapi_extra=body_of(ref(StateIn)))
async def post_campaign_state(
    campaign_id: PathId, request: Request, caller: Annotated[Caller, Depends(Allow("service", kept=True))]
) -> Response:
    """Open it, pause it (nothing new is given, labels are taken), or close it (labels are refused)."""
    given, tenant = StateIn.model_validate_json(await raw_body(request)), caller.tenant
    campaign = await tenant.changes.run(lambda: tenant.campaigns.set_state(campaign_id, given.state))
    return answered({"campaign": _plain(campaign)})


@router.get(
    "/campaigns/{campaign_id}/labels.jsonl",
    responses={200: {"content": {"application/jsonl": {"schema": Asked.model_json_schema()}}}, **FAULTS},
)
async def get_campaign_labels(
    campaign_id: PathId, caller: Annotated[Caller, Depends(Allow("service", kept=True))]
) -> Response:
    """What was asked and why, and what came of it: a line for each lease, in order."""
    tenant = caller.tenant
    await tenant.changes.run(lambda: tenant.campaigns.get(campaign_id))
    rows = tenant.campaigns.labels(campaign_id)

    async def lines() -> AsyncIterator[bytes]:
        while some := await tenant.changes.run(lambda: list(islice(rows, _LINES))):
            yield b"".join(to_json(row) + b"\n" for row in some)

    return StreamingResponse(lines(), media_type="application/jsonl")


@router.get("/next", responses=described(NextOut), openapi_extra={"parameters": query_of(NextQuery)})
async def get_next(
    query: Annotated[NextQuery, Depends(read_query(NextQuery))],
    caller: Annotated[Caller, Depends(Allow("annotator"))],
) -> Response:
    """The questions that are the caller's: those that they hold, then the best that are free."""
    tenant = caller.tenant
    held = tuple(filter(None, query.held.split(",")))
    given = await tenant.asking.next(query.campaign, annotator_of(caller), query.k, held)
    return answered(_said(given, tenant.fitted, tenant.settings.images is not None))


async def submit(given: Sequence[LeaseLabel], caller: Caller, channel: str) -> list[Record]:
    """Keep annotators' answers, all or none."""
    source, tenant = annotator_of(caller), caller.tenant
    labels = [Submission(**one.model_dump(), source=source, channel=channel) for one in given]
    return await tenant.submit(labels)


@router.post("/leases/{lease_id}/release", responses=described(LeaseStateOut))
async def post_release(lease_id: PathId, caller: Annotated[Caller, Depends(Allow("annotator"))]) -> Response:
    """Give a question back: somebody else may be given it."""
    tenant, source = caller.tenant, annotator_of(caller)
    return _state(await tenant.changes.run(lambda: tenant.campaigns.release(lease_id, source)))


@router.post("/leases/{lease_id}/extend", responses=described(LeaseStateOut))
async def post_extend(lease_id: PathId, caller: Annotated[Caller, Depends(Allow("annotator"))]) -> Response:
    """Hold a question as long again from now."""
    tenant, source = caller.tenant, annotator_of(caller)
    return _state(await tenant.changes.run(lambda: tenant.campaigns.extend(lease_id, source)))


@router.post("/leases/{lease_id}/notes", responses=described(NoteOut), openapi_extra=body_of(ref(NoteIn)))
async def post_note(
    lease_id: PathId, request: Request, caller: Annotated[Caller, Depends(Allow("annotator"))]
) -> Response:
    """Flag a question, and say what is wrong with it."""
    given, tenant, source = NoteIn.model_validate_json(await raw_body(request)), caller.tenant, annotator_of(caller)

    def note() -> str:
        return tenant.campaigns.note(lease_id, source, flag=given.flag, comment=given.comment, key=given.key)

    return answered({"key": await tenant.changes.run(note)})


def annotator_of(caller: Caller) -> str:
    """Under which name somebody answers: an annotator's pseudonym; of an admin the name of the key."""
    return caller.principal.source or caller.principal.name


def _state(lease: Lease) -> Response:
    return answered({"lease_id": lease.id, "state": lease.state, "expires_at": lease.expires_at})


def _plain(campaign: Campaign) -> dict[str, Any]:
    said = {one.name: getattr(campaign, one.name) for one in fields(campaign)}
    return {**said, "options": list(campaign.options) or None}


def _brief(campaign: Campaign) -> dict[str, Any]:
    return {name: getattr(campaign, name) for name in ("id", "name", "question", "subject", "state")}


def _said(given: Given, model: Model, has_images: bool) -> dict[str, Any]:
    campaign = given.campaign
    keys = keys_of(model).items() if campaign.is_taste else ()
    values = [{"key": key, "value": value, "label": f"{value:g}"} for key, value in keys] or [
        {"key": KEYS[place : place + 1], "value": place, "label": text} for place, text in enumerate(campaign.options)
    ]
    leases = [
        {"lease_id": lease.id, "expires_at": lease.expires_at, "user_id": lease.user_id, "item_id": lease.item_id}
        | _shown(model, lease.item_id, has_images)
        | {"values": values, "why": why, "gain": lease.gain}
        for lease, why in zip(given.leases, given.whys, strict=True)
    ]
    progress = {"mine": given.mine, "team": given.team, "budget_left": given.budget_left}
    return {
        "campaign": _brief(campaign),
        "leases": leases,
        "stale": given.stale,
        "done": given.done or None,
        "progress": {**progress, "expected_gain_left": given.gain_left},
    }


def _shown(model: Model, item_id: str, has_images: bool) -> dict[str, Any]:
    """What is shown of an item; one that has left the model by its id."""
    catalogue, none = model.catalogue, {"title": item_id, "text": "", "image": None, "audio": None}
    if item_id not in catalogue:
        return none
    place = catalogue.position(item_id)
    row = catalogue.table.row(place, named=True)

    def address(column: str) -> str | None:
        is_there = has_images and isinstance(row.get(column), str) and bool(row[column])
        return f"/v1/items/{quote(item_id, safe='')}/{column}" if is_there else None

    said = {"title": as_said(catalogue.names[place]), "text": (row[TEXT] or "")[:SHOWN_TEXT]}
    return {**none, **said, "image": address(IMAGE), "audio": address(AUDIO)}
