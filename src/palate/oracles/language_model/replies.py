"""What a server replied, read strictly: one of the options that were offered, or nothing.

A server may say anything. Whatever is not of the shape that the interface has, or names no option, is no answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from palate.arrays import TINY, Array

Document = Mapping[str, Any]
_TOO_MUCH = 1.01  # that probabilities may add up to, rounded
_LEAST_CHANCE = 1e-9  # of an option that is not among the likeliest tokens
MOST_TOKENS = 10**9  # that a server may say it has read or written
_AROUND = " \t\r\n.:;,!()\"'*`"  # of a label, which a model may add


class Shares(NamedTuple):
    """What one reply says of the options.

    Attributes:
        logp: Of each option, in nats; they add up to 1 as probabilities, (K,).
        mass: Of all that the model could have said, the part that is an option.
    """

    logp: Array
    mass: float


def shares_of(chances: Array, mass: float, floor: float = _LEAST_CHANCE) -> Shares:
    """Of K chances, none lower than the floor."""
    raised = np.maximum(chances, max(floor, TINY))
    return Shares(np.log(raised / raised.sum()), mass)


def of_logprobs(document: Document, labels: Sequence[str]) -> Shares | None:
    """By the log-probabilities of the first token; None where they are not there in the shape that they have.

    A token counts for the one label that begins with it, whatever its case and the space around it. An option whose
    token is not among those listed is at most as likely as the last of them, and as what is left.
    """
    tokens = _first_tokens(document)
    if not tokens:
        return None
    chances, total = np.zeros(len(labels)), 0.0
    folded = [label.casefold() for label in labels]
    for token, logprob in tokens:
        chance = math.exp(min(logprob, 0.0))
        total += chance
        word = token.strip(_AROUND).casefold()
        meant = [place for place, label in enumerate(folded) if word and label.startswith(word)]
        if len(meant) == 1:
            chances[meant[0]] += chance
    if total > _TOO_MUCH:
        return None
    least = min(math.exp(min(logprob, 0.0)) for _, logprob in tokens)
    return shares_of(chances, float(chances.sum()), max(min(least, 1.0 - total), _LEAST_CHANCE))


def of_json(document: Document, labels: Sequence[str]) -> Shares | None:
    """By the one label in ``{"answer": label}``."""
    try:
        said = json.loads(_content(document))
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or list(said) != ["answer"] or said["answer"] not in labels:
        return None
    return of_votes([labels.index(said["answer"])], len(labels), 1)


def place_of(document: Document, labels: Sequence[str]) -> int | None:
    """The place of the label that the text consists of."""
    said = _content(document).strip(_AROUND).casefold()
    found = [place for place, label in enumerate(labels) if label.casefold() == said]
    return found[0] if found else None


def of_votes(places: Sequence[int], options: int, asked: int) -> Shares:
    """By how often each option was named, and one count spread over all."""
    counts = np.bincount(np.asarray(places, dtype=np.intp), minlength=options) + 1.0 / options
    return shares_of(counts / counts.sum(), len(places) / asked)


def usage_of(document: Document) -> tuple[int, int] | None:
    """Tokens read and written, as the server says; None where it does not."""
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return None
    read, written = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return None if read is None or written is None else (read, written)


def _count(tokens: object) -> int | None:
    if isinstance(tokens, bool) or not isinstance(tokens, int):
        return None
    return tokens if 0 <= tokens <= MOST_TOKENS else None


def build_of(document: Document) -> tuple[str, str]:
    """By what name and build the server says that it answered; empty where it does not."""
    found = [document.get(name) for name in ("model", "system_fingerprint")]
    name, build = (one[:200] if isinstance(one, str) else "" for one in found)
    return name, build


def text_of(document: Document) -> str:
    """What was said; empty where nothing was."""
    return _content(document)


def _choice(document: Document) -> Document:
    choices = document.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _content(document: Document) -> str:
    message = _choice(document).get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _first_tokens(document: Document) -> list[tuple[str, float]]:
    """The likeliest first tokens; none where anything about them is not as it should be."""
    logprobs = _choice(document).get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    listed = first.get("top_logprobs") if isinstance(first, dict) else None
    if not isinstance(listed, list) or not 1 < len(listed) <= 100:
        return []
    found: list[tuple[str, float]] = []
    for one in listed:
        token, logprob = (one.get("token"), one.get("logprob")) if isinstance(one, dict) else (None, None)
        is_number = isinstance(logprob, (int, float)) and not isinstance(logprob, bool)
        if not isinstance(token, str) or not is_number or not -math.inf < float(logprob) < 1e-3:  # type: ignore[arg-type]
            return []
        found.append((token, float(logprob)))  # type: ignore[arg-type]
    return found
