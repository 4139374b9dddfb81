"""MovieLens in its layouts: 100K (``u.data``), 1M and 10M (``::`` between fields), 20M to latest (CSV).

MovieTweetings is written like the second. Text of 100K and 1M that is not UTF-8 is ISO 8859-1, as GroupLens wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import CSV, Layout, read_delimited
from palate.datasets.files.limits import Limits
from palate.datasets.files.lines import open_lines
from palate.datasets.files.raw import Piece
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, ITEM, RATING, TIMESTAMP, TITLE, USER

RATINGS = (USER, ITEM, RATING, TIMESTAMP)
NO_GENRES = "(no genres listed)"
# fmt: off
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)
# fmt: on
U_ITEM = (ITEM, TITLE, "release_date", "video_release_date", "imdb_url", *GENRES)
U_USER = (USER, "age", "gender", "occupation", "zip_code")
USERS_DAT = (USER, "gender", "age", "occupation", "zip_code")


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is MovieLens or written like it."""
    return "u.data" in names or "ratings.dat" in names or {"ratings.csv", "movies.csv"} <= names


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read whichever MovieLens layout the folder has."""
    if (folder / "u.data").is_file():
        return _read_100k(folder, assembly)
    if (folder / "ratings.dat").is_file():
        return _read_dat(folder, assembly)
    return Tables(
        interactions=assembly.interactions(read_delimited(folder / "ratings.csv", CSV, assembly.limits)),
        items=assembly.items(map(_listed_genres, read_delimited(folder / "movies.csv", CSV, assembly.limits))),
        users=assembly.users(None),
    )


def read_data_file(path: Path, assembly: Assembly) -> Tables:
    """Read ``u.data`` or ``ratings.dat`` alone."""
    pieces = read_delimited(path, _layout("\t" if path.name == "u.data" else "::", RATINGS), assembly.limits)
    return Tables(assembly.interactions(pieces), assembly.items(None), assembly.users(None))


def _read_100k(folder: Path, assembly: Assembly) -> Tables:
    items = _pieces(folder / "u.item", _layout("|", U_ITEM), assembly.limits)
    return Tables(
        interactions=assembly.interactions(read_delimited(folder / "u.data", _layout("\t", RATINGS), assembly.limits)),
        items=assembly.items(map(_flags_to_category, items) if items else None),
        users=assembly.users(_pieces(folder / "u.user", _layout("|", U_USER), assembly.limits)),
    )


def _read_dat(folder: Path, assembly: Assembly) -> Tables:
    items = _pieces(folder / "movies.dat", _layout("::", (ITEM, TITLE, CATEGORY)), assembly.limits)
    return Tables(
        interactions=assembly.interactions(
            read_delimited(folder / "ratings.dat", _layout("::", RATINGS), assembly.limits)
        ),
        items=assembly.items(map(_listed_genres, items) if items else None),
        users=assembly.users(_pieces(folder / "users.dat", _users_layout(folder, assembly.limits), assembly.limits)),
    )


def _users_layout(folder: Path, limits: Limits) -> Layout:
    """MovieLens-1M describes its users; MovieTweetings gives them a second id only."""
    path = folder / "users.dat"
    if path.is_file():
        with open_lines(path, limits) as reader:
            first = next(reader.lines(), None)
        if first and first.data and first.data.count(b"::") == 1:
            return _layout("::", (USER, "twitter_id"))
    return _layout("::", USERS_DAT)


def _layout(delimiter: str, columns: tuple[str, ...]) -> Layout:
    return Layout(delimiter=delimiter, columns=columns, quoted=False, fallback="latin-1")


def _pieces(path: Path, layout: Layout, limits: Limits) -> Iterator[Piece] | None:
    return read_delimited(path, layout, limits) if path.is_file() else None


def _flags_to_category(piece: Piece) -> Piece:
    names = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in GENRES if genre != "unknown"]
    category = pl.concat_str(names, separator=CATEGORY_SEPARATOR, ignore_nulls=True).alias(CATEGORY)
    return piece.with_frame(piece.frame.with_columns(category).drop(GENRES))


def _listed_genres(piece: Piece) -> Piece:
    return piece.with_frame(piece.frame.with_columns(pl.col(pl.String).replace(NO_GENRES, "")))
