"""What the operator's page reads and changes beside the contract: keys, counts, the learning curve, the whole log."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from palate.acquisition import STRATEGIES
from palate.entities import Answer, AnswerKind
from palate.errors import OptionError
from palate.exchange.dump import dump
from palate.exchange.formats import FORMATS, WHOLE
from palate.loop.drift import Change
from palate.records import Record
from palate.service.access import Allow, Caller
from palate.service.bodies import Id, PathId, Strict, Word
from palate.service.faults import not_found
from palate.service.keys import Key
from palate.service.pages import learning, plots
from palate.service.routing import answered, raw_body, read_query
from palate.service.tenant import Tenant
from palate.store.counts import DAY_SECONDS, Labels, labels_a_day, last_erasures
from palate.store.protocol import LabelStore
from palate.store.sql_log import SqlLog

DAYS, ASKED, ERASURES, USERS = 30, 50, 100, 20  # that are shown
_ROWS = 500  # of the log, in which the last answers are looked for
_ENDINGS = {name: name for name in WHOLE} | {"doccano": "jsonl"}
_PIECE = 1 << 16  # bytes
Operator = Annotated[Caller, Depends(Allow("service"))]
Admin = Annotated[Caller, Depends(Allow())]
KeptAdmin = Annotated[Caller, Depends(Allow(kept=True))]

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/operate", include_in_schema=False)


class PlotQuery(BaseModel):
    """For which background a plot is."""

    model_config = ConfigDict(extra="forbid")

    dark: Literal["0", "1"] = "0"


class KeyIn(Strict):
    """A key that is to be made."""

    role: Literal["admin", "service", "annotator"]
    name: Id | None = None
    days: Annotated[float, Field(gt=0.0, le=36_500.0)] | None = None


class RevokeIn(Strict):
    """Whether the holder is forgotten, too."""

    forget: bool = False


Plot = Annotated[PlotQuery, Depends(read_query(PlotQuery))]


@router.get("/answers")
async def get_answers(query: Plot, caller: Operator) -> Response:
    """Answers of the last 30 days, by day and by the way they came."""
    log, today = caller.tenant.recommender.log, datetime.now(UTC).date()
    assert isinstance(log, SqlLog)
    first = today - timedelta(days=DAYS - 1)
    since = (first - date(1970, 1, 1)).days * float(DAY_SECONDS)
    rows = await caller.tenant.changes.run(lambda: labels_a_day(log, since))
    days = [first + timedelta(days=n) for n in range(DAYS)]
    counts = by_channel(rows, days)
    kinds = [
        {"day": day.isoformat(), "channel": channel} | {kind.value: n for kind, n in of_kinds.items()}
        for (day, channel), of_kinds in _by_kind(rows).items()
    ]
    plot = await caller.tenant.changes.run(lambda: plots.bars(days, counts, dark=query.dark == "1"))
    return answered({"channels": list(counts), "rows": kinds[::-1], "plot": plot})


def by_channel(rows: Sequence[Labels], days: Sequence[date]) -> dict[str, list[int]]:
    """Counts of each day by channel, the largest first; those beyond the colours together under the name *."""
    total, most = Counter[str](), plots.N_COLOURS
    for row in rows:
        total[row.channel] += row.n
    named = [channel for channel, _ in total.most_common(most if len(total) <= most else most - 1)]
    found = {name: [0] * len(days) for name in (*named, *(["*"] if len(total) > len(named) else []))}
    places = {(day - date(1970, 1, 1)).days: place for place, day in enumerate(days)}
    for row in rows:
        if row.day in places:
            found[row.channel if row.channel in found else "*"][places[row.day]] += row.n
    return found


def _by_kind(rows: Sequence[Labels]) -> dict[tuple[date, str], dict[AnswerKind, int]]:
    found: dict[tuple[date, str], dict[AnswerKind, int]] = {}
    for row in rows:
        at = date(1970, 1, 1) + timedelta(days=row.day), row.channel
        found.setdefault(at, dict.fromkeys(AnswerKind, 0))[AnswerKind(row.kind)] += row.n
    return found


@router.get("/learning")
async def get_learning(query: Plot, caller: Operator) -> Response:
    """The learning curve, and whether answers have come to be foretold worse."""
    return answered(await caller.tenant.changes.run(lambda: _learning(caller.tenant, dark=query.dark == "1")))


def _learning(tenant: Tenant, *, dark: bool) -> dict[str, Any]:
    people = learning.foretold_lately(tenant.recommender)
    points = learning.curve(people)
    found = tenant.recommender.drift(last=learning.ROWS)
    users = sorted(found.users.items(), key=lambda one: one[1].before - one[1].after)
    return {
        "points": [{"told": plots.said(point), **asdict(point)} for point in points],
        "people": len(people),
        "answers": sum(map(len, people)),
        "plot": plots.lines(points, dark=dark) if points else "",
        "drift": {
            "answers": found.answers,
            "loss": found.loss,
            "overall": None if found.overall is None else _change(found.overall),
            "users": [{"user_id": user, **_change(change)} for user, change in users[:USERS]],
            "n_users": len(users),
        },
    }


def _change(change: Change) -> dict[str, Any]:
    return {"at": change.at, "before": change.before, "after": change.after}


@router.get("/asked")
async def get_asked(caller: Operator) -> Response:
    """The last answers, and why each was asked for."""
    return answered({"asked": await caller.tenant.changes.run(lambda: _asked(caller.tenant))})


def _asked(tenant: Tenant) -> list[dict[str, Any]]:
    recommender = tenant.recommender
    rows = list(recommender.log.records(max(0, recommender.last_seq - _ROWS)))
    back = {row.retracts for row in rows if row.retracts}
    labels = [row for row in rows if isinstance(row.content, Answer) and not row.retracts]
    return [_question(tenant, row, is_back=row.content.key in back) for row in labels[: -ASKED - 1 : -1]]


def _question(tenant: Tenant, row: Record, *, is_back: bool) -> dict[str, Any]:
    answer, catalogue = row.answer, tenant.fitted.catalogue
    strategy = STRATEGIES.get(answer.question)
    titles = [
        catalogue.item(catalogue.position(id)).title or id if id in catalogue else id
        for id in (answer.item_id, *answer.others)
        if id
    ]
    return {
        "at": row.recorded_at,
        "user_id": answer.user_id,
        "titles": titles,
        "form": answer.form.value,
        "kind": answer.kind.value,
        "value": answer.value,
        "is_taken_back": is_back,
        "reason": answer.question,
        "gain": answer.provenance.score,
        "unit": strategy.unit if strategy is not None else "",
        "propensity": answer.propensity,
        "source": answer.source,
        "channel": answer.provenance.channel,
    }


@router.get("/erasures")
async def get_erasures(caller: Operator) -> Response:
    """The last erasures, without saying whose."""
    log = caller.tenant.recommender.log
    assert isinstance(log, SqlLog)
    found = await caller.tenant.changes.run(lambda: last_erasures(log, ERASURES))
    return answered({"erasures": [asdict(one) for one in found]})


@router.get("/keys")
async def get_keys(caller: Admin) -> Response:
    """Every key, without what opens anything."""
    found = await caller.tenant.changes.run(caller.tenant.ring.all)
    return answered({"keys": [_facts(key) for key in found], "mine": caller.principal.key})


@router.post("/keys")
async def post_keys(request: Request, caller: KeptAdmin) -> Response:
    """A new key, which is said once and kept nowhere."""
    given, ring = KeyIn.model_validate_json(await raw_body(request)), caller.tenant.ring
    key, whole = await caller.tenant.changes.run(lambda: ring.add(given.role, name=given.name or "", days=given.days))
    return answered({**_facts(key), "key": whole})


@router.post("/keys/{id}/revoke")
async def post_revoke(id: PathId, request: Request, caller: KeptAdmin) -> Response:
    """Make a key useless within a second, with the sessions and tokens that it made."""
    given, ring = RevokeIn.model_validate_json(await raw_body(request)), caller.tenant.ring
    try:
        key = await caller.tenant.changes.run(lambda: ring.forget(id) if given.forget else ring.revoke(id))
    except OptionError:
        raise not_found("key") from None
    return answered(_facts(key))


def _facts(key: Key) -> dict[str, Any]:
    found = asdict(key)
    del found["digest"]
    return found | {"is_good": key.is_good(time.time())}


@router.get("/export/{format}")
async def get_export(format: Word, caller: KeptAdmin) -> Response:
    """Every row of the log as a file, or the labels that count for an annotation tool."""
    if format not in FORMATS:
        raise not_found("format")
    log = caller.tenant.recommender.log
    file = await caller.tenant.changes.run(lambda: _written(log, format))
    name = f"palate-{caller.tenant.name}-{format}.{_ENDINGS.get(format, 'json')}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_pieces(file), media_type="application/octet-stream", headers=headers)


def _written(log: LabelStore, format: str) -> BinaryIO:
    """The file, which has no name any more: however its sending ends, nothing of it stays on the disk."""
    with tempfile.TemporaryDirectory(prefix="palate-export-") as place:
        path = Path(place) / "log"
        dump(log, path, format)
        return path.open("rb")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
