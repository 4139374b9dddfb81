"""Items: found by what they are called."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from palate.service.access import Allow, Caller
from palate.service.bodies import SearchOut, SearchQuery
from palate.service.routing import answered, described, query_of, read_query

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/items", tags=["items"])


@router.get("/search", responses=described(SearchOut), openapi_extra={"parameters": query_of(SearchQuery)})
async def get_search(
    query: Annotated[SearchQuery, Depends(read_query(SearchQuery))],
    caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))],
) -> Response:
    """Items that are called so or nearly so, likeliest first."""
    learner = caller.tenant.learner
    found = await caller.tenant.scores.run(lambda: learner.search(query.q, query.k))
    return answered({"items": [{"item_id": one.id, "title": one.title or one.id} for one in found]})
