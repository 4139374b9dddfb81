"""The pages for a user, sessions of users and of the holders of keys, and what every page has in common."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from palate.entities import Form
from palate.model.answer_keys import keys_of
from palate.model.model import Model
from palate.service.access import SESSION_COOKIE, Allow, Caller
from palate.service.bodies import Strict
from palate.service.faults import forbidden, not_found
from palate.service.keys import ADMIN, Principal
from palate.service.pages.render import KINDS, file_headers, page, page_headers, static_files, version
from palate.service.pages.words import language_of
from palate.service.routing import answered, raw_body
from palate.service.tenant import Tenant

VISITOR = "visitor-"
LANGUAGE_COOKIE, LANGUAGE_SECONDS = "palate_language", 365 * 86_400
# What may be asked here; a page of items to rate is the card, item by item, and a preview needs a text.
FORMS = (Form.RECALL, Form.RATE, Form.GROUP, Form.PICK, Form.PAIR, Form.CONCEPT)
PUBLIC = (  # no key: they tell nothing of anybody, or look at the session themselves
    "GET /",
    "GET /me",
    "GET /annotate",
    "GET /operate",
    "GET /embed",
    "GET /embed.js",
    "GET /favicon.ico",
    "GET /static/{version}/{name}",
    "POST /session",
    "DELETE /session",
)
OPENS = {"annotate": ("annotator",), "operate": ("admin", "service")}  # roles for whom a page of staff is
STAFF_SECONDS = 12 * 3_600.0  # of a session of the holder of a key: a day's work
_YEAR = 365 * 86_400
_SHOWN_ITEMS = 10  # of the list

router = APIRouter(generate_unique_id_function=lambda route: route.name, include_in_schema=False)


_Secret = Annotated[str, Field(min_length=1, max_length=2_000)]


class SessionIn(Strict):
    """Who wants a session: the holder of a token, or of a key for a page; without either, somebody new."""

    token: _Secret | None = None
    key: _Secret | None = None
    page: Literal["annotate", "operate"] = "annotate"


@router.get("/")
async def get_home(request: Request) -> Response:
    """Questions and the list; to whoever has no session, the way to one."""
    found, settings = _user(request), request.app.state.settings
    if found is None:
        return shown(request, "welcome", visitors=settings.visitors and len(request.app.state.tenants) == 1)
    principal, ends = found
    response = shown(request, "user", **_facts(request, principal))
    if principal.user_id.startswith(VISITOR) and ends - time.time() < settings.visitor_seconds / 2:
        _remember(request, response, principal, time.time() + settings.visitor_seconds)
    return response


@router.get("/me")
async def get_me(request: Request) -> Response:
    """What is known of the user, and what they may do with it."""
    found = _user(request)
    if found is None:
        return Response(status_code=303, headers={"location": "/"})
    return shown(request, "me", **_facts(request, found[0]))


@router.get("/embed")
async def get_embed(request: Request) -> Response:
    """The questions and the list for a frame, which gets its token from the page around it."""
    frames = request.app.state.settings.embed_in
    if not frames:
        raise not_found("page")
    tenant = next(iter(request.app.state.tenants.values()))
    return shown(request, "embed", frames=frames, **_facts(request, None, tenant))


@router.get("/embed.js")
async def get_embed_script(request: Request) -> Response:
    """What another site's page loads to show the frame."""
    return _file(request, "embed.js", seconds=300)


@router.get("/static/{version}/{name}")
async def get_static(request: Request) -> Response:
    """A script or a style; one of another version is not kept."""
    is_ours = request.path_params["version"] == version()
    return _file(request, request.path_params["name"], seconds=_YEAR if is_ours else 0)


@router.get("/favicon.ico")
async def get_icon(request: Request) -> Response:
    """What browsers ask for unasked."""
    return _file(request, "icon.svg", seconds=86_400)


@router.get("/session")
async def get_session(caller: Annotated[Caller, Depends(Allow("user"))]) -> Response:
    """Who calls, and how many answers of theirs count."""
    user_id, tenant = caller.principal.user_id, caller.tenant
    told = await tenant.finds.run(lambda: len(tenant.learner.told.get(user_id, ()))) if user_id else 0
    return answered({"user_id": user_id, "answers": told})


@router.post("/session")
async def post_session(request: Request) -> Response:
    """A session for the holder of a user's token or of a key; for somebody new, where the service takes visitors."""
    door = request.app.state.door
    door.check_origin(request)
    given = SessionIn.model_validate_json(await raw_body(request))
    if given.key is not None:
        return _staff(request, given.key.strip(), given.page)
    if given.token is None:
        principal, ends = _visitor(request)
    else:
        principal, ends = door.holder(request, given.token.strip())
    response = answered({"user_id": principal.user_id, "expires_at": ends})
    _remember(request, response, principal, ends)
    return response


@router.delete("/session")
async def delete_session(request: Request) -> Response:
    """End the session in this browser."""
    request.app.state.door.check_origin(request)
    response = answered({})
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict", secure=_is_secure(request))
    return response


def _user(request: Request) -> tuple[Principal, float] | None:
    """Which user has a session in this browser, and when it ends."""
    found = request.app.state.door.session(request)
    return found if found is not None and found[0].role == "user" else None


def _staff(request: Request, key: str, page: str) -> Response:
    principal = request.app.state.door.key_holder(request, key)
    if principal.role not in OPENS[page]:
        raise forbidden(f"a key of the role {principal.role} does not open this page.")
    ends = time.time() + STAFF_SECONDS
    response = answered({"role": principal.role, "expires_at": ends})
    _remember(request, response, principal, ends)
    return response


def _visitor(request: Request) -> tuple[Principal, float]:
    state = request.app.state
    if not state.settings.visitors or len(state.tenants) > 1:
        raise forbidden("this service takes nobody without a token.")
    state.door.count_new(request)
    (tenant,) = state.tenants.values()
    user_id = VISITOR + secrets.token_hex(8)
    return Principal(tenant.name, "user", ADMIN, "visitors", user_id), time.time() + state.settings.visitor_seconds


def _remember(request: Request, response: Response, principal: Principal, ends: float) -> None:
    """In a cookie that no script reads and no other site sends."""
    ring = request.app.state.tenants[principal.tenant].ring
    of_user = principal.role == "user"
    response.set_cookie(
        SESSION_COOKIE,
        ring.session(principal.user_id, ends=ends, key=principal.key)
        if of_user
        else ring.staff_session(principal.key, ends=ends),
        max_age=max(1, int(ends - time.time())),
        path="/",
        httponly=True,
        samesite="strict",
        secure=_is_secure(request),
    )


def _is_secure(request: Request) -> bool:
    return any(origin.startswith("https:") for origin in request.app.state.settings.origins)


def shown(request: Request, name: str, *, frames: Sequence[str] = (), **values: Any) -> Response:
    """A page in the language of its reader, who may have chosen one."""
    asked = request.query_params.get("language", "")
    header = request.headers.get("accept-language", "")
    language = language_of(asked or request.cookies.get(LANGUAGE_COOKIE, ""), header)
    request.scope["palate"].headers = page_headers(frames)
    text = page(name, language, path=request.url.path, frames=list(frames), **values)
    response = Response(text, media_type="text/html; charset=utf-8", headers={"vary": "accept-language, cookie"})
    if asked == language and not frames:
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=LANGUAGE_SECONDS, path="/", samesite="lax")
    return response


def _facts(request: Request, principal: Principal | None, tenant: Tenant | None = None) -> dict[str, Any]:
    """What the scripts of a page need to know, as data."""
    tenant = request.app.state.tenants[principal.tenant] if principal is not None else tenant
    assert tenant is not None
    model = tenant.fitted
    forms = [form.value for form in FORMS if form in model.taste.likelihood.forms]
    facts = {
        "user": principal.user_id if principal is not None else "",
        "forms": forms,
        "levels": _levels(model),
        "items": _SHOWN_ITEMS,
        "isVisitor": principal is not None and principal.user_id.startswith(VISITOR),
    }
    return {"facts": facts}


def _levels(model: Model) -> list[dict[str, Any]]:
    """The answers to "how do you like it", each with its key; by name where they have names."""
    words = model.taste.likelihood.words
    if words:
        named = {max(value, 0.0): ("like" if value > 0 else "dislike", value) for value in words.values()}
        return [{"key": f"{key:g}", "word": word, "value": value} for key, (word, value) in sorted(named.items())[::-1]]
    return [{"key": key, "word": "", "value": value} for key, value in keys_of(model).items()]


def _file(request: Request, name: str, *, seconds: int) -> Response:
    content, suffix = static_files().get(name), name[name.rfind(".") :]
    if content is None or suffix not in KINDS:
        raise not_found("file")
    request.scope["palate"].headers = file_headers(seconds)
    return Response(content, media_type=KINDS[suffix])
