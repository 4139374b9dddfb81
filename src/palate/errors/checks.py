"""Checks of arguments: what is of the wrong type, shape or range is an error of one line, not a traceback further in.

Each gives the value back in its one form. Unless it says otherwise it raises OptionError.
"""

from __future__ import annotations

import math
import operator
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import count as counting
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from palate.errors import AnswerError, IdError, OptionError, did_you_mean

T = TypeVar("T")

MAX_ID_BYTES = 256
# Zero-width, direction, tag and other characters that no font shows (Unicode: default ignorable, and line separators).
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_UNSEEN = re.compile(r"[\0-\x1f\x7f]")


def shown(value: object) -> str:
    """A value in a message, short and on one line."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return "of more than 40 digits"
    if isinstance(value, float):
        return f"{value:.12g}"
    try:
        text = repr(value[:80] if isinstance(value, (str, bytes)) else value)
    except Exception:  # noqa: BLE001 - somebody's own may do anything; a number inside it may have too many digits
        return f"(a {type(value).__name__})"
    return " ".join(text[:200].split())[:40]


def number_of(value: object) -> float:
    """The number, NaN where it is none. Text and truth values are none, although Python could make a number of them."""
    try:
        return float(value) if not isinstance(value, bool) and isinstance(value, Real) else math.nan
    except OverflowError:
        return math.inf


def number(value: object, name: str, *, least: float = -math.inf) -> float:
    """A finite number."""
    found = number_of(value)
    if not math.isfinite(found) or found < least:
        raise OptionError(f"{name} is {shown(value)}. Give a finite number{f' from {least:g}' * math.isfinite(least)}.")
    return found


def rating_of(value: object) -> float:
    """The rating as a finite float. Text and ``True`` are refused, although Python could make a number of them."""
    number = number_of(value)
    if not math.isfinite(number):
        raise AnswerError(f"the rating {shown(value)} is not a finite number. Give a number on the data's scale.")
    return number


def probability_of(value: object) -> float:
    """A probability, as a float."""
    number = number_of(value)
    if not 0.0 <= number <= 1.0:
        raise AnswerError(f"propensity {shown(value)} is not a probability. Give a number from 0 to 1, or None.")
    return number


def positive(value: object, name: str) -> float:
    """A finite number above 0."""
    found = number_of(value)
    if not 0.0 < found < math.inf:  # false for NaN too
        raise OptionError(f"{name} is {shown(value)}. Give a finite number above 0.")
    return found


def share(value: object, name: str) -> float:
    """A number in [0, 1]."""
    found = number_of(value)
    if not 0.0 <= found <= 1.0:
        raise OptionError(f"{name} is {shown(value)}. Give a number from 0 to 1.")
    return found


def count(value: object, name: str, *, least: int = 0, most: int = sys.maxsize) -> int:
    """A whole number."""
    try:
        found = operator.index(value)  # type: ignore[arg-type]  # the question is whether it is one
    except TypeError:
        found = least - 1
    if not least <= found <= most or isinstance(value, bool):
        to = "" if most == sys.maxsize else f" to {most}"
        raise OptionError(f"{name} is {shown(value)}. Give a whole number from {least}{to}.")
    return found


def flag(value: object, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise OptionError(f"{name} is {shown(value)}. Give True or False.")
    return value


def several(value: object, name: str, example: str = "['a', 'b']") -> tuple[Any, ...]:
    """Several things, such as ids; one alone is not several."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise OptionError(f"{name} is {shown(value)}. Give several in a list, such as {name}={example}.")
    try:
        return tuple(value)
    except TypeError:  # an array of no dimension, a class
        raise OptionError(f"{name} is {shown(value)}. Give several in a list, such as {name}={example}.") from None


def one_of(value: object, known: Iterable[str], name: str) -> str:
    """One of a few names."""
    few = list(known)
    if isinstance(value, str) and value in few:
        return value
    is_ = "are" if name.endswith("s") else "is"
    way = did_you_mean(value, few, 1) or f"Use {', '.join(few[:-1])} or {few[-1]}."
    raise OptionError(f"{name} {shown(value)} {is_} unknown. {way}")


def instance(value: object, kind: type[T], name: str, way: str) -> T:
    """An object of a kind.

    Args:
        way: What to give instead.
    """
    if not isinstance(value, kind):
        raise OptionError(f"{name} is {shown(value)}, a {type(value).__name__}. Give {way}.")
    return value


def mapping(value: object, name: str, way: str) -> Mapping[Any, Any]:
    """A mapping.

    Args:
        way: What to give instead.
    """
    if not isinstance(value, Mapping):
        raise OptionError(f"{name} is {shown(value)}, a {type(value).__name__}. Give {way}.")
    return value


def path_of(value: object, name: str) -> Path:
    """A path on disk, of something that is there or not."""
    text = os.fsdecode(value) if isinstance(value, (str, os.PathLike)) else ""
    fault = "which is no path" if not text.strip() or "://" in text or _UNSEEN.search(text) else _no_file(text)
    if fault:
        raise OptionError(f"{name} is {shown(value)}, {fault}. Give the path of a file or a folder.")
    return Path(text)


def _no_file(path: str) -> str:
    """Why there can be no file of that name; empty where there can."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:  # too long, or in a folder that cannot be read
        return f"which cannot be looked up ({error.strerror})"
    except ValueError:  # half a surrogate pair
        return "which no file can be called"
    return ""


def normalise_id(value: object, what: str = "id") -> str:
    """The one normal form of an id, as of :func:`normalise_words`, all of it visible.

    An invisible character is refused, not taken out: two ids that look alike would be two users, and taken out it would
    make one user of two that another system keeps apart.

    Raises:
        IdError: If the id cannot be kept.
    """
    text = normalise_words(value, what)
    if not text.isascii() and (hidden := INVISIBLE.search(text)):
        raise IdError(f"{what} {text[:40]!r} holds U+{ord(hidden[0]):04X}, which does not show. Remove it.")
    return text


def normalise_words(value: object, what: str = "id") -> str:
    """The one normal form of words, such as a concept, in which joiners that do not show are spelling.

    Args:
        value: Text or a whole number; ``True``/``False``, fractions and empty values are refused.
        what: The word for the id in an error, such as ``user_id``.
    Returns:
        NFC text without outer white space, 1 to 256 bytes of UTF-8.
    Raises:
        IdError: If the id cannot be kept.
    """
    text = unicodedata.normalize("NFC", value if isinstance(value, str) else _digits(value, what)).strip()
    if not text:
        raise IdError(f"{what} is empty. Give every row an id of 1 to {MAX_ID_BYTES} bytes.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise IdError(f"{what} {text[:40]!r} holds a control character or half a surrogate pair. Remove it.")
    size = len(text.encode())
    if size > MAX_ID_BYTES:
        raise IdError(f"{what} {text[:40]!r}... has {size} bytes. Ids have at most {MAX_ID_BYTES}.")
    return text


def time_of(value: object, name: str) -> float | None:
    """Seconds since the epoch, or None where they are not known.

    Raises:
        AnswerError: If it is neither.
    """
    number = None if value is None else number_of(value)
    if number is not None and not math.isfinite(number):
        raise AnswerError(f"{name} {shown(value)} is not a finite number. Give a finite one, or None.")
    return number


def key_of(value: object, what: str = "key") -> str:
    """A key in its normal form; empty where there is none.

    Raises:
        IdError: If it cannot be kept.
    """
    return "" if isinstance(value, str) and not value else normalise_id(value, what)


def keys_of(key: str) -> Iterator[str]:
    """Keys of several things that came together: this one, then this one with a number; empty where there is none."""
    key = key_of(key)
    return (key and (f"{key}:{place}" if place else key) for place in counting())


def _digits(value: object, what: str) -> str:
    """A whole number as text."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    try:
        # a column of integers with a gap is read as fractions
        number = int(value) if is_whole and isinstance(value, float) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise IdError(f"{what} {shown(value)} is a {type(value).__name__}. Ids are text or whole numbers.")
    if abs(number) >= 10**MAX_ID_BYTES:  # Python refuses to print one of over 4,300 digits
        raise IdError(f"{what} is a number of more than {MAX_ID_BYTES} digits. Ids have at most {MAX_ID_BYTES} bytes.")
    return str(number)


def check_text(value: object, name: str) -> None:
    """Text that can be written to a file; empty too."""
    try:
        if not isinstance(value, str):
            raise TypeError
        value.encode()
    except (TypeError, UnicodeEncodeError):
        raise OptionError(f"{name} is {shown(value)}. Give text, without half a surrogate pair.") from None
