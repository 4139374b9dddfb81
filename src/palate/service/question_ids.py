"""Ids of questions that carry, signed, what is kept of them with the answer: until then nothing is stored."""

from __future__ import annotations

import base64
import hmac
import json
import time
from dataclasses import dataclass

from palate.entities import Form, Question
from palate.service.faults import HTTPFault
from palate.service.keys import KeyRing

_OPEN = (Form.RECALL.value, Form.PAGE.value)  # which item is answered is not known when they are asked


@dataclass(frozen=True, slots=True)
class Origin:
    """How a question came to be asked.

    Attributes:
        id: Short, as the log keeps it.
        model: Version that asked.
        strategy: That chose it.
        propensity: Probability with which it was chosen.
        value: Acquisition score.
        asked_at: Seconds since the epoch, by the server's clock.
    """

    id: str
    model: str
    strategy: str
    propensity: float
    value: float
    asked_at: float


def question_id(ring: KeyRing, question: Question, model: str, now: float | None = None) -> str:
    """The id of a question to a user, at most 256 characters."""
    at = round(time.time() if now is None else now, 1)
    strategy = question.strategy[:64]
    numbers = float(f"{question.propensity:.12g}"), float(f"{question.value:.6g}"), at
    parts = [question.form.value, model, strategy, *numbers]
    payload = base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).rstrip(b"=").decode()
    items = _items(question.form.value, question.item_id, question.others)
    return f"{payload}.{ring.sign('question', payload, question.user_id, *items)}"


def origin_of(ring: KeyRing, id: str, user_id: str, form: str, item_id: str, others: tuple[str, ...]) -> Origin:
    """How the question was asked that an answer names.

    Raises:
        HTTPFault: If no such question was put to this user.
    """
    payload, _, signature = id.partition(".")
    try:
        asked, model, strategy, propensity, value, at = json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
    except (ValueError, TypeError):
        raise _strange() from None
    if not isinstance(asked, str) or (form != asked and not (asked == Form.PAGE.value and form == Form.RATE.value)):
        raise _strange()
    expected = ring.sign("question", payload, user_id, *_items(asked, item_id, others))
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise _strange()
    return Origin(signature, model, strategy, propensity, value, at)


def _items(form: str, item_id: str, others: tuple[str, ...]) -> tuple[str, ...]:
    return () if form in _OPEN else (item_id, *others)


def _strange() -> HTTPFault:
    return HTTPFault(
        422, "unknown_question", "this question was not put to this user. Leave question_id out.", "question_id"
    )
