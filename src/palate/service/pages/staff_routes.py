"""The pages of whoever holds a key: the annotator's queue, and what an operator sees and does."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from palate.exchange.formats import FORMATS
from palate.service.item_routes import SHOWN_TEXT
from palate.service.keys import Principal
from palate.service.pages.routes import OPENS, shown

router = APIRouter(generate_unique_id_function=lambda route: route.name, include_in_schema=False)


@router.get("/annotate")
async def get_annotate(request: Request) -> Response:
    """One question after the other, for the holder of an annotator's key."""
    principal = _holder(request, "annotate")
    if principal is None:
        return shown(request, "sign_in", page="annotate")
    return shown(request, "annotate", page="annotate", facts={"source": principal.source, "cut": SHOWN_TEXT})


@router.get("/operate")
async def get_operate(request: Request) -> Response:
    """What the model is and knows, who answers, what was asked and why; keys, erasures, everything as a file."""
    principal = _holder(request, "operate")
    if principal is None:
        return shown(request, "sign_in", page="operate")
    tenant = request.app.state.tenants[principal.tenant]
    model = tenant.fitted
    numbers = {"items": len(model.catalogue), "people": len(model.user_ids), "rows": tenant.seq}
    scale = [model.scale.low, model.scale.high]
    facts = {"isAdmin": principal.role == "admin", "scale": scale, "formats": list(FORMATS)}
    return shown(request, "operate", page="operate", tenant=tenant.name, numbers=numbers, facts=facts)


def _holder(request: Request, page: str) -> Principal | None:
    """Who has a session for a page in this browser."""
    found = request.app.state.door.session(request)
    return found[0] if found is not None and found[0].role in OPENS[page] else None
