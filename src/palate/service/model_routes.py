"""Versions of the model: which there are, and which serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from palate.errors import OptionError
from palate.recommender.versions import Version as Found
from palate.service.access import Allow, Caller
from palate.service.bodies import TrialIn, TrialOut, TrialsOut, Version, VersionsOut, Word
from palate.service.faults import not_found
from palate.service.routing import answered, body_of, described, raw_body, ref

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/models", tags=["models"])


class RowAside(BaseModel):
    """A row of the log, and what its update said, which may hold what the row says."""

    key: str
    reason: str


class Unreadable(BaseModel):
    """A row of the log that is passed over."""

    seq: int
    reason: str


class SetAsideOut(BaseModel):
    """Rows that count for nothing, the first 10,000 of each kind."""

    set_aside: list[RowAside]
    unreadable: list[Unreadable]


@router.get("", responses=described(VersionsOut))
async def get_models(caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """The model that serves and those kept before it, newest first."""
    tenant = caller.tenant
    found = await tenant.changes.run(tenant.recommender.versions)
    return answered({"models": [asdict(one) for one in found]})


@router.get("/set-aside", responses=described(SetAsideOut))
async def get_set_aside(caller: Annotated[Caller, Depends(Allow())]) -> Response:
    """Rows of the log that count for nothing: the model that serves fails on them, or nobody can read them."""
    tenant = caller.tenant
    rows = [{"key": key, "reason": reason} for key, reason in tenant.aside.items()]
    return answered({"set_aside": rows, "unreadable": [asdict(row) for row in tenant.recommender.log.quarantined()]})


@router.post("/rollback", responses=described(Version))
async def post_rollback(caller: Annotated[Caller, Depends(Allow(kept=True))]) -> Response:
    """Let the version before serve again."""
    return await _changed(caller, caller.tenant.recommender.rollback)


@router.post("/{version}/promote", responses=described(Version))
async def post_promote(version: Word, caller: Annotated[Caller, Depends(Allow(kept=True))]) -> Response:
    """Let a kept version serve. One that is sick, or does not fit the labels, does not."""
    return await _changed(caller, lambda: caller.tenant.recommender.promote(version))


@router.get("/trial", responses=described(TrialsOut))
async def get_trial(caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """How the version on trial does; of one that was ended, why."""
    trial = caller.tenant.trial
    return answered({"trial": None if trial is None else trial.facts()})


@router.post("/{version}/trial", responses=described(TrialOut), openapi_extra=body_of(ref(TrialIn)))
async def post_trial(version: Word, request: Request, caller: Annotated[Caller, Depends(Allow(kept=True))]) -> Response:
    """Try a kept version, in the shadow or on a share of the users. It ends by itself if it does worse or fails."""
    given = TrialIn.model_validate_json(await raw_body(request))
    try:
        trial = await caller.tenant.start_trial(version, given.share)
    except OptionError:
        raise not_found("version") from None
    return answered(trial.facts())


@router.delete("/trial", responses=described(TrialsOut))
async def delete_trial(caller: Annotated[Caller, Depends(Allow(kept=True))]) -> Response:
    """End the trial: the model that serves answers everybody."""
    trial = caller.tenant.trial
    if trial is not None:
        trial.end("an admin ended it")
    return answered({"trial": None if trial is None else trial.facts()})


async def _changed(caller: Caller, change: Callable[[], Found]) -> Response:
    try:
        found = await caller.tenant.changes.run(change)
    except OptionError:
        raise not_found("version") from None
    if caller.tenant.trial is not None:
        caller.tenant.trial.end("another model serves")
    await caller.tenant.changed()
    return answered(asdict(found))
