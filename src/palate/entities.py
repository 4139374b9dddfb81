"""The things Palate speaks of, and the column names, once.

Ids are text. An id is normalised in one way everywhere (:func:`normalise_id`): NFC, no outer white space, 1 to 256
bytes of UTF-8, no control characters and no lone surrogates. Two ids are the same if their normalised text is equal.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real

from palate.errors import AnswerError, IdError

USER = "user_id"
ITEM = "item_id"
RATING = "rating"
EVENT = "event"
TIMESTAMP = "timestamp"  # seconds since the epoch, UTC
TITLE = "title"
TEXT = "text"
CATEGORY = "category"  # one or several, CATEGORY_SEPARATOR between
IMAGE = "image"
AUDIO = "audio"

CATEGORY_SEPARATOR = "|"
MAX_ID_BYTES = 256

POSITIVE_EVENTS = frozenset({"click", "purchase", "like", "read", "play", "save", "share", "view"})
NEGATIVE_EVENTS = frozenset({"dislike", "skip", "hide", "report"})


def normalise_id(value: object, what: str = "id") -> str:
    """The one normal form of an id.

    Args:
        value: Text or a whole number; ``True``/``False``, fractions and empty values are refused.
        what: The word for the id in an error, such as ``user_id``.
    Returns:
        NFC text without outer white space, 1 to 256 bytes of UTF-8.
    Raises:
        IdError: If the id cannot be kept.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # a column of integers with a gap is read as fractions
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise IdError(f"{what} {value!r} is a {type(value).__name__}. Ids are text or whole numbers.")
    if isinstance(value, int) and abs(value) >= 10**MAX_ID_BYTES:  # Python refuses to print one of over 4,300 digits
        raise IdError(f"{what} is a number of more than {MAX_ID_BYTES} digits. Ids have at most {MAX_ID_BYTES} bytes.")
    text = unicodedata.normalize("NFC", str(value)).strip()
    if not text:
        raise IdError(f"{what} is empty. Give every row an id of 1 to {MAX_ID_BYTES} bytes.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise IdError(f"{what} {text[:40]!r} holds a control character or half a surrogate pair. Remove it.")
    size = len(text.encode())
    if size > MAX_ID_BYTES:
        raise IdError(f"{what} {text[:40]!r}... has {size} bytes. Ids have at most {MAX_ID_BYTES}.")
    return text


class AnswerKind(StrEnum):
    """The four answers, never merged: only a rating moves taste."""

    RATING = "rating"
    NO_OPINION = "no-opinion"  # knows it, has no view of it
    UNKNOWN = "unknown"  # does not know it: says something of exposure, nothing of taste
    SKIPPED = "skipped"  # did not want to say


@dataclass(frozen=True, slots=True)
class Item:
    """Something to recommend or to ask about."""

    id: str
    title: str = ""
    text: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One item worth asking one person about.

    Attributes:
        value: Acquisition score; its unit is the strategy's (nats for epig and bald, squared rating for a-optimal).
        answerable: Probability that this person can answer, in [0, 1].
        propensity: Probability with which this item was chosen, given everything before it.
        why: The reason in words.
    """

    user_id: str
    item_id: str
    strategy: str
    value: float
    answerable: float
    propensity: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an oracle says to a question.

    Attributes:
        value: The rating on the data's own scale, for ``kind`` rating; ``None`` for the other kinds.
        source: Who answered: ``person``, ``simulated``, an annotator's name.
        propensity: Probability with which the question was asked; ``None`` where nobody asked.
        key: Client-made key; a second answer with the same key changes nothing. Empty: one is made.
        question: The strategy that asked, empty where nobody did.
        asked_at, answered_at: Seconds since the epoch as the client claims them; ``None`` if unknown.
    """

    user_id: str
    item_id: str
    kind: AnswerKind
    value: float | None = None
    source: str = "person"
    propensity: float | None = None
    key: str = ""
    question: str = ""
    asked_at: float | None = None
    answered_at: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "user_id", normalise_id(self.user_id, USER))
        object.__setattr__(self, "item_id", normalise_id(self.item_id, ITEM))
        object.__setattr__(self, "kind", _kind(self.kind))
        if self.value is not None:
            object.__setattr__(self, "value", _rating(self.value))
        if (self.kind is AnswerKind.RATING) != (self.value is not None):
            raise AnswerError(
                f"an answer of kind {self.kind.value!r} has value {self.value!r}. Only a rating has a value."
            )

    @property
    def is_rating(self) -> bool:
        return self.kind is AnswerKind.RATING


def _kind(value: object) -> AnswerKind:
    kinds = [kind.value for kind in AnswerKind]
    if not isinstance(value, str) or value not in kinds:
        raise AnswerError(f"an answer has the kind {_shown(value)}. Give one of {', '.join(kinds)}.")
    return AnswerKind(value)


def _rating(value: object) -> float:
    """The rating as a finite float. Text and ``True`` are refused, although Python could make a number of them."""
    try:
        number = float(value) if not isinstance(value, bool) and isinstance(value, Real) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise AnswerError(f"the rating {_shown(value)} is not a finite number. Give a number on the data's scale.")
    return number


def _shown(value: object) -> str:
    """A value in a message, short; Python refuses to print a number of over 4,300 digits, even inside another value."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return "of more than 40 digits"
    try:
        return repr(value)[:40]
    except ValueError:
        return f"(a {type(value).__name__})"


@dataclass(frozen=True, slots=True)
class Label:
    """An answer kept in the log.

    Attributes:
        seq: Position in the log, from 1; the server's order, which replay obeys.
        recorded_at: Seconds since the epoch when it was kept.
        retracts: Key of the label that this row takes back, empty for an answer.
    """

    seq: int
    answer: Answer
    recorded_at: float
    retracts: str = ""
