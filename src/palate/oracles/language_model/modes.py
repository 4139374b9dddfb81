"""Three ways to have a choice made, of which one probe finds the best that a server knows.

- By the log-probabilities of the first token: one call tells how likely each option is.
- By strict JSON: the server keeps the reply to the options; one call tells which.
- By samples: several calls, and the share of each option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from palate.errors import OracleError
from palate.oracles.language_model import replies
from palate.oracles.language_model.prompts import Choice, Message
from palate.oracles.language_model.replies import Document, Shares
from palate.oracles.language_model.server import Server

LEAST_MASS = 0.5  # of all that could be said, on the options; below it nothing was chosen
_TOP = 20  # tokens of which a server tells how likely they are, at most
_JSON_TOKENS, _SAMPLE_TOKENS = 64, 16
_PROBE = Choice("Which of these is a fruit?", ("apple", "brick"))


class Mode(StrEnum):
    """How a choice is read off a reply."""

    LOGPROBS = "logprobs"
    JSON = "json"
    SAMPLES = "samples"


class Probed(NamedTuple):
    """What a server knows.

    Attributes:
        build: By what name and build it answered.
        tokens, cost: Of the probe.
    """

    mode: Mode
    build: tuple[str, str]
    tokens: int
    cost: float


def body_of(
    mode: Mode, model: str, messages: Sequence[Message], labels: Sequence[str], extra: Mapping[str, Any], seed: int = 0
) -> dict[str, Any]:
    """What is sent.

    Args:
        extra: Further fields of the body, for this server.
        seed: Of a sample.
    """
    body: dict[str, Any] = {**extra, "model": model, "messages": list(messages), "temperature": 0}
    if mode is Mode.LOGPROBS:
        return body | {"max_tokens": 1, "logprobs": True, "top_logprobs": _TOP}
    if mode is Mode.SAMPLES:
        return body | {"max_tokens": _SAMPLE_TOKENS, "temperature": 1, "seed": seed}
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": list(labels)}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    return body | {"max_tokens": _JSON_TOKENS, "response_format": wanted}


def read(mode: Mode, document: Document, labels: Sequence[str]) -> Shares | None:
    """What one reply says of the options; None where it is no answer."""
    if mode is Mode.LOGPROBS:
        return replies.of_logprobs(document, labels)
    if mode is Mode.JSON:
        return replies.of_json(document, labels)
    place = replies.place_of(document, labels)
    return None if place is None else replies.of_votes([place], len(labels), 1)


def probe(server: Server, model: str, extra: Mapping[str, Any]) -> Probed:
    """The first way that works: one call where the first does.

    Raises:
        SpentError: If the budget does not pay for it.
        OracleError: If none does.
    """
    labels, messages, tokens, cost = _PROBE.labels, _PROBE.messages(False), 0, 0.0
    for mode in Mode:
        try:
            reply = server.ask(body_of(mode, model, messages, labels, extra))
        except OracleError as error:
            if mode is Mode.SAMPLES or type(error) is not OracleError:
                raise
            continue  # a server may refuse what it does not know
        tokens, cost = tokens + reply.tokens, cost + reply.cost
        found = read(mode, reply.document, labels)
        if found is not None:  # log-probabilities of their shape, even if none here is of an option: examples may help
            return Probed(mode, replies.build_of(reply.document), tokens, cost)
    raise OracleError(
        f"the language model {model!r} chose none of the options that it was given. If it thinks before it "
        "answers, turn that off by extra, such as extra={'chat_template_kwargs': {'enable_thinking': False}}."
    )
