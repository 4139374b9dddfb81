"""Items by what they are called: as it is typed, misspelt too, and inside what people write.

Names are compared without case, accents and punctuation. "Matrix, The (1999)" is also called "The Matrix" and "Matrix",
and what stands in brackets is another name of it. Of several items with one name the one with the most answers is
meant, unless the year is given too.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from palate.arrays import Array, Positions
from palate.errors import LimitError
from palate.errors.checks import check_text, shown
from palate.model.spoken import ARTICLES, IN_BRACKETS, INVERTED, UNSPACED, YEAR

MOST_CHARACTERS = 100_000  # of a text in which titles are found
MOST_TYPED = 256  # characters of a title as it is typed
_SHORTLIST = 50  # names, alike in their letters, that a misspelt one is compared with
_AFTER_ALL = "\U0010ffff"  # no letter comes after it
_NAMES_OF_ONE = 20  # an item may have, about: with its year, its article and what stands in brackets
_ALIKE = 0.6  # share of letters in the same order from which a misspelt title is meant
_MOST_WORDS = 40  # of a title that is looked for in a text
_TELLING = 4  # letters of a single word that is taken for a title because it begins with a capital

_KNOWN_AS = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)
_APOSTROPHES = re.compile("['’`ʼ]")  # people type all of them
_WORD = re.compile(r"[^\W_]+(?:['’`ʼ][^\W_]+)*|&")
_BETWEEN = re.compile(r"[,;\n]| and | & ")
_OPENS, _CLOSES, _ENDS = set(',;:(/\n"“«„•*-'), set(',;:)/\n"”»“.!?'), set(".!?\n")


def folded(text: str) -> str:
    """Words without case, accents and punctuation, one space between them.

    >>> folded("Amélie  & the WORLD's End!")
    'amelie and the worlds end'
    """
    plain = text.casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
        plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    plain = UNSPACED.sub(r" \1 ", _APOSTROPHES.sub("", plain.replace("&", " and ")))
    return " ".join(re.sub(r"[\W_]+", " ", plain).split())


def names_for(title: str) -> list[str]:
    """All that a title may be called, folded, with and without its year.

    >>> names_for("Matrix, The (1999)")
    ['the matrix', 'the matrix 1999', 'matrix', 'matrix 1999', 'matrix the 1999']
    """
    bracketed = [_KNOWN_AS.sub("", part.strip()) for part in IN_BRACKETS.findall(title)]
    years = [part for part in bracketed if YEAR.match(part)]
    names = []
    for part in (IN_BRACKETS.sub(" ", title), *(part for part in bracketed if part not in years)):
        for name in _turned(part.strip()):
            names += [name, *(f"{name} {year}" for year in years)]
    names.append(folded(title))
    return [name for name in dict.fromkeys(names) if name]


def _turned(name: str) -> Iterator[str]:
    """With its article in front, and without."""
    found = INVERTED.match(name)
    whole = folded(f"{found[2]} {found[1]}" if found else name)
    yield whole
    first, _, rest = whole.partition(" ")
    if rest and first in ARTICLES:
        yield rest


@dataclass(frozen=True, eq=False)
class Titles:
    """What I items are called.

    Attributes:
        names: Of each, as it is shown.
        counts: Answers that each has, (I,): of two that are called the same, more is meant.
    """

    names: Sequence[str]
    counts: Array

    @cached_property
    def _called(self) -> list[list[str]]:
        """All that each may be called."""
        return [names_for(title) for title in self.names]

    @cached_property
    def _items(self) -> dict[str, int]:
        """The item meant by each name."""
        meant: dict[str, int] = {}
        for item in np.argsort(-self.counts, kind="stable").tolist():
            for name in self._called[item]:
                meant.setdefault(name, item)
        return meant

    @cached_property
    def _ordered(self) -> tuple[list[str], Positions]:
        """All names in their order, and the item that each is of."""
        both = sorted((name, item) for item, names in enumerate(self._called) for name in names)
        return [name for name, _ in both], np.array([item for _, item in both], dtype=np.intp)

    @cached_property
    def _longest(self) -> dict[str, int]:
        """Words of the longest name that begins with a word."""
        longest: dict[str, int] = {}
        for name in self._items:
            words = name.split()
            longest[words[0]] = max(longest.get(words[0], 0), len(words))
        return longest

    @cached_property
    def _letters(self) -> tuple[Any, Any]:
        """What makes triples of letters of a name, and those of all items, a column each."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        maker = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), dtype=np.float32)
        rows = maker.fit_transform([names[0] if names else "" for names in self._called])
        return maker, rows.T.tocsr()  # so that a name is compared through its own triples alone

    def search(self, typed: str, k: int) -> list[int]:
        """Positions of up to k items that may be meant, likeliest first: so called, so begun, or spelt alike.

        Raises:
            OptionError: If what is typed is no text, or longer than 256 characters.
        """
        name = folded(_text(typed, MOST_TYPED, "the title"))
        if not name:
            return []
        exact = self._items.get(name)
        found = list(dict.fromkeys([*([] if exact is None else [exact]), *self._begun(name, k + 1)]))
        return found[:k] if len(found) >= k else list(dict.fromkeys([*found, *self._alike(name)]))[:k]

    def named(self, typed: str) -> int | None:
        """Position of the item that is called so; None where none is."""
        return self._items.get(folded(_text(typed, MOST_TYPED, "the title")))

    def within(self, text: str) -> list[int]:
        """Positions of the items whose titles stand in a text, in the order of their first mention.

        The longest title at a place counts. A title of one word counts where it stands alone, between commas or quotes,
        or where it begins with a capital inside a sentence; of "it was a good year" no word is meant.

        Raises:
            OptionError: If it is no text.
            LimitError: If it has more than 100,000 characters.
        """
        text = _text(text, MOST_CHARACTERS, "the text")
        whole = self._items.get(folded(text))
        parts = [self._items.get(folded(part)) for part in _BETWEEN.split(text) if folded(part)]
        listed = [part for part in parts if part is not None] if whole is None else [whole]
        nothing_else = whole is not None or len(listed) == len(parts)
        return list(dict.fromkeys(listed if nothing_else else self._mentioned(text)))

    def _mentioned(self, text: str) -> Iterator[int]:
        words = [(word, found) for found in _WORD.finditer(text) for word in folded(found[0]).split()]
        place = 0
        while place < len(words):
            size, item = self._longest_at(text, words, place)
            if item is not None:
                yield item
            place += max(size, 1)

    def _longest_at(self, text: str, words: list[tuple[str, re.Match[str]]], place: int) -> tuple[int, int | None]:
        most = min(self._longest.get(words[place][0], 0), len(words) - place, _MOST_WORDS)
        for size in range(most, 0, -1):
            item = self._items.get(" ".join(word for word, _ in words[place : place + size]))
            if item is not None and (size > 1 or _stands_out(text, words[place][1])):
                return size, item
        return 0, None

    def _begun(self, name: str, k: int) -> list[int]:
        """Up to k items whose name so begins, of all of them those with most answers."""
        names, items = self._ordered
        end = bisect_left(names, name + _AFTER_ALL)
        found = items[bisect_left(names, name) : end]
        counts, wanted = self.counts[found], k * _NAMES_OF_ONE
        if len(found) > wanted:  # of very many only those that can be among the first, before they are ordered
            found = found[counts >= np.partition(counts, -wanted)[-wanted]]
            counts = self.counts[found]
        return list(dict.fromkeys(found[np.lexsort((np.arange(len(found)), -counts))].tolist()))[:k]

    def _alike(self, name: str) -> list[int]:
        """Those spelt most alike, of the many that have the same triples of letters."""
        if not any(self._called):
            return []
        maker, rows = self._letters
        score = (maker.transform([name]) @ rows).toarray()[0]
        near = np.flatnonzero(score > 0)
        if len(near) > _SHORTLIST:
            near = near[score[near] >= np.partition(score[near], -_SHORTLIST)[-_SHORTLIST]]
        near = near[np.argsort(-score[near], kind="stable")][:_SHORTLIST]
        ratios = {int(item): max(_ratio(name, other) for other in self._called[item]) for item in near}
        return sorted((item for item, ratio in ratios.items() if ratio >= _ALIKE), key=lambda item: -ratios[item])


def _ratio(typed: str, name: str) -> float:
    """How alike they are, the name cut where the typed one ends if that is better; 0 where that is not enough."""
    best = 0.0
    for other in {name, name[: len(typed) + 1]}:
        pair = difflib.SequenceMatcher(None, typed, other)
        least = max(best, _ALIKE)  # the first two are quick, and never below the third
        if pair.real_quick_ratio() >= least and pair.quick_ratio() >= least:
            best = max(best, pair.ratio())
    return best


def _stands_out(text: str, found: re.Match[str]) -> bool:
    """Whether a single word is a title: alone between separators, or with a capital inside a sentence."""
    before, after = found.start() - 1, found.end()
    while before >= 0 and text[before] in " \t":
        before -= 1
    while after < len(text) and text[after] in " \t":
        after += 1
    if (before < 0 or text[before] in _OPENS) and (after == len(text) or text[after] in _CLOSES):
        return True
    begins = before < 0 or text[before] in _ENDS
    return found[0][0].isupper() and len(found[0]) >= _TELLING and not begins


def _text(text: object, most: int, name: str) -> str:
    """The text, if it is one and not too long."""
    check_text(text, name)
    assert isinstance(text, str)
    if len(text) > most:
        raise LimitError(f"{name} {shown(text)} has {len(text):,} characters, of at most {most:,}. Shorten it.")
    return text
