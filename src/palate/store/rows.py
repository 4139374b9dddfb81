"""Labels, events and attributes as rows of a table, and back; which can be kept, and when two are the same."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from palate.entities import Answer, AnswerKind, Form
from palate.errors import AnswerError, DataError, OptionError
from palate.errors.checks import number_of, shown
from palate.records import Attribute, Content, Event, Record

C = TypeVar("C", Answer, Event, Attribute)
COLUMNS = (
    "seq, key, content, user_id, item_id, kind, value, source, propensity, question, asked_at, answered_at, "
    "form, others, tapped, at, name, text, recorded_at, retracts"
)

_NAMES: dict[type, str] = {Answer: "label", Event: "event", Attribute: "attribute"}
_KINDS = {kind.value: kind for kind in AnswerKind}
_FORMS = {form.value: form for form in Form}

# What tells two contents of one key apart. The client's times do not: a repeat may be stamped anew.
_TOLD_APART: dict[type, tuple[str, ...]] = {
    Answer: ("user_id", "item_id", "kind", "value", "source", "propensity", "question", "form", "others", "tapped"),
    Event: ("user_id", "item_id", "kind", "liking"),
    Attribute: ("user_id", "name", "value"),
}


def checked(contents: Iterable[Content]) -> list[Content]:
    """The contents as they are kept: every number a finite float, every text one that any store can hold, a key each.

    Raises:
        DataError: If one is no content of a log.
        AnswerError, IdError, OptionError: If a part of one cannot be kept.
    """
    if not isinstance(contents, Iterable):
        raise DataError(f"what is to be kept is {shown(contents)}. Give a list of answers, events and attributes.")
    return [_checked(content) for content in contents]


def retraction(content: Content, source: str, key: str) -> Content:
    """What the row says that takes ``content`` back: the same thing, under a key of its own."""
    if not isinstance(content, Answer):
        return _checked(replace(content, key=key))
    asked: dict[str, Any] = {"propensity": None, "question": "", "asked_at": None, "answered_at": None}
    return _checked(replace(content, source=source, key=key, **asked))


def check_same(known: Record, content: Content, retracts: str) -> None:
    """Raises AnswerError if what is kept under a key is not what is sent under it."""
    name = _NAMES[type(content)]
    pairs = [("retracts", known.retracts, retracts), ("content", _NAMES[type(known.content)], name)]
    if type(known.content) is type(content):
        pairs += [
            (field, getattr(known.content, field), getattr(content, field)) for field in _TOLD_APART[type(content)]
        ]
    for field, kept, sent in pairs:
        if kept != sent:
            raise AnswerError(
                f"the {name} key {content.key!r} is taken: the log holds {field} {kept!r} under it, not {sent!r}. "
                f"Send a different {'answer' if name == 'label' else name} under a key of its own."
            )


def to_row(content: Content, recorded_at: float, retracts: str) -> tuple[object, ...]:
    """All of :data:`COLUMNS` but ``seq``, which the store gives."""
    return (content.key, *_parts(content), recorded_at, retracts or None)


def to_record(row: tuple[Any, ...]) -> Record:
    """The record in a row of :data:`COLUMNS`, as it was kept: rules for ids that came later make no row unreadable."""
    seq, key, content, user_id, item_id, kind, value, source, propensity, question, asked_at, answered_at = row[:12]
    form, others, tapped, at, name, text, recorded_at, retracts = row[12:]
    found: Content
    if content == "attribute":
        found = _as_kept(Attribute, user_id, name, value if text is None else text, key)
    elif content == "event":
        found = _as_kept(Event, user_id, item_id, kind, value, at, key)
    else:
        asked = (source, propensity, key, question, asked_at, answered_at, _FORMS[form], _ids(others), _ids(tapped))
        found = _as_kept(Answer, user_id, item_id, _KINDS[kind], value, *asked)
    return Record(seq, found, recorded_at, retracts or "")


def _as_kept(kind: type[C], *fields: object) -> C:
    made = object.__new__(kind)
    for name, value in zip(kind.__slots__, fields, strict=True):
        object.__setattr__(made, name, value)
    return made


def _parts(content: Content) -> tuple[object, ...]:
    """The columns from ``content`` to ``text``."""
    if isinstance(content, Attribute):
        value, text = (None, content.value) if isinstance(content.value, str) else (content.value, None)
        return ("attribute", content.user_id, None, None, value, *[None] * 9, content.name, text)
    if isinstance(content, Event):
        return (
            "event",
            content.user_id,
            content.item_id,
            content.kind,
            content.liking,
            *[None] * 8,
            content.at,
            None,
            None,
        )
    return (
        "label",
        content.user_id,
        content.item_id,
        content.kind.value,
        content.value,
        content.source,
        content.propensity,
        content.question,
        content.asked_at,
        content.answered_at,
        content.form.value,
        json.dumps(content.others),
        json.dumps(content.tapped),
        *[None] * 3,
    )


def _ids(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(json.loads(text))  # nearly all are empty, and reading JSON takes long


def _checked(content: Content) -> Content:
    if not isinstance(content, (Answer, Event, Attribute)):
        raise DataError(f"what is to be kept holds {shown(content)}. Give answers, events and attributes.")
    key = content.key or uuid.uuid4().hex
    if isinstance(content, Attribute):
        return replace(content, key=key, value=_told(content))
    return replace(content, key=key)


def _told(attribute: Attribute) -> float | str | None:
    value = attribute.value
    if value is None or isinstance(value, str):
        return value
    number = number_of(value)
    if not math.isfinite(number):
        raise OptionError(f"the attribute {attribute.name} is {shown(value)}. Give a finite number, a text, or None.")
    return number
