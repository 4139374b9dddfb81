"""Which column is which: as the caller says, by our name or a public table's, or by one of these spelt otherwise."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import polars as pl

from palate.datasets.files.boundary import one_line
from palate.datasets.files.raw import LINE, Piece, shorten
from palate.entities import (
    AUDIO,
    CATEGORY,
    EVENT,
    IMAGE,
    ITEM,
    RATING,
    SLATE,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER,
    WEIGHT,
)
from palate.entities.friends import FRIEND
from palate.errors import DataError, OptionError, did_you_mean
from palate.errors.checks import mapping, shown

TableName = Literal["interactions", "items", "users", "friends"]

KNOWN: Mapping[TableName, tuple[str, ...]] = {
    "interactions": (USER, ITEM, RATING, EVENT, TIMESTAMP, SLATE, WEIGHT),
    "items": (ITEM, TITLE, TEXT, CATEGORY, IMAGE, AUDIO),
    "users": (USER,),
    "friends": (USER, FRIEND),
}
REQUIRED: Mapping[TableName, tuple[str, ...]] = {
    "interactions": (USER, ITEM),
    "items": (ITEM,),
    "users": (USER,),
    "friends": (USER, FRIEND),
}
# Other names under which public tables hold the columns we know. A column of our own name goes first.
OTHERS: Mapping[str, tuple[str, ...]] = {
    USER: ("userId",),
    ITEM: ("movieId", "itemId"),
    RATING: ("vote",),
    TIMESTAMP: ("timestamp_ms",),
    TITLE: ("name",),
    CATEGORY: ("genres", "genre"),
}
# Words in the names under which tables hold a column: for the example in a message, never to decide.
LIKELY = {
    USER: ("user", "customer", "client", "member", "visitor", "account", "person", "buyer", "reader"),
    FRIEND: ("friend", "follow", "target"),
    ITEM: ("item", "sku", "product", "article", "asin", "movie", "book", "song", "track"),
    RATING: ("rating", "star", "score", "grade", "mark"),
    TIMESTAMP: ("time", "date", "when"),
    TITLE: ("title", "name"),
    TEXT: ("description", "text", "summary"),
}
SHOWN = 12  # columns in a message
LONGEST = 40  # characters of each

Mapped = Mapping[str, str]
"""What the caller calls our columns: ``{"user_id": "customer_id"}``, or of one table ``{"items.item_id": "id"}``."""


def check_mapping(columns: Mapped | None) -> dict[str, str]:
    """The mapping, if all its keys are columns of ours.

    Raises:
        OptionError: If not.
    """
    keys = {*(name for names in KNOWN.values() for name in names)}
    keys |= {f"{table}.{name}" for table, names in KNOWN.items() for name in names}
    if columns is None:
        return {}
    way = "a mapping such as {'user_id': 'customer_id'}"
    for ours, theirs in mapping(columns, "columns", way).items():
        if ours not in keys or not isinstance(theirs, str):
            plain = ", ".join(dict.fromkeys(name for names in KNOWN.values() for name in names))
            hint = f"{did_you_mean(ours, keys, n=1)} Map one of {plain} to a name.".strip()
            raise OptionError(f"columns maps {shown(ours)} to {shown(theirs)}. {hint}")
    return dict(columns)


def check_used(mapping: Mapped, columns: Iterable[str]) -> None:
    """Raise DataError if no table has a column that the mapping names."""
    there = [name for name in dict.fromkeys(columns) if name != LINE]
    folded = {_folded(name) for name in there}
    for ours, theirs in mapping.items():
        if _folded(theirs) not in folded:
            raise DataError(f"no table has a column {shorten(theirs)} to take as {ours}. {_instead(theirs, there)}")


def named(piece: Piece, table: TableName, mapping: Mapped) -> Piece:
    """The piece with the columns we know under our names, and a note of each that was spelt in another way.

    Raises:
        DataError: If a required column is missing, or two columns are the same one.
    """
    columns, wanted = _columns(piece), _of_table(mapping, table)
    if odd := next((name for name in columns if "\x00" in name), None):
        raise DataError(f"{piece.file} has the column {shorten(odd)}, which holds NUL. Rename it.")
    renames: dict[str, str] = {}
    copies: dict[str, str] = {}
    notes: list[str] = []
    for ours in KNOWN[table]:
        spellings = (ours, *OTHERS.get(ours, ()))
        theirs = _find(columns, [wanted[ours]] if ours in wanted else []) or _find(columns, spellings)
        if theirs is None or theirs == ours:
            continue
        if theirs in renames:  # the caller has one column for two of ours, such as a name that is the id too
            copies[ours] = renames[theirs]
            continue
        if ours in columns:  # the caller prefers another column; this one is kept
            renames[ours] = f"other_{ours}"
        renames[theirs] = ours
        if theirs not in (*spellings, wanted.get(ours)):
            notes.append(f"{piece.file}: the column {shorten(theirs)} is read as {ours}")
    whole = renamed(piece, renames)
    whole = whole.with_frame(whole.frame.with_columns(**{ours: pl.col(one) for ours, one in copies.items()}))
    _check_required(whole, table, wanted, columns)
    return replace(whole, notes=(*piece.notes, *notes))


def renamed(piece: Piece, names: Mapped) -> Piece:
    """The piece with its columns under other names, old to new.

    Raises:
        DataError: If two columns would have one name.
    """
    before = piece.frame.columns
    after = [names.get(name, name) for name in before]
    if twice := next((name for name in after if after.count(name) > 1), None):
        both = " and ".join(shorten(old) for old, new in zip(before, after, strict=True) if new == twice)
        raise DataError(f"{piece.file} has the column {one_line(twice, LONGEST)} twice, as {both}. Rename one of them.")
    return piece.with_frame(piece.frame.rename(dict(names)))


def _columns(piece: Piece) -> list[str]:
    return [name for name in piece.frame.columns if name != LINE]


def _of_table(mapping: Mapped, table: TableName) -> dict[str, str]:
    """The part of a mapping that is about a table; what names the table goes first."""
    every = {ours: theirs for ours, theirs in mapping.items() if "." not in ours}
    start = f"{table}."
    return every | {ours.removeprefix(start): theirs for ours, theirs in mapping.items() if ours.startswith(start)}


def _find(columns: Sequence[str], spellings: Sequence[str]) -> str | None:
    exact = [name for name in spellings if name in columns]
    loose = [name for one in spellings for name in columns if _folded(name) == _folded(one) != ""]
    return next(iter(exact + loose), None)


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _check_required(piece: Piece, table: TableName, wanted: Mapped, columns: Sequence[str]) -> None:
    lacking = [name for name in REQUIRED[table] if name not in piece.frame.columns]
    if not lacking or not columns:
        return
    ours, start = lacking[0], "" if table == "interactions" else f"{table}."
    if ours in wanted:
        raise DataError(
            f"{piece.file} has no column {shorten(wanted[ours])} to take as {ours}. {_instead(wanted[ours], columns)}"
            f" Say which with --columns {start}{ours}=NAME."
        )
    example = {start + ours: theirs for ours, theirs in _likely(columns, lacking, KNOWN[table]).items()}
    raise DataError(
        f"{piece.file} has no column {ours!r} (its columns: {_shown(columns)}). Say which is which, such as "
        f"--columns {_option(example)}, in Python columns={example}."
    )


def _instead(name: str, columns: Sequence[str]) -> str:
    near = did_you_mean(name, [one_line(column, LONGEST) for column in columns], n=1)
    return f"{near} The columns there: {_shown(columns)}.".strip()


def _shown(columns: Sequence[str]) -> str:
    return ", ".join(one_line(name, LONGEST) for name in columns[:SHOWN]) + (", ..." if len(columns) > SHOWN else "")


def _likely(columns: Sequence[str], lacking: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """A column for each that is lacking, by words in its name, else the first that is left; others if one fits."""
    left = [name for name in columns if name not in known and one_line(name, LONGEST) == name]
    found = {}
    for ours in [*lacking, *(one for one in known if one in LIKELY and one not in (*lacking, *columns))]:
        fitting = [name for word in LIKELY[ours] for name in left if word in name.lower()]
        if fitting := fitting or (left or ["NAME"] if ours in lacking else []):
            found[ours] = fitting[0]
            left = [name for name in left if name != fitting[0]]
    return found


def _option(mapping: Mapped) -> str:
    """As the command line reads it, quoted where a name holds a comma or a blank."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(f"{ours}={theirs}" for ours, theirs in mapping.items())
    return shlex.quote(text.getvalue())
