"""Labels and events: kept before they are acknowledged, once however often they are sent."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from palate.entities import Answer, AnswerKind, Form
from palate.entities.provenance import Provenance
from palate.errors import AnswerError, PalateError
from palate.errors.checks import keys_of, normalise_id
from palate.loop.taken import check_answer
from palate.model.counted import is_of_taste
from palate.records import Event as SeenEvent
from palate.records import Record
from palate.service.access import Allow, Caller
from palate.service.bodies import EVENTS, LABELS, Event, EventsOut, Label, LabelsOut, PathId, TakenBack
from palate.service.campaign_bodies import LEASE_LABELS
from palate.service.campaign_routes import submit
from palate.service.faults import HTTPFault, not_found, of_error
from palate.service.question_ids import origin_of
from palate.service.routing import answered, body_of, described, many, with_links
from palate.vocabulary import normal_word

CHANNEL = "http"
_OF_LEASE = re.compile(rb'"lease_id"\s*:')
AT_ONCE = 100  # labels of a batch that are looked at without a break
router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1", tags=["labels"])
_LABEL = {"key": "k1", "user_id": "ann", "item_id": "i1", "kind": "rating", "value": 4}
_USER = {"user_id": "$request.body#/user_id"}
_NEXT = {"delete_label": {"key": "$response.body#/labels/0/key"}, "get_recommendations": _USER, "get_profile": _USER}
_EVENT = {"key": "e1", "user_id": "ann", "item_id": "i1", "event": "click"}


@router.post(
    "/labels",
    responses=with_links(described(LabelsOut), **_NEXT),
    openapi_extra=body_of({"anyOf": [*LABELS.schema()["anyOf"], *LEASE_LABELS.schema()["anyOf"]]}, _LABEL),
)
async def post_labels(
    request: Request, caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))]
) -> Response:
    """Keep one answer or several, all or none. 200 once they are synced; the same again changes nothing.

    An annotator who was given a question (``GET /v1/next``) sends its ``lease_id`` in the place of what it is about.
    """
    if _OF_LEASE.search(await request.body()):
        return answered({"labels": _rows(await submit(await many(request, LEASE_LABELS), caller, CHANNEL))})
    given: list[Label] = await many(request, LABELS)
    model = caller.tenant.fitted
    answers: list[Answer] = []
    for place, label in enumerate(given):
        caller.about(label.user_id)
        if place % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)  # others are served in between
        try:
            found = await named_in(label, caller) if label.form == "words" else ()
            answers += [check_answer(model, answer) for answer in answers_of(label, caller, found)]
        except (HTTPFault, PalateError) as error:
            fault = error if isinstance(error, HTTPFault) else of_error(error)
            fault.field = fault.field if len(given) == 1 else f"{place}.{fault.field}"
            raise fault from None
    return answered({"labels": _rows(await caller.tenant.tell(answers))})


async def named_in(label: Label, caller: Caller) -> list[str]:
    """Items whose titles stand in the words of a label; in a thread, since it may take long."""
    fitted = caller.tenant.fitted
    places = await caller.tenant.changes.run(lambda: fitted.titles.within(label.text))
    return [fitted.catalogue.ids[place] for place in places]


def at_of(claimed: float | None) -> float:
    """When something was said: as the client claims, or now. A claim that is ahead of the log counts as of its row."""
    return time.time() if claimed is None else claimed


def answers_of(label: Label, caller: Caller, named: Sequence[str] = ()) -> list[Answer]:
    """What a label says; of words one answer for each item named in them."""
    source = caller.source(label.source)
    asked: dict[str, Any] = {"asked_at": label.asked_at, "answered_at": at_of(label.answered_at)}
    of: dict[str, Any] = {"channel": CHANNEL, "cost": label.cost, "slate": label.slate or ""}
    if label.form == "words":
        return _named(label, named, source)
    if label.question_id:
        others = tuple(label.others)
        found = origin_of(caller.tenant.ring, label.question_id, label.user_id, label.form, label.item_id, others)
        asked |= {"propensity": found.propensity, "question": found.strategy, "asked_at": found.asked_at}
        of |= {"question_id": found.id, "score": found.value, "model": found.model}
    kind = AnswerKind(label.kind)
    answer = Answer(
        label.user_id,
        label.item_id,
        kind,
        label.value,
        source,
        key=label.key,
        form=Form(label.form),
        others=tuple(label.others),
        tapped=tuple(label.tapped),
        provenance=Provenance(**of),
        **asked,
    )
    return [answer]


def _named(label: Label, found: Sequence[str], source: str) -> list[Answer]:
    if label.item_id or label.value is not None or label.others or label.tapped or label.kind != "rating":
        raise HTTPFault(422, "bad_answer", "words have a text and nothing else. Leave the other fields out.", "form")
    if not found:
        raise HTTPFault(422, "bad_answer", "no title of an item is in the text. Name one with the form recall.", "text")
    named = zip(found, keys_of(label.key), strict=False)
    of = Provenance(channel=CHANNEL, cost=label.cost, slate=label.slate or "")
    more: dict[str, Any] = {"answered_at": at_of(label.answered_at), "form": Form.RECALL, "provenance": of}
    return [Answer(label.user_id, item, AnswerKind.RATING, None, source, key=key, **more) for item, key in named]


@router.delete("/labels/{key}", responses=described(TakenBack))
async def delete_label(
    key: PathId, caller: Annotated[Caller, Depends(Allow("service", "annotator", "user"))]
) -> Response:
    """Take a label back, as if it had never been given."""
    tenant, principal = caller.tenant, caller.principal
    key = normalise_id(key, "key")
    record = await tenant.changes.run(lambda: tenant.recommender.find(key))
    if record is None or not isinstance(record.content, Answer) or record.retracts:
        raise not_found("label")
    answer = record.content
    foreign = principal.role == "user" and answer.user_id != principal.user_id
    if foreign or (principal.role == "annotator" and answer.source != principal.source):
        raise not_found("label")

    def undo() -> list[Record]:
        try:
            if not is_of_taste(answer):
                return [tenant.recommender.log.retract(answer.key)]
            return [tenant.recommender.undo(answer.user_id, answer.key)]
        except AnswerError:  # taken back before, or by a call at the same time
            return [replace(record, is_repeat=True)]

    (row,) = await tenant.write("retraction", undo)
    return answered({"key": answer.key, "repeated": row.is_repeat})


@router.post("/events", responses=described(EventsOut), openapi_extra=body_of(EVENTS.schema(), _EVENT))
async def post_events(request: Request, caller: Annotated[Caller, Depends(Allow("service", "user"))]) -> Response:
    """Keep what a user did: one event or several, all or none."""
    given: list[Event] = await many(request, EVENTS)
    vocabulary = caller.tenant.fitted.vocabulary
    events = []
    for event in given:
        caller.about(event.user_id)
        word = vocabulary.word(normal_word(event.event))
        events.append(
            SeenEvent(
                event.user_id,
                event.item_id,
                event.event,
                float(word.sign),
                at_of(event.at),
                event.key,
                event.slate or "",
            )
        )
    return answered({"events": _rows(await caller.tenant.see(events))})


def _rows(kept: list[Record]) -> list[dict[str, Any]]:
    return [{"key": row.content.key, "seq": row.seq, "repeated": row.is_repeat} for row in kept]
