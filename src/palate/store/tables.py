"""The table of the log, once for every database, and the statements that the log runs on it.

A statement is written in SQLAlchemy and turned into the text of a database once, when a log is opened; it then runs on
the database's own driver. SQLAlchemy takes longer to run a statement than SQLite takes to keep a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Number: Any = sa.Double()
_Text, _Bytes = sa.Text(), sa.LargeBinary()

# What a row says, in the order in which rows.py writes and reads it. The digest is over these.
_SAID: tuple[tuple[str, Any], ...] = (
    *(("seq", _Whole), ("key", _Text), ("content", _Text), ("user_id", _Text), ("item_id", _Text), ("kind", _Text)),
    *(("value", _Number), ("source", _Text), ("propensity", _Number), ("question", _Text), ("asked_at", _Number)),
    *(("answered_at", _Number), ("form", _Text), ("others", _Text), ("tapped", _Text), ("at", _Number)),
    *(("name", _Text), ("text", _Text), ("family", _Text), ("channel", _Text), ("subject", _Text), ("model", _Text)),
    *(("question_id", _Text), ("score", _Number), ("slate", _Text), ("shown_at", _Number), ("cost", _Number)),
    *(("tokens", _Whole), ("consent", _Text), ("recorded_at", _Number), ("retracts", _Text)),
)
SAID = tuple(name for name, _ in _SAID)
SEALED = (*SAID, "erased_by", "salt", "digest", "chain")

_NOT_NULL = frozenset({"key", "content", "recorded_at"})
metadata = sa.MetaData()
topics = sa.Table("topics", metadata, sa.Column("topic", _Text, primary_key=True))
outbox = sa.Table(
    "outbox",
    metadata,
    *(sa.Column("topic", _Text, primary_key=True), sa.Column("seq", _Whole, primary_key=True, autoincrement=False)),
    *(sa.Column("tries", _Whole, nullable=False), sa.Column("due", _Number, nullable=False), sa.Column("fault", _Text)),
)
records = sa.Table(
    "records",
    metadata,
    sa.Column("seq", _Whole, primary_key=True, autoincrement=False),
    *(sa.Column(name, kind, nullable=name not in _NOT_NULL) for name, kind in _SAID[1:]),
    sa.Column("erased_by", _Whole),  # seq of the erasure that took what the row said
    sa.Column("salt", _Bytes),
    sa.Column("digest", _Bytes, nullable=False),
    sa.Column("chain", _Bytes, nullable=False),
    sa.UniqueConstraint("key"),
    sa.UniqueConstraint("retracts"),
    sa.Index("records_of_user", "user_id", "seq", sqlite_where=sa.text("user_id IS NOT NULL")),
    sa.Index("records_of_erasures", "seq", sqlite_where=sa.text("content = 'erasure'")),
)
_c = records.c
_SAYS = [_c[name] for name in SAID]


@dataclass(frozen=True, slots=True)
class Statements:
    """SQL of one database, with its own marks for values, which stand in the order of the comment."""

    insert: str  # all of SEALED
    by_keys: str  # a list of keys, as the database takes it -> SAID
    by_retracted: str  # key -> SAID
    page: str  # seq, limit -> SAID
    page_of_user: str  # seq, user_id, limit -> SAID
    sealed_page: str  # seq, limit -> SEALED
    head: str  # -> seq, chain of the last row
    count_after: str  # seq -> how many rows
    erasures: str  # seq -> seq, text, key of the erasures after it
    calibrations: str  # -> SAID
    users_of: str  # source -> user_id, each once
    users: str  # -> user_id, each once
    of_user: str  # user_id -> seq, digest
    erase: str  # key, erased_by, seq
    tasks: str  # seq: one task of each topic for the labels and erasures after it


def statements(dialect: Dialect, is_one_of: Callable[[sa.ColumnElement[str]], sa.ColumnElement[bool]]) -> Statements:
    """The statements as a dialect writes them.

    Args:
        dialect: With a positional mark for values.
        is_one_of: Whether a column is in a list of texts, which is one value of the statement.
    """

    def text(statement: sa.sql.ClauseElement) -> str:
        return str(statement.compile(dialect=dialect))

    def value(name: str, kind: Any = _Text) -> sa.BindParameter[Any]:
        return sa.bindparam(name, type_=kind)

    after, of_user = _c.seq > value("after", _Whole), _c.user_id == value("user")
    erasures = sa.select(_c.seq, _c.text, _c.key).where(_c.content == sa.literal_column("'erasure'"), after)
    label = _c.content == sa.literal_column("'label'")
    emptied: dict[str, Any] = {name: sa.null() for name in (*SAID, "salt") if name not in ("seq", "recorded_at")}
    emptied |= {"key": value("new_key"), "content": sa.literal_column("'erased'"), "erased_by": value("by", _Whole)}

    def page(columns: list[Any], *where: sa.ColumnElement[bool]) -> str:
        found = sa.select(*columns).where(*where).order_by(_c.seq)
        return text(found.limit(value("at_most", _Whole)).offset(sa.literal_column("0")))

    first: tuple[Any, ...] = (topics.c.topic, _c.seq, sa.literal_column("0"), sa.literal_column("0"))
    task = sa.select(*first).select_from(topics.join(records, sa.true()))
    task = task.where(after, _c.content.in_([sa.literal_column(f"'{kind}'") for kind in ("label", "erasure")]))
    return Statements(
        tasks=text(outbox.insert().from_select(["topic", "seq", "tries", "due"], task)),
        insert=text(records.insert().values({name: value(name, _c[name].type) for name in SEALED})),
        by_keys=text(sa.select(*_SAYS).where(is_one_of(_c.key))),
        by_retracted=text(sa.select(*_SAYS).where(_c.retracts == value("key"))),
        page=page(_SAYS, after, _c.erased_by.is_(None)),
        page_of_user=page(_SAYS, after, of_user),
        sealed_page=page([_c[name] for name in SEALED], after),
        head=text(sa.select(_c.seq, _c.chain).where(_c.seq == sa.select(sa.func.max(_c.seq)).scalar_subquery())),
        count_after=text(sa.select(sa.func.count()).select_from(records).where(after)),
        erasures=text(erasures.order_by(_c.seq)),
        calibrations=text(sa.select(*_SAYS).where(_c.content == sa.literal_column("'calibration'")).order_by(_c.seq)),
        users_of=text(sa.select(_c.user_id).where(label, _c.source == value("source")).distinct()),
        users=text(sa.select(_c.user_id).where(_c.user_id.is_not(None)).distinct()),
        of_user=text(sa.select(_c.seq, _c.digest).where(of_user).order_by(_c.seq)),
        erase=text(records.update().where(_c.seq == value("place", _Whole)).values(emptied)),
    )
