"""A user's consent, everything held on them, and their erasure from a folder that holds a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from palate.datasets.convert import write_folder
from palate.datasets.tables import Dataset
from palate.entities import USER
from palate.loop import checkpoint
from palate.loop.checkpoint import Checkpoint
from palate.loop.memory import Memory
from palate.model.forget import forget, people_of
from palate.recommender import versions
from palate.recommender.fitting import DATA, erased_in, without_users
from palate.recommender.live import Live
from palate.records import Consent, Record
from palate.store import side_tables
from palate.store.model_folder import files
from palate.store.protocol import Receipt
from palate.store.sql_log import SqlLog

ERASING = "erasing"  # in the folder from before a row says that somebody is erased until nothing of them is left there


@dataclass(frozen=True, slots=True)
class Erased:
    """That a user was erased, without saying who.

    Attributes:
        seq, key: Of the row of the log that says so.
        rows: How many rows of the log lost what they said.
        erased_at: Seconds since the epoch.
        model: ``exact``: it is as if it had never known the user. ``approximate``: what it held of them is gone, and
            their sums are taken out of what it learnt; the next refit is exact.
    """

    seq: int
    key: str
    rows: int
    erased_at: float
    model: Literal["exact", "approximate"]

    @classmethod
    def of(cls, receipt: Receipt, model: Literal["exact", "approximate"]) -> Erased:
        return cls(receipt.seq, receipt.key, receipt.rows, receipt.erased_at, model)


def allows(consent: Consent | None, purpose: str) -> bool:
    """Whether a user allows something; one without any consent was not asked, and does."""
    return consent is None or purpose in consent.purposes


def erase(live: Live, user_id: str, key: str) -> Erased:
    """Take everything of a user out of a log, its data and its models (:meth:`palate.Recommender.erase`)."""
    with live.changing:
        memory = live.now().memory
        files.write(live.folder / ERASING, b"")
        files.sync_folder(live.folder)
        if user_id in people_of(memory.fitted) or live.checkpoint.owed:
            receipt = live.log.erase(user_id, key=key)
            forget_owed(live)
            return Erased.of(receipt, "approximate")
        memory.learnt  # noqa: B018 - outside the turn, since it may take long
        with live.turn:
            memory = live.now().memory.pinned(user_id)
            receipt = live.log.erase(user_id, key=key)
            now = live.checkpoint
            rows = [row for row in live.log.records(now.last_seq) if row.seq <= receipt.seq]
            memory, _ = checkpoint.replayed(memory.dropped(user_id), rows, now.fitted_seq)
            live.checkpoint = now = replace(now, memory=memory, last_seq=max(now.last_seq, receipt.seq))
        live.keep_beliefs(now)
        versions.remove_those_with(live.folder, live.log.erasures())
        (live.folder / ERASING).unlink(missing_ok=True)
        return Erased.of(receipt, "approximate" if now.is_approximate else "exact")


def is_owed(live: Live) -> bool:
    """Whether an erasure has still to be obeyed by a folder, because a process died over it or knew nothing of it."""
    return bool(live.checkpoint.owed) or (live.folder / ERASING).exists()


def forget_owed(live: Live) -> None:
    """Let a folder obey the erasures that its model does not obey yet. Harmless when done again."""
    with live.changing:
        owed = checkpoint.resume(live.folder, live.log, live.encoders.values(), left_out=True)
        if owed.owed or (live.folder / ERASING).exists():
            with live.alone():
                whole = checkpoint.read_model(live.folder, live.encoders.values())
                _forget_in(live, replace(whole, last_seq=owed.last_seq), owed.owed)
            live.reload()
            (live.folder / ERASING).unlink(missing_ok=True)


def _forget_in(live: Live, found: Checkpoint, users: Collection[str]) -> None:
    """Take users out of the data, the model and the versions that a folder keeps."""
    if (live.folder / DATA).exists():
        data = Dataset.load(live.folder / DATA)
        erased = erased_in(data, list(live.log.records())).union(users)
        if erased:
            write_folder(without_users(data, erased), live.folder / DATA)
    memory = Memory(forget(found.memory.fitted, users))
    kept = replace(found, memory=memory, erased_seq=found.last_seq, is_approximate=found.is_approximate or bool(users))
    versions.remove_those_with(live.folder, live.log.erasures())  # one that knows them would bring them back
    for _ in range(2):  # the checkpoint before is to be one without them, too
        checkpoint.save_model(live.folder, kept)


def held_on(live: Live, user_id: str) -> dict[str, Any]:
    """Everything that is held on a user, as JSON can say it: the rows of the log, those of the data, the belief."""
    with live.turn:
        live.catch_up()
        found, store, folder = live.checkpoint, live.log, live.folder
    memory, rows = found.memory, list(store.records(user_id=user_id))
    rows = [row for row in rows if row.seq <= found.last_seq]
    held: dict[str, Any] = {"user_id": user_id, "seq": found.last_seq, "log": [_plain(row) for row in rows]}
    consent = memory.consent(user_id)
    held["consent"] = None if consent is None else _as_dict(asdict(consent))
    held["data"] = _of_data(user_id, folder)
    held["attributes"] = memory.fitted.described(user_id)
    held["campaigns"] = side_tables.of_user(store.select, user_id) if isinstance(store, SqlLog) else []
    if memory.knows(user_id):
        state = memory.state(user_id)
        held["belief"] = {
            "mean": state.belief.mean.tolist(),
            "covariance": state.belief.covariance.tolist(),
            "rated": dict(zip((memory.fitted.catalogue.ids[item] for item in state.rated), state.values, strict=True)),
        }
    return held


def _of_data(user_id: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    if not (folder / DATA).exists():
        return {}
    data = Dataset.load(folder / DATA)
    tables = {name: getattr(data, name) for name in ("interactions", "users", "friends")}
    return {
        name: [_as_dict(row) for row in table.filter(pl.col(USER) == user_id).iter_rows(named=True)]
        for name, table in tables.items()
        if USER in table.columns
    }


def _plain(row: Record) -> dict[str, Any]:
    content = {"content": type(row.content).__name__.lower(), **asdict(row.content)}
    return {"seq": row.seq, "recorded_at": row.recorded_at, "retracts": row.retracts or None, **_as_dict(content)}


def _as_dict(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as_json(value) for name, value in fields.items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _as_dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_as_json(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
