"""JSON that means one thing: no NaN, no infinity, no key twice, and one way to write it."""

from __future__ import annotations

import json
import math
from typing import Any


def dumps(document: object) -> bytes:
    """The one way to write ``document``: sorted keys, two spaces, UTF-8.

    Raises:
        ValueError, TypeError, RecursionError: If JSON cannot hold it; a NaN and half a surrogate pair are such.
    """
    return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def loads(text: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: If the text is not UTF-8 or not JSON, nests too deep, repeats a key or holds a number without a
            finite value.
    """
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in found if keys.count(key) > 1)[:40]!r} appears twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is not finite")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number JSON has")
