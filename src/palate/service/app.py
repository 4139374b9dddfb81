"""The application: models by tenant, behind the gate, with every route of the contract."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from palate._version import __version__
from palate.errors import OptionError
from palate.recommender import Recommender
from palate.service import (
    campaign_routes,
    item_routes,
    label_routes,
    label_studio_routes,
    model_routes,
    probe_routes,
    quality_routes,
    source_routes,
    user_routes,
)
from palate.service.access import Door
from palate.service.bodies import Attributes, Consent, Event, ItemIn, Label, TokenIn, TrialIn
from palate.service.campaign_bodies import CampaignIn, LeaseLabel, NoteIn, StateIn
from palate.service.fault_handlers import say_faults
from palate.service.gate import Gate
from palate.service.keys import ADMIN_VARIABLE, KeyRing
from palate.service.logs import RequestLog
from palate.service.metrics import Metrics
from palate.service.pages import operate_routes, routes, staff_routes
from palate.service.routing import TELEMETRY_OFF
from palate.service.settings import Settings
from palate.service.source_routes import Weight
from palate.service.tenant import Tenant
from palate.service.traces import Traces
from palate.store.open_store import database_of


def create_app(
    models: Mapping[str, Path],
    settings: Settings | None = None,
    *,
    store: str = "",
    log: RequestLog | None = None,
    traces: Traces | None = None,
) -> FastAPI:
    """An ASGI application that serves model folders.

    Args:
        models: By the name of the tenant.
        settings: Limits; the defaults if None.
        store: URL or path of the log, in the place of the one in the folder; for one model alone.
        log: Where lines go; standard error if None.
        traces: Where spans go; where the environment says if None, which may be nowhere.
    Raises:
        OptionError: If there is no model, or an admin key or a store is given for several.
        ModelFolderError, StoreError: If one cannot be opened.
    """
    settings = settings or Settings()
    traces = Traces.configured() if traces is None else traces
    log, metrics = log or RequestLog(requests=settings.log_requests), Metrics()
    given = os.environ.get(ADMIN_VARIABLE, "")
    if not models:
        raise OptionError("0 models are given. Give the folder of at least one.")
    if len(models) > 1 and (given or store):
        what = ADMIN_VARIABLE if given else "a store"
        raise OptionError(f"{what} is given for {len(models)} models. Serve one model, or leave it out.")
    tenants: dict[str, Tenant] = {}
    for name, folder in models.items():
        recommender = Recommender.open(folder, store=store or None)
        log.say("log opened", tenant=name, database=database_of(store))
        ring = KeyRing(folder, tenant=name, given=given)
        tenants[name] = Tenant(
            name, folder, recommender, ring, settings, metrics, say=log.say, alert=log.alert, store=store
        )
        if ring.made_admin:
            log.say("admin key made", tenant=name, file=str(ring.admin_file))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        for tenant in tenants.values():
            tenant.start()
        yield
        for tenant in tenants.values():
            await tenant.stop()
        if traces is not None:
            traces.close()
        log.say("stopped")

    app = FastAPI(
        title="Palate", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan, telemetry=TELEMETRY_OFF
    )
    app.state.tenants, app.state.settings, app.state.metrics = tenants, settings, metrics
    app.state.traces = traces
    app.state.door, app.state.stopping, app.state.log = Door(tenants, settings), False, log
    contract = (
        label_routes,
        user_routes,
        item_routes,
        campaign_routes,
        quality_routes,
        model_routes,
        source_routes,
        probe_routes,
    )
    for part in (*contract, routes, staff_routes, operate_routes, label_studio_routes):
        app.router.routes.extend(part.router.routes)  # one flat list, which a test walks
    app.router.routes.extend(user_routes.bare.routes)
    say_faults(app)
    app.add_middleware(Gate, settings=settings, metrics=metrics, log=log, traces=traces)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI, with the schemas of bodies that are parsed in one pass and that FastAPI does not see."""
    if app.openapi_schema is None:
        found = FastAPI.openapi(app)
        schemas = found["components"]["schemas"]
        for kind in (
            Label,
            LeaseLabel,
            Event,
            ItemIn,
            Attributes,
            TokenIn,
            Consent,
            TrialIn,
            CampaignIn,
            StateIn,
            NoteIn,
            Weight,
        ):
            schema = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[kind.__name__] = schema
        app.openapi_schema = found
    return app.openapi_schema
