"""Whether it lives, whether it is ready, and what it has counted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from palate.service.access import Allow, Caller
from palate.service.bodies import Alive, Ready, ReadyQuery
from palate.service.routing import FAULTS, answered, query_of, read_query

router = APIRouter(generate_unique_id_function=lambda route: route.name, tags=["probes"])


@router.get("/livez", responses={200: {"model": Alive}, 400: FAULTS[400]})
async def get_livez() -> Response:
    """Whether the process answers."""
    return answered({"alive": True})


@router.get(
    "/readyz",
    responses={200: {"model": Ready}, 503: {"model": Ready}, 400: FAULTS[400], 422: FAULTS[422]},
    openapi_extra={"parameters": query_of(ReadyQuery)},
)
async def get_readyz(request: Request, query: Annotated[ReadyQuery, Depends(read_query(ReadyQuery))]) -> Response:
    """Whether labels are kept, lists are worked out, or both; if not, why."""
    state = request.app.state
    reasons = ["stopping"] if state.stopping else []
    for tenant in state.tenants.values():
        reasons += tenant.not_ready(query.purpose)
    body = to_json({"ready": not reasons, "reasons": sorted(set(reasons))})
    retry = {"retry-after": "1"} if reasons else {}
    return Response(body, 503 if reasons else 200, {"content-type": "application/json", **retry})


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}, **FAULTS})
async def get_metrics(request: Request, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """Counters, in the format that Prometheus reads."""
    metrics, tenants = request.app.state.metrics, request.app.state.tenants.values()
    metrics.waiting.labels("labels").set(sum(tenant.labels.waiting for tenant in tenants))
    metrics.waiting.labels("lists").set(sum(tenant.scores.waiting for tenant in tenants))
    metrics.seq.set(sum(tenant.seq for tenant in tenants))
    for purpose in ("labels", "scoring"):
        metrics.ready.labels(purpose).set(not any(tenant.not_ready(purpose) for tenant in tenants))
    return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
