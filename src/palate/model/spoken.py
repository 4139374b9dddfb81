"""Titles as people say them, from titles as catalogues have them."""

from __future__ import annotations

import re

_ENGLISH, _FRENCH, _SPANISH = ("the", "a", "an"), ("le", "la", "les", "l'", "un", "une"), ("el", "los", "las", "una")
_GERMAN, _ITALIAN, _PORTUGUESE = ("der", "die", "das", "ein", "eine"), ("il", "lo", "gli", "i"), ("o", "os")
ARTICLES = (*_ENGLISH, *_FRENCH, *_SPANISH, *_GERMAN, *_ITALIAN, *_PORTUGUESE)
INVERTED = re.compile(rf"^(.*\S),\s*({'|'.join(ARTICLES)})$", re.IGNORECASE)
IN_BRACKETS = re.compile(r"\(([^()]*)\)")
YEAR = re.compile(r"^\d{4}$")
UNSPACED = re.compile("([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")  # a letter is a word there
_SUBTITLE = re.compile(r":\s|\s[-–—]\s|;\s|[：；—]")
_SPOKEN, _LEAST_SPOKEN = 40, 4  # columns of a title in a sentence, and of what stands for the whole
_LONGEST = 400  # letters of a title that are read for that


def spoken(title: str) -> str:
    """A title as one would say it in a sentence: without year and series, its article in front, and not too long.

    >>> spoken("Matrix, The (1999)"), spoken("Catching Fire (The Hunger Games, #2)")
    ('The Matrix', 'Catching Fire')
    >>> spoken("Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1963)")
    'Dr. Strangelove'
    """
    bare = as_said(title)
    if _width(bare) <= _SPOKEN:
        return bare
    head = re.sub(r",? or$", "", _SUBTITLE.split(bare, maxsplit=1)[0])
    if _LEAST_SPOKEN <= _width(head) <= _SPOKEN:
        return head
    return _cut(bare)


def as_said(title: str) -> str:
    """A title without year and series, its article in front, as long as it is.

    >>> as_said("Good, the Bad and the Ugly, The (1966)")
    'The Good, the Bad and the Ugly'
    """
    title = title[:_LONGEST]
    bare = " ".join(IN_BRACKETS.sub(" ", title).split()) or " ".join(title.split())
    found = INVERTED.match(bare)
    return f"{found[2]}{found[2][-1:].isalpha() * ' '}{found[1]}" if found else bare


def as_shown(title: str) -> str:
    """A title as people say it, its year behind it.

    >>> as_shown("Wizard of Oz, The (1939)"), as_shown("Catching Fire (The Hunger Games, #2)")
    ('The Wizard of Oz (1939)', 'Catching Fire')
    """
    year = year_of(title)
    return f"{as_said(title)} ({year})" if year and as_said(title) != year else as_said(title)


def year_of(title: str) -> str:
    """The year in a title's last brackets; empty where there is none.

    >>> year_of("Matrix, The (1999)"), year_of("1984")
    ('1999', '')
    """
    found = [part.strip() for part in IN_BRACKETS.findall(title[:_LONGEST])]
    return found[-1] if found and YEAR.match(found[-1]) else ""


def _cut(text: str) -> str:
    """The beginning of a text, to the end of a word."""
    kept = text[:_SPOKEN]
    while _width(kept) >= _SPOKEN:
        kept = kept[:-1]
    whole = kept.rpartition(" ")[0]
    return (whole if _width(whole) > _SPOKEN // 2 else kept).rstrip(" ,;:.-") + "…"


def _width(text: str) -> int:
    """Columns of a text: two of a letter that fills a square."""
    return len(text) + len(UNSPACED.findall(text))
