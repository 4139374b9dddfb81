"""RecBole atomic files: ``NAME.inter``, ``NAME.item``, ``NAME.user``, tabs between, ``name:type`` in the header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import TSV, read_delimited
from palate.datasets.files.limits import Limits
from palate.datasets.files.names import renamed
from palate.datasets.files.raw import Piece
from palate.entities import CATEGORY, CATEGORY_SEPARATOR, TITLE
from palate.errors import DataError

CATEGORY_NAMES = ("class", "genre", "genres", "category", "categories")
YEAR = "release_year"


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is RecBole's."""
    return any(name.endswith(".inter") for name in names)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read the one data set of a folder."""
    found = sorted(folder.glob("*.inter"))
    if len(found) > 1:
        raise DataError(f"{folder} holds both {found[0].name} and {found[1].name}. Give the path of one of them.")
    return read_file(found[0], assembly)


def read_file(path: Path, assembly: Assembly) -> Tables:
    """Read ``NAME.inter`` and what lies beside it under the same name."""
    items, users = path.with_suffix(".item"), path.with_suffix(".user")
    return Tables(
        interactions=assembly.interactions(_pieces(path, assembly.limits)),
        items=assembly.items(map(_titled, _pieces(items, assembly.limits)) if items.is_file() else None),
        users=assembly.users(_pieces(users, assembly.limits) if users.is_file() else None),
    )


def _pieces(path: Path, limits: Limits) -> Iterator[Piece]:
    """Pieces with the types cut off the names; sequences are kept as written, categories get our separator."""
    for piece in read_delimited(path, TSV, limits):
        kinds = {column: column.rpartition(":") for column in piece.frame.columns if ":" in column}
        frame = piece.frame.with_columns(
            pl.col(column).str.replace_all(" ", CATEGORY_SEPARATOR, literal=True)
            for column, (name, _, kind) in kinds.items()
            if name in CATEGORY_NAMES and kind == "token_seq"
        )
        yield renamed(piece.with_frame(frame), {column: name for column, (name, _, _) in kinds.items()})


def _titled(piece: Piece) -> Piece:
    """Title and category under our names; a film's year stands in its title, as MovieLens writes it."""
    names = piece.frame.columns
    title = next((name for name in (TITLE, *names) if name in names and name.endswith("title")), None)
    category = next((name for name in (CATEGORY, *CATEGORY_NAMES) if name in names), None)
    frame = piece.frame.rename({old: new for old, new in ((title, TITLE), (category, CATEGORY)) if old})
    if title and YEAR in names:
        year = pl.col(YEAR)
        dated = pl.format("{} ({})", TITLE, YEAR)
        frame = frame.with_columns(pl.when(year.str.contains(r"^\d{4}$")).then(dated).otherwise(TITLE).alias(TITLE))
    return piece.with_frame(frame)
