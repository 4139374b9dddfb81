"""One row of the log as the columns of a file, and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

from palate.entities import ITEM, USER, Answer, AnswerKind, Form
from palate.entities.provenance import TASTE, Provenance
from palate.errors import DataError, InputError, did_you_mean
from palate.errors.checks import key_of, normalise_id, normalise_words, number_of, shown
from palate.records import Attribute, Calibration, Consent, Content, Erasure, Event, Record, Slate
from palate.store.rows import to_row
from palate.store.tables import SAID

# The columns of the log's table, by type. What each holds depends on "content": "value" is the rating of a label, the
# liking of an event, the number that an attribute is, the reliability of a source; "others" are the purposes of a
# consent and "name" its version; of a slate its items, their probabilities in "text" and its temperature in "score".
COLUMNS = SAID
LISTS = ("others", "tapped")
WHOLE = ("seq", "tokens")
NUMBERS = ("value", "propensity", "asked_at", "answered_at", "at", "score", "shown_at", "cost", "recorded_at")
TEXTS = tuple(name for name in COLUMNS if name not in (*LISTS, *WHOLE, *NUMBERS))
GIVEN_BY_THE_LOG = ("seq", "recorded_at")  # read over on the way in: the log that takes a row gives its own

_CAME = tuple(field.name for field in fields(Provenance))
_OF_LABELS = ("source", "propensity", "question", "asked_at", "answered_at", *LISTS)

Row = Mapping[str, Any]


class RowFault(Exception):
    """Why a row is not taken.

    Attributes:
        column: The column at fault; empty where the row as a whole is.
    """

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


class Told(NamedTuple):
    """A row of a file as a row of the log: what it says, and the key of the row that it takes back, if it does."""

    content: Content
    retracts: str = ""


def row_of(record: Record) -> dict[str, Any]:
    """The columns of a row that say something."""
    row = dict(zip(COLUMNS, to_row(record.seq, record.content, record.recorded_at, record.retracts), strict=True))
    row |= {name: json.loads(row[name]) for name in LISTS if row[name] is not None}
    return {name: value for name, value in row.items() if value not in (None, "", []) or (name, value) == ("text", "")}


def told_of(row: Row) -> Told:
    """What a row says, checked column by column.

    A row without a key gets one made of what it says: the same row again, in this file or another, changes nothing.

    Raises:
        RowFault: If a column is unknown, or holds what the log cannot keep.
    """
    for name in row:
        if name not in COLUMNS:
            raise RowFault(str(name)[:40], f"the column is unknown. {did_you_mean(name, COLUMNS, 1)}".rstrip())
    given = {name: value for name, value in row.items() if value is not None and name not in GIVEN_BY_THE_LOG}
    for name, value in given.items():
        _check(name, value, given)
    try:
        content = _content(given)
        retracts = given.get("retracts", "")
        return Told(
            content if content.key else _keyed(content, given), normalise_id(retracts, "key") if retracts else ""
        )
    except InputError as error:
        raise RowFault("", str(error)) from None


def _check(column: str, value: object, row: Row) -> None:
    try:
        if column in NUMBERS and not math.isfinite(number_of(value)):
            raise DataError(f"{shown(value)} is not a finite number")
        if column in LISTS and not (isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)):
            raise DataError(f"{shown(value)} is no list of ids")
        check = _CHECKS.get(column)
        if check is not None and value != "":
            words = column == ITEM and row.get("form") == Form.CONCEPT
            (normalise_words if words else check)(value, column)
    except InputError as error:
        raise RowFault(column, str(error)) from None


def _one_of(known: tuple[str, ...]) -> Callable[[object, str], object]:
    def check(value: object, column: str) -> object:
        if value not in known:
            raise DataError(f"{shown(value)} is none of {', '.join(known)}")
        return value

    return check


def _content(row: Row) -> Content:
    kind = row.get("content") or "label"
    columns, make = _CONTENTS[kind]
    for name in row:
        if name not in (*columns, "content", "key", "retracts"):
            raise RowFault(name, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} has no such column")
    return make(row)


def _label(row: Row) -> Content:
    given: dict[str, Any] = {name: row[name] for name in _OF_LABELS if name in row}
    given |= {name: tuple(row[name]) for name in LISTS if name in row}
    given |= {"form": Form(row["form"])} if row.get("form") else {}
    came = Provenance(**{name: row[name] for name in _CAME if name in row})
    kind = row.get("kind") or AnswerKind.RATING
    return Answer(
        *(_needed(row, USER), row.get(ITEM, ""), kind, row.get("value")),
        key=row.get("key", ""),
        provenance=came,
        **given,
    )


def _event(row: Row) -> Content:
    said = (row.get("kind", ""), row.get("value"), row.get("at"), row.get("key", ""), row.get("slate", ""))
    return Event(_needed(row, USER), _needed(row, ITEM), *said)


def _attribute(row: Row) -> Content:
    return Attribute(_needed(row, USER), _needed(row, "name"), row.get("text", row.get("value")), row.get("key", ""))


def _consent(row: Row) -> Content:
    purposes = tuple(row.get("others", ()))
    return Consent(_needed(row, USER), purposes, _needed(row, "name"), row.get("at"), row.get("key", ""))


def _calibration(row: Row) -> Content:
    said = (_needed(row, "source"), _needed(row, "value"), row.get("subject", TASTE), row.get("at"))
    return Calibration(*said, key=row.get("key", ""))


def _slate(row: Row) -> Content:
    try:
        chances = json.loads(_needed(row, "text"))
    except (TypeError, ValueError):
        raise RowFault("text", "is no list of probabilities") from None
    said = (tuple(row.get("others", ())), chances, _needed(row, "score"), row.get("model", ""))
    return Slate(
        _needed(row, USER), *said, tuple(row.get("tapped", ())), row.get("name", ""), row.get("at"), row.get("key", "")
    )


def _erasure(row: Row) -> Content:
    salt, _, digest = str(_needed(row, "text")).partition(":")
    return Erasure(salt, digest, int(row.get("value", 0)), row.get("key", ""))


_CONTENTS: dict[str, tuple[tuple[str, ...], Callable[[Row], Content]]] = {
    "label": ((USER, ITEM, "kind", "form", "value", *_OF_LABELS, *_CAME), _label),
    "event": ((USER, ITEM, "kind", "value", "at", "slate"), _event),
    "attribute": ((USER, "name", "value", "text"), _attribute),
    "consent": ((USER, "name", "others", "at"), _consent),
    "calibration": (("source", "value", "subject", "at"), _calibration),
    "slate": ((USER, "others", "text", "score", "model", "tapped", "name", "at"), _slate),
    "erasure": (("text", "value"), _erasure),
}
_CHECKS: dict[str, Callable[[Any, str], object]] = {
    "content": _one_of(tuple(_CONTENTS)),
    "form": _one_of(tuple(Form)),
    **dict.fromkeys((USER, ITEM, "source", "name", "subject"), normalise_id),
    **dict.fromkeys(
        ("key", "question", "retracts", *(set(_CAME) - {"subject", "score", "shown_at", "cost", "tokens"})), key_of
    ),
}


def _needed(row: Row, column: str) -> Any:
    if row.get(column, "") == "":
        raise RowFault(column, "is empty")
    return row[column]


def _keyed(content: Content, row: Row) -> Content:
    said = json.dumps(dict(sorted(row.items())), ensure_ascii=False, allow_nan=False)
    return replace(content, key=f"import:{hashlib.sha256(said.encode()).hexdigest()}")
