"""What is shown to a user, asked of them, known of them, and done with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, Response

from palate.records import Attribute, Record
from palate.service.access import Allow, Caller
from palate.service.bodies import (
    Attributes,
    AttributesOut,
    Consent,
    ErasedOut,
    ExportOut,
    Kept,
    ListOut,
    ListQuery,
    PathId,
    ProfileOut,
    QuestionQuery,
    QuestionsOut,
    TokenIn,
    TokenOut,
)
from palate.service.drawn_lists import drawn_list
from palate.service.faults import HTTPFault, forbidden
from palate.service.routing import answered, body_of, described, query_of, raw_body, read_query, ref, written
from palate.service.scoring import Call

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/users/{user_id}", tags=["users"])
bare = APIRouter(generate_unique_id_function=lambda route: route.name, tags=["users"])


@router.get("/recommendations", responses=described(ListOut), openapi_extra={"parameters": query_of(ListQuery)})
async def get_recommendations(
    user_id: PathId,
    query: Annotated[ListQuery, Depends(read_query(ListQuery))],
    caller: Annotated[Caller, Depends(Allow("service", "user"))],
) -> Response:
    """The list to show, best first."""
    call = Call("list", caller.about(user_id), query.k, tuple(query.exclude), query.category, query.language)
    if caller.tenant.settings.explore:
        return written(await drawn_list(caller.tenant, call))
    return written(await caller.tenant.answer(call))


@router.get("/questions", responses=described(QuestionsOut), openapi_extra={"parameters": query_of(QuestionQuery)})
async def get_questions(
    user_id: PathId,
    query: Annotated[QuestionQuery, Depends(read_query(QuestionQuery))],
    caller: Annotated[Caller, Depends(Allow("service", "user"))],
) -> Response:
    """The questions worth asking now, best first."""
    user_id = caller.about(user_id)
    if query.strategy is not None and caller.principal.role == "user":
        raise forbidden("a user may not choose the strategy. Leave it out.")
    return written(await caller.tenant.answer(Call("questions", user_id, query.k, tuple(query.forms), query.strategy)))


@router.get("/profile", responses=described(ProfileOut))
async def get_profile(user_id: PathId, caller: Annotated[Caller, Depends(Allow("service", "user"))]) -> Response:
    """Interest in each category against the average person, with 95 % intervals."""
    return written(await caller.tenant.answer(Call("profile", caller.about(user_id))))


@router.put("/attributes", responses=described(AttributesOut), openapi_extra=body_of(ref(Attributes)))
async def put_attributes(
    user_id: PathId, request: Request, caller: Annotated[Caller, Depends(Allow("service", "user"))]
) -> Response:
    """Who somebody is. What was told before of the same attribute no longer counts; the others stay."""
    user_id = caller.about(user_id)
    given = Attributes.model_validate_json(await raw_body(request))

    def know() -> list[Record]:
        return caller.tenant.recommender.know(user_id, key=given.key, **given.attributes)

    for name, value in given.attributes.items():
        Attribute(user_id, name, cast("float | str | None", value), given.key)  # a list of friends becomes a text
    rows = await caller.tenant.write("attribute", know)
    names = [{"key": row.content.key, "seq": row.seq, "repeated": row.is_repeat} for row in rows]
    return answered({"attributes": names})


@router.post("/tokens", responses=described(TokenOut), openapi_extra=body_of(ref(TokenIn)))
async def post_tokens(
    user_id: PathId, request: Request, caller: Annotated[Caller, Depends(Allow("service"))]
) -> Response:
    """A token with which a browser may act as this user, and as nobody else."""
    user_id = caller.about(user_id)
    given = TokenIn.model_validate_json(await raw_body(request))
    most = caller.tenant.settings.token_seconds
    if given.seconds > most:
        raise HTTPFault(422, "bad_option", f"a token is good for {most:g} seconds at most.", "seconds")
    token, ends = caller.tenant.ring.token(user_id, seconds=given.seconds, key=caller.principal.key)
    return answered({"token": token, "expires_at": ends})


@router.put("/consent", responses=described(Kept), openapi_extra=body_of(ref(Consent)))
async def put_consent(
    user_id: PathId, request: Request, caller: Annotated[Caller, Depends(Allow("service", "user"))]
) -> Response:
    """What a user allows from now on: lists from what is held on them, questions, research."""
    user_id = caller.about(user_id)
    given = Consent.model_validate_json(await raw_body(request))
    recommender = caller.tenant.recommender

    def consent() -> list[Record]:
        return [recommender.consent(user_id, given.purposes, version=given.version, at=given.at, key=given.key)]

    (row,) = await caller.tenant.write("consent", consent)
    return answered({"key": row.content.key, "seq": row.seq, "repeated": row.is_repeat})


@router.get("/export", responses=described(ExportOut))
async def get_export(
    user_id: PathId, caller: Annotated[Caller, Depends(Allow("service", "user", kept=True))]
) -> Response:
    """Everything that is held on a user, at one moment."""
    user_id = caller.about(user_id)
    tenant = caller.tenant
    return answered(await tenant.changes.run(lambda: tenant.recommender.export_user(user_id)))


@bare.delete("/v1/users/{user_id}", responses=described(ErasedOut))
async def delete_user(
    user_id: PathId, caller: Annotated[Caller, Depends(Allow("service", "user", kept=True))]
) -> Response:
    """Take everything of a user out of the log, the data and the models, for good. Labels go on meanwhile."""
    user_id = caller.about(user_id)
    tenant = caller.tenant
    receipt = await tenant.changes.run(lambda: tenant.recommender.erase(user_id))
    await tenant.changed()
    return answered(asdict(receipt))
