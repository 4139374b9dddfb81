"""Lists that are drawn: each is worked out anew, and kept in the log before it is shown."""

from __future__ import annotations

from pydantic_core import to_json

from palate.service.scoring import Call
from palate.service.tenant import Tenant


async def drawn_list(tenant: Tenant, call: Call) -> bytes:
    """A list that is drawn at the temperature of the service, with its id; synced before this returns."""
    found = await tenant.scores.run(lambda: tenant.drawing.draw(call, tenant.settings.explore))
    tenant.metrics.not_finite.inc(found.dropped)
    tenant.tell_of_rows_set_aside(found.aside)
    slate = found.slate
    if slate is not None:
        await tenant.write("slate", lambda: tenant.recommender.keep([slate]))
    return b'{"user_id":' + to_json(call.user_id) + b"," + found.body
