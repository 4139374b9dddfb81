"""Items: found by what they are called, added, changed, withdrawn."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Depends, Request, Response

from palate.datasets.media import UnreadableMedia, media_of
from palate.entities import AUDIO, CATEGORY, CATEGORY_SEPARATOR, IMAGE, ITEM, TEXT
from palate.errors.checks import normalise_id
from palate.model.catalogue import Catalogue
from palate.model.spoken import as_said, year_of
from palate.oracles.item_labels import ItemLabels
from palate.service.access import Allow, Caller
from palate.service.bodies import ITEMS, ItemIn, PathId
from palate.service.faults import HTTPFault, not_found
from palate.service.item_bodies import (
    AttributesOut,
    DetailsOut,
    DetailsQuery,
    ItemsOut,
    SearchOut,
    SearchQuery,
    TextOut,
    Withdrawn,
)
from palate.service.routing import FAULTS, answered, body_of, described, many, query_of, read_query

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/items", tags=["items"])
SOUNDS = {
    b"RIFF": "audio/wav",
    b"ID3": "audio/mpeg",
    b"\xff\xfb": "audio/mpeg",
    b"fLaC": "audio/flac",
    b"OggS": "audio/ogg",
}
IMAGES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
SHOWN_TEXT = 2_000  # characters of an item's text
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


@router.get("", responses=described(DetailsOut), openapi_extra={"parameters": query_of(DetailsQuery)})
async def get_items(
    query: Annotated[DetailsQuery, Depends(read_query(DetailsQuery))],
    caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))],
) -> Response:
    """What items are, as one shows them; ids that the model does not hold are left out."""
    catalogue, has_images = caller.tenant.fitted.catalogue, caller.tenant.settings.images is not None
    held = [id for id in dict.fromkeys(query.id) if id in catalogue]
    found = [_details(catalogue, catalogue.position(id), has_images) for id in held]
    return answered({"items": found})


@router.get("/{item_id}/text", responses=described(TextOut))
async def get_text(
    item_id: PathId, caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))]
) -> Response:
    """All of an item's text, of which elsewhere the first 2,000 characters are shown."""
    catalogue = caller.tenant.fitted.catalogue
    if item_id not in catalogue:
        raise not_found("item")
    return answered({"item_id": item_id, "text": catalogue.table[TEXT][catalogue.position(item_id)] or ""})


@router.get("/{item_id}/attributes", responses=described(AttributesOut))
async def get_attributes(item_id: PathId, caller: Annotated[Caller, Depends(Allow("service"))]) -> Response:
    """What those who label items say of one, as the model that serves was fitted with it."""
    model = caller.tenant.fitted
    if item_id not in model.catalogue:
        raise not_found("item")
    item = model.catalogue.ids[model.catalogue.position(item_id)]
    return answered({"item_id": item, "attributes": [_said_of(one, item) for one in model.item_labels]})


@router.get("/{item_id}/image", responses={200: {"content": {kind: {} for kind in IMAGES.values()}}, **FAULTS})
async def get_image(
    item_id: PathId, caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))]
) -> Response:
    """The image of an item, where there is one."""
    return await _media(caller, item_id, IMAGE, IMAGES)


@router.get("/{item_id}/audio", responses={200: {"content": {kind: {} for kind in SOUNDS.values()}}, **FAULTS})
async def get_audio(
    item_id: PathId, caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))]
) -> Response:
    """The sound of an item, where there is one."""
    return await _media(caller, item_id, AUDIO, SOUNDS)


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
async def delete_item(item_id: PathId, caller: Annotated[Caller, Depends(Allow("service", kept=True))]) -> Response:
    """Withdraw an item from lists and questions; what it taught stays in the model."""
    item_id, tenant = normalise_id(item_id, ITEM), caller.tenant
    await tenant.changes.run(lambda: tenant.recommender.withdraw_items([item_id]))
    await tenant.changed()
    return answered({"item_id": item_id})


def _details(catalogue: Catalogue, place: int, has_images: bool) -> dict[str, Any]:
    row, name = catalogue.table.row(place, named=True), catalogue.names[place]
    return {
        "item_id": catalogue.ids[place],
        "title": as_said(name),
        "year": year_of(name),
        "categories": [part for part in (row[CATEGORY] or "").split(CATEGORY_SEPARATOR) if part],
        "text": (row[TEXT] or "")[:SHOWN_TEXT],
        "has_image": has_images and isinstance(row.get(IMAGE), str) and bool(row[IMAGE]),
    }


def _said_of(labels: ItemLabels, item_id: str) -> dict[str, Any]:
    """Of one attribute; without probabilities where nobody labelled the item."""
    row = bisect_left(labels.items, item_id)
    is_labelled = row < len(labels.items) and labels.items[row] == item_id
    lower = labels.lower[row].tolist() if is_labelled else None
    return {
        "name": labels.attribute.name,
        "options": list(labels.attribute.options),
        "probabilities": labels.probabilities[row].tolist() if is_labelled else None,
        "at_least": lower,
        "votes": float(labels.votes[row]) if is_labelled else 0.0,
        "known": bool(is_labelled and labels.known[row]),
        "calibrated": labels.is_calibrated,
    }


async def _media(caller: Caller, item_id: str, column: str, kinds: dict[bytes, str]) -> Response:
    """An image or a sound, if it is of a kind that is sent.

    Raises:
        HTTPFault: 404 if there is none.
    """
    tenant = caller.tenant
    raw = await tenant.changes.run(lambda: _read(tenant.fitted.catalogue, item_id, column, tenant.settings.images))
    kind = next((kind for magic, kind in kinds.items() if raw[: len(magic)] == magic), None)
    if kind is None:
        raise not_found(column)
    return Response(raw, media_type=kind)


def _read(catalogue: Catalogue, item_id: str, column: str, folder: Path | None) -> bytes:
    """The bytes of a file inside the folder; none where there is no such, or no folder."""
    if folder is None or item_id not in catalogue or column not in catalogue.table.columns:
        return b""
    place = catalogue.position(item_id)
    media = media_of(catalogue.table[[place]], column, folder)
    try:
        return b"" if media is None else media.read(0)
    except UnreadableMedia:
        return b""


def _table(items: list[ItemIn]) -> pl.DataFrame:
    return pl.DataFrame([one.model_dump() for one in items])
