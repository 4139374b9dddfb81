"""Who may do what. A dependency of each route, so that a route without one is seen (tests/faults/test_auth.py)."""

from __future__ import annotations

import time
from collections import OrderedDict

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from palate.entities import USER
from palate.errors.checks import normalise_id
from palate.service.faults import HTTPFault, forbidden, unauthorised
from palate.service.keys import Principal
from palate.service.settings import Settings
from palate.service.tenant import Tenant

PUBLIC = ("/livez", "/readyz", "/openapi.json")  # no key: they tell nothing of anybody
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
        self._calls, self._wrong = Bucket(), Bucket()

    def principal(self, request: Request) -> Principal:
        """Who calls.

        Raises:
            HTTPFault: 401 without a right key, 429 if there were too many wrong ones, or too many calls.
        """
        scheme, _, presented = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            for tenant in self._tenants.values():
                found = tenant.ring.who(presented.strip())
                if found is not None:
                    return self._within(found)
        return self._refuse(request)

    def _refuse(self, request: Request) -> Principal:
        # only who has no right key is counted: nobody can lock the owner of one out
        metrics = next(iter(self._tenants.values())).metrics
        metrics.refused.inc()
        most = self._settings.wrong_keys_per_minute
        peer = request.client.host if request.client else ""
        waits = self._wrong.take(peer, most / 60.0, most)
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


def _too_many(waits: float, what: str) -> HTTPFault:
    return HTTPFault(
        429, "too_many", f"too many {what}. Try again after the seconds in Retry-After.", retry=max(1, round(waits))
    )


class Allow(SecurityBase):
    """The dependency of a route: only these roles, and a user only where it is about them.

    Args:
        roles: Besides ``admin``, who may do all.
    """

    def __init__(self, *roles: str) -> None:
        self.roles = frozenset({"admin", *roles})
        self.model = HTTPBearer(description="A key (palate keys add), or a user's token (POST /v1/users/{id}/tokens).")
        self.scheme_name = "key"

    async def __call__(self, request: Request) -> Caller:
        """Raises HTTPFault: 401, 403 or 429."""
        app = request.app.state
        principal: Principal = app.door.principal(request)
        request.scope["palate"].principal = principal
        if principal.role not in self.roles:
            raise forbidden(f"the role {principal.role} may not do this.")
        return Caller(principal, app.tenants[principal.tenant])


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
