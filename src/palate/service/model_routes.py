"""Versions of the model: which there are, and which serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from palate.errors import OptionError
from palate.recommender.versions import Version as Found
from palate.service.access import Allow, Caller
from palate.service.bodies import Version, VersionsOut, Word
from palate.service.faults import not_found
from palate.service.routing import answered, described

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/models", tags=["models"])


@router.get("", responses=described(VersionsOut))
async def get_models(caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """The model that serves and those kept before it, newest first."""
    tenant = caller.tenant
    found = await tenant.changes.run(tenant.recommender.versions)
    return answered({"models": [asdict(one) for one in found]})


@router.post("/rollback", responses=described(Version))
async def post_rollback(caller: Annotated[Caller, Depends(Allow())]) -> Response:
    """Let the version before serve again."""
    return await _changed(caller, caller.tenant.recommender.rollback)


@router.post("/{version}/promote", responses=described(Version))
async def post_promote(version: Word, caller: Annotated[Caller, Depends(Allow())]) -> Response:
    """Let a kept version serve. One that is sick, or does not fit the labels, does not."""
    return await _changed(caller, lambda: caller.tenant.recommender.promote(version))


async def _changed(caller: Caller, change: Callable[[], Found]) -> Response:
    try:
        found = await caller.tenant.changes.run(change)
    except OptionError:
        raise not_found("version") from None
    await caller.tenant.changed()
    return answered(asdict(found))
