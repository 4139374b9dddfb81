"""What the words of events mean: each has a sign and a strength, and one that is not known is an error.

Documented words speak for an item, against it, or of neither (``impression``: it was shown). Further words are added by
what they mean: ``name=like:0.5`` says that ``name`` speaks as ``like`` does, half as strongly as the strongest word.
The strength of a word decides two things: which of several events about one item counts (the strongest, and of equally
strong ones the last), and how much it counts, until a fit learns that from the data (:mod:`palate.model.strengths`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from palate.errors import DataError, OptionError, did_you_mean
from palate.errors.checks import mapping, number_of, shown

FILE = "events.toml"  # in a data folder: words of its own
IMPRESSION = "impression"
NO_NAME = ""  # an event that is not named: a row without rating and event, or one that was told so
FOR: Mapping[str, float] = {
    "view": 0.3,
    "click": 0.5,
    "read": 0.7,
    "play": 0.7,
    "add-to-cart": 0.7,
    "save": 0.8,
    "like": 1.0,
    "purchase": 1.0,
    "share": 1.0,
}
AGAINST: Mapping[str, float] = {
    "skip": 0.3,
    "hide": 0.8,
    "dislike": 1.0,
    "refund": 1.0,
    "report": 1.0,
    "return": 1.0,
    "unsubscribe": 1.0,
}
SAYS = {1: "for", -1: "against", 0: "shown"}
MAX_FILE_BYTES = 1 << 20
MOST_NAMED = 12  # words in a message
_LONGEST = 40  # characters of each


@dataclass(frozen=True, slots=True)
class Word:
    """What an event of this name says.

    Attributes:
        kind: The documented word that it means.
        sign: 1 for, -1 against, 0 neither.
        strength: In (0, 1]; 0 of an impression.
        given: Whether somebody gave the strength, so that it is not to be learnt.
    """

    kind: str
    sign: int
    strength: float
    given: bool = False


DOCUMENTED: Mapping[str, Word] = {
    **{name: Word(name, 1, strength) for name, strength in FOR.items()},
    **{name: Word(name, -1, strength) for name, strength in AGAINST.items()},
    IMPRESSION: Word(IMPRESSION, 0, 0.0),
    NO_NAME: Word(NO_NAME, 1, 1.0, given=True),
}


@dataclass(frozen=True)
class Vocabulary:
    """The words that a data set may use.

    Attributes:
        added: By name what it means: a documented word, or one with a strength, such as ``like:0.5``.
        learnt: Strengths that a fit has found, by name.
        words: All of them, the documented ones too.

    Raises:
        OptionError: If one of the added means nothing, or its strength is not above 0 and at most 1.

    >>> Vocabulary({"bought": "purchase", "wished": "like:0.5"}).liking("wished")
    0.5
    """

    added: Mapping[str, str] = field(default_factory=dict)
    learnt: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, Word] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        way = "a mapping such as {'bought': 'purchase', 'wished': 'like:0.5'}"
        given = {_name(name): meaning for name, meaning in mapping(self.added, "events", way).items()}
        object.__setattr__(self, "added", given)
        object.__setattr__(self, "words", {**DOCUMENTED, **{name: _word(name, given[name]) for name in given}})

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Vocabulary:
        """From ``name=word:strength`` or ``name=word``, as a command line gives them."""
        parts = list(texts)
        for part in parts:
            if "=" not in part:
                raise OptionError(f"--event has {shown(part)} without =. Write name=like:0.5 or name=purchase.")
        return cls({name.strip(): meaning.strip() for name, _, meaning in (part.partition("=") for part in parts)})

    @classmethod
    def read(cls, folder: Path) -> Vocabulary:
        """The words of a data folder; none where it has no ``events.toml``.

        Raises:
            DataError: If the file is not TOML, or one of its words means nothing.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{FILE} has {path.stat().st_size:,} bytes, of at most {MAX_FILE_BYTES:,}. Shorten it.")
        try:
            return cls(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            why = str(error).splitlines()[0][:120]
            raise DataError(f'{FILE} cannot be read ({why}). Write a line a word: bought = "purchase".') from None
        except OptionError as error:
            raise DataError(f"{FILE}: {error}") from None

    def toml(self) -> str:
        """The added words as :meth:`read` takes them."""
        return "".join(f'"{name}" = "{meaning}"\n' for name, meaning in self.added.items())

    def with_added(self, added: Vocabulary) -> Vocabulary:
        """With words more; of one name the later meaning counts."""
        return replace(self, added={**self.added, **added.added})

    def word(self, name: str) -> Word:
        """What a name means.

        Raises:
            DataError: If it is unknown.
        """
        if name not in self.words:
            near = did_you_mean(name, list(filter(None, self.words)))
            raise DataError(f"the event {shown(name)} is unknown. {near} {self._known()}".replace("  ", " "))
        return self.words[name]

    def strength(self, name: str) -> float:
        """How much an event counts, in [0, 1]: as it was learnt, given or documented; 0 where nothing is said."""
        return self.learnt.get(name, self.words[name].strength) if name in self.words else 0.0

    def liking(self, name: str) -> float:
        """Its strength with its sign."""
        return self.word(name).sign * self.strength(name)

    def check(self, counts: Mapping[str, int]) -> None:
        """Raises DataError if one of these words is unknown; the message lists all such with their counts."""
        unknown = {name: count for name, count in counts.items() if name not in self.words}
        if not unknown:
            return
        listed = ", ".join(f"{shown(name[:_LONGEST])} {count:,}" for name, count in list(unknown.items())[:MOST_NAMED])
        more = f" and {len(unknown) - MOST_NAMED:,} more" if len(unknown) > MOST_NAMED else ""
        first = next(iter(unknown))
        near = did_you_mean(first, list(filter(None, self.words)), n=1)
        what = "event is" if len(unknown) == 1 else "events are"
        raise DataError(
            f"{len(unknown):,} {what} unknown: {listed}{more}. {near} Say what each means with --event NAME=WORD or "
            f"--event NAME=WORD:STRENGTH, or in {FILE}. {self._known()}".replace("  ", " ")
        )

    def _known(self) -> str:
        return f"Known events: {', '.join(sorted(filter(None, self.words)))}."

    def as_dict(self) -> dict[str, Any]:
        """What the vocabulary is made from, for JSON."""
        return {"added": dict(self.added), "learnt": dict(self.learnt)}

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)


def normal_word(text: str) -> str:
    """A word in its one form: lower case, with hyphens for blanks and underscores.

    >>> normal_word(" Add_to cart")
    'add-to-cart'
    """
    return re.sub(r"[\s_]+", "-", text.strip().lower())


def _name(name: object) -> str:
    normal = normal_word(name) if isinstance(name, str) else ""
    if not 0 < len(normal) <= _LONGEST or not normal.isprintable() or set(normal) & set('"\\='):
        way = f"Give up to {_LONGEST} letters, digits and hyphens, such as wished=like:0.5"
        raise OptionError(f"the event {shown(name)} is no word. {way}.")
    return normal


def _word(name: str, meaning: object) -> Word:
    """A word from ``like`` or ``like:0.5``."""
    way = f"Give a documented event and a strength, such as {name[:_LONGEST]}=like:0.5."
    if not isinstance(meaning, str):
        raise OptionError(f"the event {shown(name)} means {shown(meaning)}. {way}")
    kind, colon, strength = (part.strip() for part in meaning.partition(":"))
    base = DOCUMENTED.get(normal_word(kind)) if kind else None
    if base is None:
        near = did_you_mean(normal_word(kind), list(filter(None, DOCUMENTED)), n=1)
        raise OptionError(f"the event {shown(name)} means {shown(kind)}, which is not documented. {near} {way}")
    if not colon:
        return base
    return replace(base, strength=_strength(name, strength, base), given=True)


def _strength(name: str, text: str, base: Word) -> float:
    try:
        strength = number_of(float(text))
    except ValueError:
        strength = float("nan")
    if base.sign == 0:
        raise OptionError(
            f"the event {shown(name)} is an impression of the strength {text}. It says nothing: leave it."
        )
    if not 0.0 < strength <= 1.0:  # true for NaN too
        raise OptionError(
            f"the strength of the event {shown(name)} is {text[:_LONGEST]}. Give a number above 0 and at most 1, or "
            f"say that it means nothing: {name[:_LONGEST]}=impression."
        )
    return strength


STANDARD = Vocabulary()  # the documented words alone
