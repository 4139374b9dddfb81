"""What the log keeps as rows of its table, and back; which can be kept, and when two are the same."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from palate.entities import Answer, AnswerKind, Form
from palate.entities.provenance import TASTE, UNKNOWN, Provenance
from palate.errors import AnswerError, DataError, KeyTaken, OptionError
from palate.errors.checks import number_of, shown
from palate.records import Attribute, Calibration, Consent, Content, Erasure, Event, Record, Slate
from palate.store.tables import SAID

C = TypeVar("C", Answer, Event, Attribute, Consent, Calibration, Slate, Erasure, Provenance)
Row = tuple[Any, ...]  # in the order of tables.SAID

_NAMES: dict[type, str] = {
    **{Answer: "label", Event: "event", Attribute: "attribute"},
    **{Consent: "consent", Calibration: "calibration", Slate: "slate", Erasure: "erasure"},
}
_KINDS = {kind.value: kind for kind in AnswerKind}
_FORMS = {form.value: form for form in Form}

# What tells two contents of one key apart. The client's times do not: a repeat may be stamped anew. Nor does how an
# answer came about: a service fills in what it knows, and may know more when the client sends again.
_TOLD_APART: dict[type, tuple[str, ...]] = {
    Answer: ("user_id", "item_id", "kind", "value", "source", "propensity", "question", "form", "others", "tapped"),
    Event: ("user_id", "item_id", "kind", "liking"),
    Attribute: ("user_id", "name", "value"),
    Consent: ("user_id", "purposes", "version"),
    Calibration: ("source", "reliability", "subject"),
    Slate: ("user_id", "items", "propensities", "explore", "exclude", "category"),
    Erasure: ("salt", "digest"),
}
_ABOUT = SAID.index("family"), SAID.index("consent") + 1
_NO_PROVENANCE = (None,) * (_ABOUT[1] - _ABOUT[0])


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
    """What the row says that takes ``content`` back: the same thing, under a key of its own.

    Raises:
        AnswerError: If it is an erasure, which nothing takes back.
    """
    if isinstance(content, Erasure):
        raise AnswerError("an erasure cannot be retracted: what it took is gone. Append the user's consent anew.")
    if not isinstance(content, Answer):
        return _checked(replace(content, key=key))
    asked: dict[str, Any] = {"propensity": None, "question": "", "asked_at": None, "answered_at": None}
    about = Provenance(subject=content.provenance.subject)
    return _checked(replace(content, source=source, key=key, provenance=about, **asked))


def check_same(known: Record, content: Content, retracts: str) -> None:
    """Raises AnswerError if what is kept under a key is not what is sent under it."""
    name = _NAMES[type(content)]
    pairs = [("retracts", known.retracts, retracts), ("content", _NAMES[type(known.content)], name)]
    if type(known.content) is type(content):
        pairs += [
            (field, getattr(known.content, field), getattr(content, field)) for field in _TOLD_APART[type(content)]
        ]
    if isinstance(known.content, Answer) and isinstance(content, Answer):
        pairs.append(("subject", known.content.provenance.subject, content.provenance.subject))
    for field, kept, sent in pairs:
        if kept != sent:
            raise KeyTaken(
                f"the {name} key {content.key!r} is taken: the log holds {field} {kept!r} under it, not {sent!r}. "
                f"Send a different {'answer' if name == 'label' else name} under a key of its own."
            )


def to_row(seq: int, content: Content, recorded_at: float, retracts: str) -> Row:
    """A row. A zero has no sign: SQLite would drop it, and the row's digest would differ when it is read."""
    row = (seq, content.key, _NAMES[type(content)], *_parts(content), recorded_at, retracts or None)
    return tuple([value + 0.0 if type(value) is float else value for value in row])


def to_record(row: Row) -> Record:
    """The record in a row, as it was kept: rules for ids that came later make no row unreadable.

    Raises:
        Exception: Whatever Python makes of it, if another program wrote what is no row of ours.
    """
    seq, key, content, user_id, item_id, kind, value, source, propensity, question, asked_at, answered_at = row[:12]
    form, others, tapped, at, name, text = row[12:18]
    about, recorded_at, retracts = row[_ABOUT[0] : _ABOUT[1]], row[-2], row[-1]
    found: Content
    if content == "label":
        came = UNKNOWN if about == _NO_PROVENANCE else _provenance(about)
        asked = (source, propensity, key, question, asked_at, answered_at, _FORMS[form], _ids(others), _ids(tapped))
        found = _as_kept(Answer, user_id, item_id, _KINDS[kind], value, *asked, came)
    elif content == "event":
        found = _as_kept(Event, user_id, item_id, kind, value, at, key, about[6] or "")
    elif content == "attribute":
        found = _as_kept(Attribute, user_id, name, value if text is None else text, key)
    elif content == "consent":
        found = _as_kept(Consent, user_id, _ids(others), name, at, key)
    elif content == "calibration":
        found = _as_kept(Calibration, source, value, about[2] or TASTE, at, key)
    elif content == "slate":
        chances, shown_at = tuple(map(float, json.loads(text))), at
        found = _as_kept(
            Slate, user_id, _ids(others), chances, about[5], about[3] or "", _ids(tapped), name or "", shown_at, key
        )
    elif content == "erasure":
        found = _as_kept(Erasure, *text.split(":"), int(value), key)
    else:
        raise ValueError(f"content {content!r:.40} is unknown")
    return Record(seq, found, recorded_at, retracts or "")


def _as_kept(kind: type[C], *fields: object) -> C:
    made = object.__new__(kind)
    for name, value in zip(kind.__slots__, fields, strict=True):
        object.__setattr__(made, name, value)
    return made


def _parts(content: Content) -> Row:
    """The columns from ``user_id`` to ``consent``."""
    if isinstance(content, Answer):
        return (
            *(content.user_id, content.item_id, content.kind.value, content.value, content.source),
            *(content.propensity, content.question, content.asked_at, content.answered_at, content.form.value),
            *(_list(content.others), _list(content.tapped), None, None, None),
            *(_NO_PROVENANCE if content.provenance is UNKNOWN else _about(content.provenance)),
        )
    has = {
        Event: _parts_of_event,
        Attribute: _parts_of_attribute,
        Consent: _parts_of_consent,
        Calibration: _parts_of_calibration,
        Slate: _parts_of_slate,
        Erasure: _parts_of_erasure,
    }[type(content)](content)  # type: ignore[operator]
    return tuple(map(has.get, SAID[3:-2]))


def _parts_of_event(of: Event) -> dict[str, Any]:
    return {
        **_who(of),
        "item_id": of.item_id,
        "kind": of.kind,
        "value": of.liking,
        "at": of.at,
        "slate": of.slate or None,
    }


def _parts_of_attribute(of: Attribute) -> dict[str, Any]:
    return {**_who(of), "name": of.name, "text" if isinstance(of.value, str) else "value": of.value}


def _parts_of_consent(of: Consent) -> dict[str, Any]:
    return {**_who(of), "name": of.version, "others": _list(of.purposes), "at": of.at}


def _parts_of_calibration(of: Calibration) -> dict[str, Any]:
    subject = None if of.subject == TASTE else of.subject
    return {"source": of.source, "value": of.reliability, "subject": subject, "at": of.at}


def _parts_of_slate(of: Slate) -> dict[str, Any]:
    return {
        **_who(of),
        "others": _list(of.items),
        "text": json.dumps(of.propensities),
        "score": of.explore,
        "model": of.model or None,
        "tapped": _list(of.exclude),
        "name": of.category or None,
        "at": of.at,
    }


def _parts_of_erasure(of: Erasure) -> dict[str, Any]:
    return {"text": f"{of.salt}:{of.digest}", "value": float(of.rows)}


def _who(of: Event | Attribute | Consent | Slate) -> dict[str, Any]:
    return {"user_id": of.user_id}


def _about(of: Provenance) -> Row:
    """Its columns, NULL where it says nothing."""
    subject = None if of.subject == TASTE else of.subject
    return (
        *(of.family or None, of.channel or None, subject, of.model or None, of.question_id or None, of.score),
        *(of.slate or None, of.shown_at, of.cost, of.tokens, of.consent or None),
    )


def _provenance(about: Row) -> Provenance:
    family, channel, subject, model, question_id, score, slate, shown_at, cost, tokens, consent = about
    names = (family or "", channel or "", subject or TASTE, model or "", question_id or "", score, slate or "")
    return _as_kept(Provenance, *names, shown_at, cost, tokens, consent or "")


def _list(ids: tuple[str, ...]) -> str:
    return json.dumps(ids) if ids else "[]"


def _ids(text: str) -> tuple[str, ...]:
    if text == "[]":  # nearly all are empty, and reading JSON takes long
        return ()
    ids = json.loads(text)
    if not (isinstance(ids, list) and all(isinstance(one, str) for one in ids)):
        raise ValueError(f"{text[:40]!r} is no list of texts")
    return tuple(ids)


def _checked(content: Content) -> Content:
    if type(content) not in _NAMES:
        raise DataError(f"what is to be kept holds {shown(content)}. Give answers, events and attributes.")
    if isinstance(content, Attribute):
        content = replace(content, value=_told(content))
    if content.key:
        return content
    fields = {name: getattr(content, name) for name in content.__slots__} | {"key": os.urandom(16).hex()}
    kind: Any = type(content)
    keyed: Content = _as_kept(kind, *fields.values())  # all of it was checked when it was made
    return keyed


def _told(attribute: Attribute) -> float | str | None:
    value = attribute.value
    if value is None or isinstance(value, str):
        return value
    number = number_of(value)
    if not math.isfinite(number):
        raise OptionError(f"the attribute {attribute.name} is {shown(value)}. Give a finite number, a text, or None.")
    return number
