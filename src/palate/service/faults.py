"""Faults in the contract's form, ``{"error": {"code", "message", "field", "request_id"}}``, without any value sent.

Palate's own messages say fact, value and remedy. Over HTTP the value is left out: what a client sends may be about a
person, and an answer's body ends up in logs.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from palate.errors import (
    AnswerError,
    CampaignError,
    ConsentError,
    DataError,
    ErasedUser,
    IdError,
    InputError,
    KeyTaken,
    LimitError,
    MissingExtra,
    ModelFolderError,
    OptionError,
    PalateError,
    StoreError,
    UnknownCampaign,
    UnknownItem,
)

RETRY_SECONDS = 1
_FIELDS = frozenset(
    {
        "user_id",
        "item_id",
        "key",
        "value",
        "source",
        "propensity",
        "asked_at",
        "answered_at",
        "category",
        "strategy",
        "question_id",
        "forms",
        "form",
        "others",
        "tapped",
        "text",
        "attribute",
        "event",
        "k",
        "exclude",
        "cost",
    }
)
_KNOWN = _FIELDS | {"kind", "attributes", "title", "at", "slate", "seconds", "q", "for"}
_WORDS = {"rating": "value", "item": "item_id", "user": "user_id", "answer": "value", "attributes": "attributes"}
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)""")
_NUMBER = re.compile(r"(?<![\w.])[-−+]?\d[\d.,]*(?:e[-+]?\d+)?\b")
_LEFT_OUT = "…"


@dataclass(eq=False)
class HTTPFault(Exception):
    """What goes wrong, and the status that a client expects.

    Attributes:
        code: A word for programs.
        message: One line for people, without any value that was sent.
        field: Where; empty if nowhere alone.
        retry: Seconds after which to try again; 0 if that would not help.
    """

    status: int
    code: str
    message: str
    field: str = ""
    retry: int = 0

    def body(self, request_id: str) -> bytes:
        fault = {"code": self.code, "message": self.message, "field": self.field or None, "request_id": request_id}
        return to_json({"error": fault})

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        found = {"retry-after": str(self.retry)} if self.retry else {}
        if self.status == 413:
            found["connection"] = "close"  # what is left of the body is not read
        return found | ({"www-authenticate": "Bearer"} if self.status == 401 else {})


def busy(what: str) -> HTTPFault:
    """More than is waited for."""
    return HTTPFault(
        503, "busy", f"too many {what} wait. Try again after the seconds in Retry-After.", retry=RETRY_SECONDS
    )


def unforeseen() -> HTTPFault:
    """A fault of ours."""
    return HTTPFault(500, "internal", "something went wrong on the server. Report the request_id.")


def places(error: BaseException) -> list[str]:
    """Where it happened: file and line, no text, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('/src/')[2][-80:]}:{frame.lineno}" for frame in frames[-6:]]


def unauthorised() -> HTTPFault:
    """No right key."""
    return HTTPFault(401, "unauthorised", "the key is missing or not valid. Send Authorization: Bearer KEY.")


def forbidden(why: str) -> HTTPFault:
    """A right key, and no right to this."""
    return HTTPFault(403, "forbidden", why)


def not_found(what: str) -> HTTPFault:
    """Nothing there, or nothing of the caller's."""
    return HTTPFault(404, "not_found", f"there is no such {what}.")


def of_error(error: PalateError) -> HTTPFault:
    """What Palate raised on purpose."""
    message, field = without_values(str(error)), field_of(str(error))
    if isinstance(error, StoreError):
        return HTTPFault(
            503, "store", "the log cannot be written or read now. Nothing was lost; try again.", retry=RETRY_SECONDS
        )
    if isinstance(error, MissingExtra):
        return HTTPFault(
            422, "missing_extra", "an optional library that this needs is not installed on the server.", field
        )
    if isinstance(error, KeyTaken):
        return HTTPFault(
            409, "key_taken", "the log holds something else under this key. Send it under a key of its own.", "key"
        )
    if isinstance(error, CampaignError):
        return HTTPFault(404 if isinstance(error, UnknownCampaign) else 409, error.code, message, field)
    kinds: tuple[tuple[type[PalateError], int, str], ...] = (
        (UnknownItem, 404, "unknown_item"),
        (ErasedUser, 409, "erased_user"),
        (ConsentError, 403, "no_consent"),
        (IdError, 422, "bad_id"),
        (AnswerError, 422, "bad_answer"),
        (LimitError, 413, "too_large"),
        (DataError, 422, "bad_data"),
        (ModelFolderError, 409, "bad_model"),
        (OptionError, 422, "bad_option"),
        (InputError, 422, "bad_input"),
    )
    for kind, status, code in kinds:
        if isinstance(error, kind):
            return HTTPFault(status, code, message, field)
    return unforeseen()


def of_validation(error: ValidationError, raw: bytes = b"") -> HTTPFault:
    """What pydantic found: the first fault, its place, and never the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return _of_json(str(first["msg"]), raw)
    return _at(first["loc"], first["type"], first["msg"], error.error_count())


def of_parameters(faults: list[dict[str, Any]]) -> HTTPFault:
    """What FastAPI found in the path or the query."""
    first = faults[0]
    return _at(tuple(first["loc"])[1:], str(first["type"]), str(first["msg"]), len(faults))


def _at(loc: tuple[Any, ...], kind: str, message: str, count: int) -> HTTPFault:
    parts = [part for part in loc if isinstance(part, int) or part in _KNOWN]  # what else is there is the caller's text
    unnamed = kind == "extra_forbidden"
    shown = [str(part) for part in parts]
    what = "a field that is not known" if unnamed else message[0].lower() + message[1:]
    more = f" ({count - 1:,} more faults)" if count > 1 else ""
    what = "the text has a form that is not taken" if kind == "string_pattern_mismatch" else what
    # of a key the draft standard for idempotency keys wants 400
    is_key = bool(parts) and parts[-1] == "key" and kind in ("missing", "string_too_long", "string_too_short")
    return HTTPFault(400 if is_key else 422, "bad_request" if is_key else "invalid", f"{what}{more}.", ".".join(shown))


def _of_json(message: str, raw: bytes) -> HTTPFault:
    """A body that is no JSON; of a number or a text that no store can hold the field is looked for."""
    place = re.search(r"line (\d+) column (\d+)", message)
    cannot = "out of range" in message or "hex escape" in message or "surrogate" in message or "unicode" in message
    if not cannot or place is None:
        return HTTPFault(400, "bad_json", "the body is not JSON, or nested too deeply.")
    lines = raw.split(b"\n", int(place[1]))
    before = b"\n".join([*lines[: int(place[1]) - 1], lines[int(place[1]) - 1][: int(place[2])]])
    named = re.findall(rb'"([a-z_]{1,40})"\s*:', before[-8_192:])
    field = named[-1].decode() if named else ""
    return HTTPFault(422, "invalid", "a number is out of range, or a text holds half a surrogate pair.", field)


def without_values(message: str) -> str:
    """A message of Palate's without the values in its first sentence.

    >>> without_values("item 'x. y' is not in the model (9,742 items). Did you mean 'z'?")
    'item … is not in the model (… items).'
    """
    fact = _QUOTED.sub(_LEFT_OUT, message)
    if re.search(r"""(?<!\w)['"]|['"](?!\w)""", fact):  # a value that was cut: what is it, and what is ours?
        return "a value cannot be taken."
    fact, _, remedy = fact.partition(". ")
    remedy = "" if _LEFT_OUT in remedy else remedy.strip()
    return f"{_NUMBER.sub(_LEFT_OUT, fact).rstrip('.')}. {remedy}".strip()


def field_of(message: str) -> str:
    """The field that a message begins with; empty if it names none."""
    for word in re.findall(r"[a-z_]+", _QUOTED.sub("", message[:200]).partition(". ")[0])[:4]:
        if word in _FIELDS or word in _WORDS:
            return _WORDS.get(str(word), str(word))
    return ""
