"""Who may do what. A dependency of each route, so that a route without one is seen (tests/faults/test_auth.py)."""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from typing import NoReturn
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from palate.entities import USER
from palate.errors.checks import normalise_id
from palate.service.faults import HTTPFault, forbidden, unauthorised
from palate.service.keys import SESSION, Principal
from palate.service.settings import LOOPBACK, Settings
from palate.service.tenant import Tenant

PUBLIC = ("/livez", "/readyz", "/openapi.json")  # no key: they tell nothing of anybody
SESSION_COOKIE = "palate_session"
SAFE = ("GET", "HEAD", "OPTIONS")  # methods that change nothing
_NEW_PER_SECOND, _NEW_AT_ONCE = 0.5, 20  # people who start without a token, from one address
_PEERS = 10_000  # addresses and keys that are counted at the same time


class Bucket:
    """So many calls a second of each name, and twice as many at once."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, per_second: float, burst: float) -> float:
        """0 if the call may go on; otherwise seconds after which it may."""
        now = time.monotonic()
        left, at = self._left.get(name, (burst, now))
        left = min(burst, left + (now - at) * per_second)
        waits = 0.0 if left >= 1.0 else (1.0 - left) / per_second
        self._left[name] = (left - 1.0 if waits == 0.0 else left, now)
        self._left.move_to_end(name)
        if len(self._left) > _PEERS:
            self._left.popitem(last=False)
        return waits


class Door:
    """Looks at keys, and counts."""

    def __init__(self, tenants: dict[str, Tenant], settings: Settings) -> None:
        self._tenants, self._settings = tenants, settings
        self._calls, self._wrong, self._new = Bucket(), Bucket(), Bucket()

    def principal(self, request: Request, *, takes_password: bool = False) -> Principal:
        """Who calls.

        Args:
            takes_password: Whether a key may come as the password of basic authentication, as some programs send it.
                Not where a browser goes: it would send it along to whoever asks.

        Raises:
            HTTPFault: 401 without a right key, 429 if there were too many wrong ones, or too many calls.
        """
        given = request.headers.get("authorization")
        if given is None and SESSION_COOKIE in request.cookies:
            if request.method not in SAFE:
                self.check_origin(request)
            session = self.session(request)
            return self.refuse(request) if session is None else self._within(session[0])
        scheme, _, presented = (given or "").partition(" ")
        if takes_password and scheme.lower() == "basic":
            scheme, presented = "bearer", _password(presented)
        if scheme.lower() == "bearer":
            for tenant in self._tenants.values():
                found = tenant.ring.who(presented.strip())
                if found is not None:
                    return self._within(found)
        return self.refuse(request)

    def session(self, request: Request) -> tuple[Principal, float] | None:
        """Whose session a browser has, a user's or that of the holder of a key, and when it ends; None without one."""
        cookie = request.cookies.get(SESSION_COOKIE, "")
        rings = [tenant.ring for tenant in self._tenants.values()] if cookie else []
        found = (ring.who_until(cookie, SESSION) or ring.staff_until(cookie) for ring in rings)
        return next(filter(None, found), None)

    def holder(self, request: Request, token: str) -> tuple[Principal, float]:
        """Whose token it is, and when it ends.

        Raises:
            HTTPFault: As :meth:`refuse` does.
        """
        found = (tenant.ring.who_until(token) for tenant in self._tenants.values())
        return next(filter(None, found), None) or self.refuse(request)

    def key_holder(self, request: Request, key: str) -> Principal:
        """Whose key it is; a user's token is none.

        Raises:
            HTTPFault: As :meth:`refuse` does.
        """
        found = filter(None, (tenant.ring.who(key) for tenant in self._tenants.values()))
        return next((one for one in found if one.role != "user"), None) or self.refuse(request)

    def count_new(self, request: Request) -> None:
        """Somebody who starts without a token.

        Raises:
            HTTPFault: 429 if there were too many.
        """
        waits = self._new.take(_peer(request), _NEW_PER_SECOND, _NEW_AT_ONCE)
        if waits:
            raise _too_many(waits, "new people")

    def check_origin(self, request: Request) -> None:
        """A browser sends a session along whoever made the page; only what our own pages send is taken.

        Without origins of its own the service knows its address by the names of this machine alone: a name from
        elsewhere that leads here is none.

        Raises:
            HTTPFault: 403 if it comes from elsewhere, or does not say from where.
        """
        origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
        ours = self._settings.origins
        is_here = origin == f"http://{host}" and urlsplit(origin).hostname in LOOPBACK
        if origin not in ours if ours else not is_here:
            raise forbidden("this comes from a page of another origin. Open the pages of this service itself.")

    def refuse(self, request: Request) -> NoReturn:
        """To whoever has no right key.

        Raises:
            HTTPFault: 401, or 429 if there were too many.
        """
        # only who has no right key is counted: nobody can lock the owner of one out
        metrics = next(iter(self._tenants.values())).metrics
        metrics.refused.inc()
        most = self._settings.wrong_keys_per_minute
        waits = self._wrong.take(_peer(request), most / 60.0, most)
        if waits:
            raise _too_many(waits, "wrong keys")
        raise unauthorised()

    def _within(self, found: Principal) -> Principal:
        is_user = found.role == "user"
        most = self._settings.user_calls_per_second if is_user else self._settings.calls_per_second
        waits = self._calls.take(f"{found.tenant} {found.key} {found.user_id}", most, 2 * most)
        if waits:
            raise _too_many(waits, "calls")
        return found


def _password(presented: str) -> str:
    """Of basic authentication; empty where it is none."""
    try:
        return base64.b64decode(presented.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _too_many(waits: float, what: str) -> HTTPFault:
    return HTTPFault(
        429, "too_many", f"too many {what}. Try again after the seconds in Retry-After.", retry=max(1, round(waits))
    )


class Allow(SecurityBase):
    """The dependency of a route: only these roles, and a user only where it is about them.

    Args:
        roles: Besides ``admin``, who may do all.
        takes_password: As of :meth:`Door.principal`.
        kept: Whether it is kept who asked for it (:mod:`palate.store.audit`), before it is done.
    """

    def __init__(self, *roles: str, kept: bool = False, takes_password: bool = False) -> None:
        self.roles, self._is_kept = frozenset({"admin", *roles}), kept
        self._takes_password = takes_password
        self.model = HTTPBearer(description="A key (palate keys add), or a user's token (POST /v1/users/{id}/tokens).")
        self.scheme_name = "key"

    async def __call__(self, request: Request) -> Caller:
        """Raises HTTPFault: 401, 403 or 429; StoreError: If an action that is to be kept cannot be."""
        app = request.app.state
        principal: Principal = app.door.principal(request, takes_password=self._takes_password)
        request.scope["palate"].principal = principal
        if principal.role not in self.roles:
            raise forbidden(f"the role {principal.role} may not do this.")
        caller = Caller(principal, app.tenants[principal.tenant])
        if self._is_kept:
            await _keep(caller, request)
        return caller


async def _keep(caller: Caller, request: Request) -> None:
    """Who asks for what: ids of keys, versions and campaigns; a user by a pseudonym."""
    tenant, principal, path = caller.tenant, caller.principal, request.scope["route"].path
    given = dict(request.path_params)
    if "user_id" in given:
        given["user_id"] = tenant.ring.pseudonym(caller.about(given["user_id"]))
    about = " ".join(f"{name}={value}" for name, value in given.items())
    who = f"key {principal.key} ({principal.role})"
    is_read = request.method in SAFE
    await tenant.changes.run(lambda: tenant.keep_action(who, f"{request.method} {path}", about, is_read=is_read))


class Caller:
    """Who calls, and their tenant."""

    __slots__ = ("principal", "tenant")

    def __init__(self, principal: Principal, tenant: Tenant) -> None:
        self.principal, self.tenant = principal, tenant

    def about(self, user_id: str) -> str:
        """The user's id in its normal form.

        Raises:
            IdError: If it is none.
            HTTPFault: If the caller is a user, and another.
        """
        user_id = normalise_id(user_id, USER)
        if self.principal.role == "user" and user_id != self.principal.user_id:
            raise forbidden("a user's token is for that user alone.")
        return user_id

    def source(self, given: str | None) -> str:
        """Who answers: of an annotator and of a user what their key says, under a pseudonym, whatever they send.

        Raises:
            HTTPFault: If they send another.
        """
        role = self.principal.role
        if role not in ("annotator", "user"):
            return given or "person"
        source = self.principal.source if role == "annotator" else "person"
        if given not in (None, source):
            raise forbidden("the source is the holder of the key. Leave it out.")
        return source
