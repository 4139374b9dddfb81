"""Which reader a folder or file is for, by the names of the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from palate.datasets.files.assemble import Assembly, Tables
from palate.datasets.readers import (
    amazon,
    folder,
    jester,
    kuairand,
    lastfm,
    mind,
    movielens,
    online_retail,
    open_bandit,
    polis,
    recbole,
)
from palate.errors import DataError, OptionError


class Reader(Protocol):
    """A module that reads one format."""

    @property
    def matches(self) -> Callable[[frozenset[str]], bool]: ...
    @property
    def read(self) -> Callable[[Path, Assembly], Tables]: ...


# In this order, as the later ones take more: any votes.csv, any CSV beside item_context.csv, any JSON lines.
READERS: tuple[Reader, ...] = (
    movielens,
    mind,
    recbole,
    kuairand,
    jester,
    polis,
    lastfm,
    folder,
    online_retail,
    open_bandit,
    amazon,
)
CONFIG = "config.json"  # what a model folder has
EXPECTED = (
    "interactions.{parquet,csv,tsv,jsonl} (or ratings.*, votes.*), or a public format: MovieLens (u.data; ratings.dat; "
    "ratings.csv and movies.csv), MIND (behaviors.tsv), RecBole (*.inter), Jester (jester*.csv, jester_ratings.dat), "
    "Open Bandit (item_context.csv), KuaiRand (log_standard_*.csv, impressions.parquet), Online Retail "
    "(Online Retail*.csv, purchases.parquet), Polis (votes.csv and comments.csv), Last.fm (user_artists.dat), "
    "Amazon reviews (*.json.gz, *.jsonl)"
)


def read_path(path: Path, assembly: Assembly) -> Tables:
    """Read a folder, or the folder ``original`` inside it, or a single file of interactions.

    Raises:
        DataError: If there is nothing at the path or no format fits; the message lists what was expected.
    """
    if path.is_file():
        return _read_file(path, assembly)
    if not path.is_dir():
        raise DataError(f"there is no file or folder {path}. Check the path.")
    for candidate in (path, path / "original"):
        names = _file_names(candidate)
        for reader in READERS:
            if reader.matches(names):
                return replace(reader.read(candidate, assembly), folder=candidate)
    raise DataError(f"{path} holds no format that Palate knows. Expected {EXPECTED}.")


def refuse_data_folder(folder: Path, data: Path | None = None) -> None:
    """Keep a folder of data as it is: its tables and a model's files would be taken for one another.

    Args:
        folder: Where something else is to be written.
        data: The data set that it is made from.
    Raises:
        OptionError: If data lies there, and no model yet.
    """
    names = _file_names(folder)
    holds = any(reader.matches(frozenset(n for n in names if not n.endswith(".json"))) for reader in READERS)
    if data is not None and folder.is_dir():
        holds |= (data if data.is_dir() else data.parent).resolve() == folder.resolve()
    if holds and CONFIG not in names:
        raise OptionError(
            f"{folder} holds data, and a model needs a folder of its own. Give another, such as my-model."
        )


def _file_names(folder: Path) -> frozenset[str]:
    try:
        return (
            frozenset(entry.name for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else frozenset()
        )
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}). Check its permissions.") from None


def _read_file(path: Path, assembly: Assembly) -> Tables:
    if path.name in ("u.data", "ratings.dat"):
        return movielens.read_data_file(path, assembly)
    if path.suffix == ".inter":
        return recbole.read_file(path, assembly)
    if jester.matches(frozenset([path.name])):
        return jester.read_file(path, assembly)
    if online_retail.is_file(path.name):
        return online_retail.read_file(path, assembly)
    if path.name.endswith(amazon.ENDINGS):
        return amazon.read_file(path, assembly)
    return folder.read_file(path, assembly)
