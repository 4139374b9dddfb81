"""Items: found by what they are called, added, changed, withdrawn."""

from __future__ import annotations

from typing import Annotated

import polars as pl
from fastapi import APIRouter, Depends, Request, Response

from palate.entities import ITEM
from palate.errors.checks import normalise_id
from palate.service.access import Allow, Caller
from palate.service.bodies import ITEMS, ItemIn, ItemsOut, PathId, SearchOut, SearchQuery, Withdrawn
from palate.service.faults import HTTPFault
from palate.service.routing import answered, body_of, described, many, query_of, read_query

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/items", tags=["items"])
_ITEM = {"item_id": "i900", "title": "A new one", "category": "new"}


@router.get("/search", responses=described(SearchOut), openapi_extra={"parameters": query_of(SearchQuery)})
async def get_search(
    query: Annotated[SearchQuery, Depends(read_query(SearchQuery))],
    caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))],
) -> Response:
    """Items that are called so or nearly so, likeliest first."""
    model = caller.tenant.fitted
    places = await caller.tenant.finds.run(lambda: model.titles.search(query.q, query.k))
    found = [model.catalogue.item(place) for place in places]
    return answered({"items": [{"item_id": one.id, "title": one.title or one.id} for one in found]})


@router.put("", responses=described(ItemsOut), openapi_extra=body_of(ITEMS.schema(), _ITEM))
async def put_items(request: Request, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """Items added, or given other content. Lists have them at once; labels go on meanwhile."""
    given: list[ItemIn] = await many(request, ITEMS)
    tenant = caller.tenant
    held = set(tenant.fitted.catalogue.ids)
    normal = [one.model_copy(update={"item_id": normalise_id(one.item_id, ITEM)}) for one in given]
    if len({one.item_id for one in normal}) < len(normal):
        raise HTTPFault(422, "bad_data", "an item comes twice. Send each once.", "item_id")
    new = [one for one in normal if one.item_id not in held]
    old = [one for one in normal if one.item_id in held]

    def change() -> None:
        if new:
            tenant.recommender.add_items(_table(new))
        if old:
            tenant.recommender.change_items(_table(old))

    await tenant.changes.run(change)
    await tenant.changed()
    return answered({"added": len(new), "changed": len(old)})


@router.delete("/search", include_in_schema=False)
async def delete_search(caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """No item: the address of the search."""
    raise HTTPFault(405, "method_not_allowed", "this address does not take that method.")


@router.delete("/{item_id}", responses=described(Withdrawn))
async def delete_item(item_id: PathId, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """Withdraw an item from lists and questions; what it taught stays in the model."""
    item_id, tenant = normalise_id(item_id, ITEM), caller.tenant
    await tenant.changes.run(lambda: tenant.recommender.withdraw_items([item_id]))
    await tenant.changed()
    return answered({"item_id": item_id})


def _table(items: list[ItemIn]) -> pl.DataFrame:
    return pl.DataFrame([one.model_dump() for one in items])
