"""The Palate data folder: ``interactions``, ``items``, ``users``, ``friends``, as Parquet, CSV, TSV or JSON lines.

Interactions may also be called ``ratings`` or ``votes``. Text files may be gzipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.files.delimited import CSV, TSV, read_delimited
from palate.datasets.files.jsonlines import read_json_lines
from palate.datasets.files.parquet import read_parquet
from palate.datasets.files.raw import Piece
from palate.errors import DataError

INTERACTION_STEMS = ("interactions", "ratings", "votes")
ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz")


def matches(names: frozenset[str]) -> bool:
    """Whether a folder with these file names is a Palate data folder."""
    return any(stem + ending in names for stem in INTERACTION_STEMS for ending in ENDINGS)


def read(folder: Path, assembly: Assembly) -> Tables:
    """Read a Palate data folder."""
    interactions = next(filter(None, (_find(folder, stem) for stem in INTERACTION_STEMS)))
    items, users, friends = (_find(folder, stem) for stem in ("items", "users", "friends"))
    return Tables(
        interactions=assembly.interactions(read_table(interactions, assembly)),
        items=assembly.items(read_table(items, assembly) if items else None, folder),
        users=assembly.users(read_table(users, assembly) if users else None),
        friends=assembly.friends(read_table(friends, assembly) if friends else None),
    )


def read_file(path: Path, assembly: Assembly) -> Tables:
    """Read one file of interactions, without items and users of their own."""
    return Tables(assembly.interactions(read_table(path, assembly)), assembly.items(None), assembly.users(None))


def read_items(path: Path, assembly: Assembly) -> Tables:
    """Read a table of items alone: a file, or that of a data folder."""
    table = _find(path, "items") if path.is_dir() else path
    if table is None or not table.exists():
        where = f"{path} holds no items.*" if path.is_dir() else f"there is no file or folder {path}"
        raise DataError(f"{where}. Give a table of items, whose name ends with {', '.join(ENDINGS)}.")
    items = assembly.items(read_table(table, assembly), table.parent)
    assembly.check_rows(items, f"{table.name} has no item")
    return Tables(assembly.interactions(None), items, assembly.users(None), table.parent)


def read_table(path: Path, assembly: Assembly) -> Iterator[Piece]:
    """Stream a table in the format that its name says.

    Raises:
        DataError: If the ending of the name is none of ENDINGS.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        return read_parquet(path, assembly.limits, assembly.parquet)
    if name.endswith(".csv"):
        return read_delimited(path, CSV, assembly.limits)
    if name.endswith(".tsv"):
        return read_delimited(path, TSV, assembly.limits)
    if name.endswith(".jsonl"):
        return read_json_lines(path, assembly.limits)
    raise DataError(f"{path.name} has an unknown format. A table's name ends with {', '.join(ENDINGS)}.")


def _find(folder: Path, stem: str) -> Path | None:
    found = [folder / (stem + ending) for ending in ENDINGS if (folder / (stem + ending)).is_file()]
    if len(found) > 1:
        raise DataError(f"{folder} holds both {found[0].name} and {found[1].name}. Keep one of them.")
    return found[0] if found else None
