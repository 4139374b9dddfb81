"""Jester jokes: the wide files (``jester-data-1`` to ``-3``, saved as CSV) and the long one (``jester_ratings.dat``).

A wide row is one user: how many jokes they rated, then a rating from -10 to 10 for every joke, 99 where none. Wide rows
have no user id, so the number of the file and of the line make one. Texts are read from ``init1.html`` and so on.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import Layout, read_delimited
from palate.datasets.files.limits import Limits
from palate.datasets.files.lines import decode, open_lines
from palate.datasets.files.raw import LINE, Piece
from palate.datasets.files.rejects import Reject
from palate.entities import ITEM, RATING, TEXT, USER
from palate.errors import DataError

UNRATED = 99.0
HIGHEST = 10.0
LONG = "jester_ratings.dat"
WIDE = re.compile(r"^jester[-_]?(?:data|dataset)?[-_]?(\w*)\.csv$", re.IGNORECASE)
JOKE = re.compile(r"^init(\d+)\.html$")
JOKE_BODY = re.compile(r"<!--begin of joke -->(.*)<!--end of joke -->", re.DOTALL)


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is Jester."""
    return LONG in names or any(WIDE.match(name) for name in names)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read a folder of Jester files: the long one if it is there, else all wide ones."""
    long = folder / LONG
    paths = [long] if long.is_file() else sorted(path for path in folder.iterdir() if WIDE.match(path.name))
    return Tables(
        interactions=assembly.interactions(piece for path in paths for piece in _ratings(path, assembly.limits)),
        items=assembly.items(_jokes(folder, assembly.limits)),
        users=assembly.users(None),
    )


def read_file(path: Path, assembly: Assembly) -> Tables:
    """Read one file, wide or long."""
    return Tables(assembly.interactions(_ratings(path, assembly.limits)), assembly.items(None), assembly.users(None))


def _ratings(path: Path, limits: Limits) -> Iterator[Piece]:
    first = _first_line(path, limits)
    if path.name == LONG:
        layout = Layout("\t\t" if b"\t\t" in first else "\t", columns=(USER, ITEM, RATING), quoted=False)
        return read_delimited(path, layout, limits)
    jokes = [str(number) for number in range(1, first.count(b",") + 1)]
    if not 0 < len(jokes) < limits.columns:
        raise DataError(
            f"{path.name}:1: {len(jokes):,} commas. A row of Jester is a count and ratings, with a comma before each."
        )
    pieces = read_delimited(path, Layout(columns=("count", *jokes), quoted=False), limits)
    return (_long(piece, jokes) for piece in pieces)


def _first_line(path: Path, limits: Limits) -> bytes:
    with open_lines(path, limits) as reader:
        line = next(reader.lines(), None)
    if line is None or not line.data:
        raise DataError(f"{path.name} is empty. It needs a row of ratings for each user.")
    return line.data


def _long(piece: Piece, jokes: list[str]) -> Piece:
    numbers = piece.frame.with_columns(pl.col(*jokes, "count").str.strip_chars().cast(pl.Float64, strict=False))
    fine = pl.all_horizontal((pl.col(joke).abs() <= HIGHEST) | (pl.col(joke) == UNRATED) for joke in jokes)
    rated = pl.sum_horizontal(pl.col(joke) != UNRATED for joke in jokes)
    checked = Piece(piece.file, numbers, piece.rejects)
    checked = checked.reject(~fine, "", lambda _: "a rating that is neither from -10 to 10 nor 99 (not rated)")
    checked = checked.reject(
        rated != pl.col("count"), "count", lambda count: f"the row announces {count} ratings and has others"
    )
    file = WIDE.match(piece.file)
    user = pl.concat_str(pl.lit((file[1] if file else "") + "-"), pl.col(LINE)).alias(USER)
    long = checked.frame.with_columns(user).unpivot(jokes, index=[USER, LINE], variable_name=ITEM, value_name=RATING)
    return checked.with_frame(long.filter(pl.col(RATING) != UNRATED).sort(LINE, maintain_order=True))


def _jokes(folder: Path, limits: Limits) -> Iterator[Piece] | None:
    found = {int(match[1]): path for path in folder.iterdir() if (match := JOKE.match(path.name))}
    if not found:
        return None
    texts: list[tuple[str, str, int]] = []
    rejects: list[Reject] = []
    for number, path in sorted(found.items()):
        try:
            texts.append((str(number), _joke_text(path, limits), number))
        except ValueError as error:
            rejects.append(Reject(path.name, 1, "", str(error)))
    schema = {ITEM: pl.String, TEXT: pl.String, LINE: pl.Int64}
    return iter([Piece("init*.html", pl.DataFrame(texts, schema=schema, orient="row"), rejects)])


def _joke_text(path: Path, limits: Limits) -> str:
    with open_lines(path, limits) as reader:
        page = "\n".join(decode(line.data, "latin-1") for line in reader.lines() if line.data)
    body = JOKE_BODY.search(page)
    plain = re.sub(r"<[^>]*>", " ", body[1] if body else page)
    return " ".join(html.unescape(plain).split())
