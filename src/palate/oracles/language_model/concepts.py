"""Concepts that a language model proposes: words that may be worth a question, none of them asked unseen.

The model only words. What a concept is worth is the gain of its question under the fitted model, beside those that are
asked already, and a person says yes to each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from palate.errors import OracleError, PalateError
from palate.errors.checks import count, normalise_words, number_of, several
from palate.oracles.language_model.language_model import LanguageModel
from palate.oracles.language_model.prompts import RULE
from palate.oracles.language_model.replies import text_of
from palate.oracles.language_model.untrusted import TITLE_LETTERS, fenced, plain

MOST_TITLES, MOST_PROPOSED = 100, 50
_LETTERS = 40  # of a concept
_TOKENS_EACH = 24
_WORDING = "Name {} kinds of item, in one to three words each, that some people like and others do not."


class Kept(NamedTuple):
    """A concept that is kept.

    Attributes:
        gain: Of its question, in the unit of the caller.
    """

    name: str
    gain: float


def propose(model: LanguageModel, titles: Sequence[str], *, k: int = 20) -> tuple[str, ...]:
    """Up to k concepts for a catalogue, by at most a hundred of its titles.

    Raises:
        SpentError: If the budget does not pay for it.
        OracleError: If the server does not reply with a list.
    """
    k = count(k, "k", least=1, most=MOST_PROPOSED)
    fields = [("title", plain(title, TITLE_LETTERS)) for title in several(titles, "titles")[:MOST_TITLES]]
    schema = {
        "type": "object",
        "properties": {"concepts": {"type": "array", "items": {"type": "string"}, "maxItems": k}},
        "required": ["concepts"],
        "additionalProperties": False,
    }
    content = f"{RULE}\n{_WORDING.format(k)}\n{fenced(fields)}\nReply with a list in JSON."
    wanted = {"type": "json_schema", "json_schema": {"name": "concepts", "strict": True, "schema": schema}}
    reply = model.server.ask(
        {
            **model.extra,
            "model": model.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": _TOKENS_EACH * k,
            "response_format": wanted,
        }
    )
    listed = _listed(text_of(reply.document))
    if listed is None:
        raise OracleError("the language model gave no list of concepts. Use a server that keeps to a schema.")
    names: dict[str, str] = {}
    for name in filter(None, map(_name, listed)):
        names.setdefault(name.casefold(), name)
    return tuple(names.values())[:k]


def _listed(text: str) -> list[object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    listed = found.get("concepts") if isinstance(found, dict) else None
    return listed if isinstance(listed, list) else None


def _name(said: object) -> str:
    """Words, and nothing else; empty where it is not that."""
    words = plain(said, _LETTERS + 1) if isinstance(said, str) else ""
    fits = 0 < len(words) <= _LETTERS and all(one.isalnum() or one in " -'&" for one in words)
    return normalise_words(words, "concept") if fits else ""


def keep(
    proposed: Sequence[str],
    existing: Sequence[str],
    *,
    gain: Callable[[str], float],
    approve: Callable[[Kept], bool],
    top: int = 10,
) -> tuple[Kept, ...]:
    """Those worth as much as one of the ``top`` best that there are, and approved, the best first.

    Args:
        existing: That are asked already.
        gain: Of the question about a concept under the fitted model, such as the ``value`` of
            ``learner.ask(user, forms=["concept"], concepts=[name])``. One that the model cannot read has none.
        approve: A person's word on each that is left.
    """
    known = [normalise_words(name, "concept") for name in several(existing, "existing")]
    gains = sorted((_gain(gain, name) for name in known), reverse=True)
    place, folded = count(top, "top", least=1), {name.casefold() for name in known}
    least = gains[place - 1] if len(gains) >= place else float("-inf")
    new = dict.fromkeys(normalise_words(name, "concept") for name in several(proposed, "proposed"))
    found = [Kept(name, _gain(gain, name)) for name in new if name.casefold() not in folded]
    worthy = [one for one in found if one.gain > 0.0 and one.gain >= least]
    return tuple(one for one in sorted(worthy, key=lambda one: -one.gain) if approve(one))


def _gain(gain: Callable[[str], float], name: str) -> float:
    try:
        found = number_of(gain(name))
    except PalateError:  # the model has no encoder that could read it
        return float("-inf")
    return found if found == found else float("-inf")
